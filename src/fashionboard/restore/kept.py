"""What stands in the way of the last commit and is nowhere else: moved to a folder, not removed."""

import shutil
import time
from pathlib import Path

from fashionboard.repository import keeping, no_links


class Kept:
    """A folder below `.dvc/tmp/fashionboard/kept/`, which is made when the first thing is moved there.

    moved: the names of what was moved, from the repository's root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self.moved: list[str] = []

    @property
    def folder(self) -> Path:
        """The folder, with no other one's files in it.

        Raises:
            PathError: a link, or something else than a folder, lies on the way.
        """
        if self._folder is None:
            parent = no_links.folder(self._root, *keeping.FOLDER, "kept")
            self._folder = _new(parent, time.strftime("%Y-%m-%dT%H-%M-%S"))
        return self._folder

    def move(self, name: str) -> None:
        """Move what lies at `name` in the repository: a file, a folder, a link itself, or a pipe.

        Raises:
            PathError: a link lies on the way.
        """
        path = self._root / name
        no_links.check(self._root, path.parent)
        target = self._place(name)
        if no_links.is_file(path) and path.stat().st_nlink > 1:
            # another name of the same file may be an object of DVC's cache
            shutil.copy2(path, target)
            path.unlink()
        else:
            shutil.move(path, target)
        self.moved.append(name)

    def write(self, name: str, content: bytes) -> None:
        """Write what is no file in the repository."""
        self._place(name).write_bytes(content)
        self.moved.append(name)

    def _place(self, name: str) -> Path:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _new(parent: Path, name: str) -> Path:
    """Make a folder that was not there."""
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1
