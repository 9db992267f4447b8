"""Files that outlive a stage, in DVC's temporary folder of the main repository.

Neither git nor DVC tracks that folder. It is the main repository's, since the copies that DVC makes
for experiments vanish. No link is followed on the way: a repository may have brought it.
"""

import contextlib
import os
from pathlib import Path

import psutil

from fashionboard.base import outputs
from fashionboard.base.errors import PathError
from fashionboard.repository import no_links

# below a repository
FOLDER = (".dvc", "tmp", "fashionboard")


def root() -> Path:
    """Return the main repository, also from within a copy that DVC has made of it."""
    return Path(os.environ.get("DVC_ROOT", "")).resolve()


def place(name: str, repository: Path | None = None) -> Path:
    """Return where the file `name` is kept; repository: its folder, `root()` if None."""
    return (repository or root()).joinpath(*FOLDER, name)


def read(name: str, most: int | None = None, repository: Path | None = None) -> bytes | None:
    """Return the content of a kept file, None if there is none.

    most: the bytes to read of one that is longer; all if None. repository: its folder, without a link in its
    own path; `root()` if None.

    Raises:
        PathError: a link lies on the way, or something else than a file in its place.
        OSError: it cannot be read.
    """
    path = place(name, repository)
    no_links.check(repository or root(), path)
    if not path.exists():
        return None
    _refuse_all_but_files(path)
    with path.open("rb") as file:
        return file.read(most)


def write(name: str, content: bytes, repository: Path | None = None) -> None:
    """Keep a file, whole or not at all. A link in its place is replaced.

    repository: its folder, without a link in its own path; `root()` if None.

    Raises:
        PathError: a link lies on the way, or something else than a file in its place.
        OSError: it cannot be written.
    """
    no_links.folder(repository or root(), *FOLDER)
    path = place(name, repository)
    if not path.is_symlink() and path.exists():
        _refuse_all_but_files(path)
    _remove_partials(path)
    outputs.write_bytes(path, content)


def remove(name: str) -> None:
    """Remove a kept file and what of it is half written, as far as it is this project's to remove."""
    path = place(name)
    with contextlib.suppress(PathError, OSError):
        no_links.check(root(), path.parent)
        _remove_partials(path)
        path.unlink(missing_ok=True)


def thin(pattern: str, most: int) -> None:
    """Remove the oldest files of such a name, so that `most` are left; after `write`, which looks for links.

    Raises:
        OSError: one cannot be removed.
    """
    found = [path for path in place(pattern).parent.glob(pattern) if path.is_symlink() or not path.is_dir()]
    if len(found) > most:
        for path in sorted(found, key=_changed)[:-most]:
            path.unlink(missing_ok=True)


def _changed(path: Path) -> int:
    try:
        return path.lstat().st_mtime_ns
    except OSError:  # another process has just removed it
        return 0


def _refuse_all_but_files(path: Path) -> None:
    if not no_links.is_file(path):
        found = "a folder" if path.is_dir() else "something else"
        raise PathError(f"{path}: expected a file, found {found}; remove it")


def _remove_partials(path: Path) -> None:
    """Remove what `outputs` has left half written, unless another process may be writing it."""
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        number = partial.name.removeprefix(f".{path.name}.").removesuffix(".partial")
        # no process has a longer one
        if (
            number.isdecimal()
            and len(number) < 10
            and (int(number) == os.getpid() or not psutil.pid_exists(int(number)))
        ):
            partial.unlink(missing_ok=True)
