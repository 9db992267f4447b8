"""Files that git keeps, on disk for TensorBoard, each written once under the name of its blob."""

from collections.abc import Iterable
from pathlib import Path

from fashionboard.base import outputs
from fashionboard.repository.git import Git


class Committed:
    """A folder with the bytes of blobs of a git repository."""

    def __init__(self, git: Git, folder: Path | None) -> None:
        """folder: is made when it is needed; without one, nothing is kept or found."""
        self._git = git
        self._folder = folder
        self.problem = ""

    def place(self, blob: str) -> Path | None:
        """Return where the bytes of a blob lie, or would lie; None if there is no folder for them."""
        return self._folder / blob if self._folder and blob.isalnum() else None

    def find(self, blob: str) -> Path | None:
        """Return the file with the bytes of a blob, None if there is none yet."""
        path = self.place(blob)
        return path if path and path.is_file() and not path.is_symlink() else None

    def keep(self, blobs: Iterable[str]) -> None:
        """Write the bytes of these blobs, as far as they are not there; `problem` tells why one is not."""
        for blob, content in self._git.contents(each for each in blobs if not self.find(each)):
            if content is not None and (path := self.place(blob)):
                try:
                    outputs.write_bytes(path, content)
                except OSError as error:
                    self.problem = f"{path.parent} cannot be written ({error.strerror})"
