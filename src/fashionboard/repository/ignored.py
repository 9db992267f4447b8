"""Which files of a commit DVC does not read: those that .dvcignore names, and other DVC repositories."""

import posixpath
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping

from dvc.fs import MemoryFileSystem
from dvc.ignore import DvcIgnoreFilter

from fashionboard.base.errors import DataError

NAME = ".dvcignore"
_OWN = ".dvc"
# of a pattern: each one more can double the time that it takes
_STARS = 10
_ROOT = "/root"


def marks(path: str) -> bool:
    """Tell whether a file of this path makes a folder below the root a DVC repository of its own."""
    return _OWN in path.split("/")[1:-1]


def visible(paths: Iterable[str], ignores: Mapping[str, bytes], marking: Iterable[str]) -> set[str]:
    """Return those of `paths` that DVC reads, from the root of its repository.

    ignores: what each .dvcignore holds, by its path. marking: files that mark repositories.

    Raises:
        DataError: a .dvcignore is no text, or holds what is no pattern.
    """
    try:
        with warnings.catch_warnings():
            # what DVC says to whoever runs it of patterns that it takes
            warnings.simplefilter("ignore", FutureWarning)
            return _visible(paths, ignores, marking)
    except (ValueError, re.error):
        raise DataError(f"{NAME}: expected patterns, found something else") from None


def _visible(paths: Iterable[str], ignores: Mapping[str, bytes], marking: Iterable[str]) -> set[str]:
    if any(line.count(b"*") > _STARS for content in ignores.values() for line in content.splitlines()):
        raise ValueError("a pattern that may take for ever")
    files = MemoryFileSystem(global_store=False)
    files.makedirs(_ROOT)
    for path, content in {**dict.fromkeys(marking, b""), **ignores}.items():
        full = f"{_ROOT}/{path}"
        files.makedirs(posixpath.dirname(full), exist_ok=True)
        files.pipe_file(full, content)
    ask = DvcIgnoreFilter(files, _ROOT)
    folders: dict[str, bool] = {}
    return {path for path in paths if not any(_ignored(ask, path, folders))}


def _ignored(ask: DvcIgnoreFilter, path: str, folders: dict[str, bool]) -> Iterator[bool]:
    """Yield for each folder above a file, from the top, and for the file, whether it is ignored."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        if folder not in folders:
            folders[folder] = ask.is_ignored_dir(f"{_ROOT}/{folder}")
        yield folders[folder]
    yield ask.is_ignored_file(f"{_ROOT}/{path}")
