"""Which files of a folder belong to which class: one's own pictures, each in the folder of its class.

Below a class's folder every file counts, as in torchvision's ImageFolder; but no hidden one.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from fashionboard.base.errors import DataError
from fashionboard.data.dataset import Split
from fashionboard.sources import own

# what systems put beside pictures by themselves
_NOT_MEANT = {"thumbs.db", "desktop.ini", "__pycache__"}
_SPLITS: tuple[Split, ...] = get_args(Split)
_ADVICE = "give each class a folder with a name of its own"


@dataclass(frozen=True)
class File:
    """A file of a class.

    label: the index of its class. split: what it is for, or None where that is not told.
    """

    path: Path
    label: int
    split: Split | None


def find(folder: Path) -> tuple[tuple[str, ...], list[File]]:
    """Return the names of the classes, sorted by code points, and their files.

    The files are sorted by split, train first, by class and then by path. Links to files are followed,
    those to folders refused. Files beside the folders of classes are left aside.

    Raises:
        DataError: a folder cannot be read, the folders are laid out in neither way, a name cannot be used,
            or a class has no file.
    """
    names = _folders(folder)
    # a class may be called so, but then it has no folders of classes
    halves = [name for name in names if name.casefold() in _SPLITS and _folders(folder / name)]
    if not halves:
        classes = _checked(names, folder)
        return classes, list(_files(folder, classes, None))
    _check_halves(folder, names, halves)
    classes = _checked(_folders(folder / _SPLITS[0]), folder / _SPLITS[0])
    found = [each for split in _SPLITS for each in _files(folder / split, classes, split)]
    return classes, found


def _check_halves(folder: Path, names: list[str], halves: list[str]) -> None:
    """Check that `folder` holds train and test alone, with the same classes in both."""
    if len(halves) == len(_SPLITS) and sorted(halves) != sorted(_SPLITS):
        shown = " and ".join(map(repr, halves))
        raise DataError(f"{folder}: expected folders named train and test, found {shown}; rename them")
    if sorted(halves) != sorted(_SPLITS):
        raise DataError(
            f"{folder}: expected folders of classes in both train and test, found them in "
            f"{' and '.join(map(repr, halves))}; add the other half, or move the classes out of it"
        )
    if others := [name for name in names if name not in halves]:
        raise DataError(
            f"{folder}: expected train and test alone, found {others[0]!r} beside them; move it elsewhere"
        )
    for here, there in (_SPLITS, reversed(_SPLITS)):
        missing = sorted(set(_folders(folder / here)) - set(_folders(folder / there)))
        if missing:
            raise DataError(
                f"{folder / there}: expected the classes of {here}, found no folder {missing[0]!r}; add it, "
                f"or remove that in {here}"
            )


def _checked(names: list[str], folder: Path) -> tuple[str, ...]:
    own.check_names(names, folder, "folders, each of a class", _ADVICE)
    return tuple(names)


def _files(folder: Path, classes: tuple[str, ...], split: Split | None) -> Iterator[File]:
    for label, name in enumerate(classes):
        paths = _below(folder / name)
        if not paths:
            raise DataError(f"{folder / name}: expected at least one picture, found none; add some")
        yield from (File(path, label, split) for path in paths)


def _below(folder: Path) -> list[Path]:
    """Return all files below `folder`, sorted by path."""
    found, waiting = list[Path](), [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            (waiting if _is_folder(entry) else found).append(Path(entry.path))
    return sorted(found, key=str)


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if _is_folder(entry)]


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Return what a folder holds and a person has put there, sorted by name."""
    with _readable(folder), os.scandir(folder) as entries:
        meant = [each for each in entries if not each.name.startswith(".")]
    return sorted(
        (each for each in meant if each.name.casefold() not in _NOT_MEANT), key=lambda entry: entry.name
    )


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    # a link that leads nowhere is a file: one that cannot be read, which is told
    with contextlib.suppress(OSError):
        if entry.is_dir() and entry.is_symlink():
            raise DataError(
                f"{entry.path}: expected a folder, found a link to one, in which DVC does not look for "
                "changes; copy the folder there"
            )
        return entry.is_dir()
    return False


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be read ({error.strerror}); give access, or move it away"
        ) from None
