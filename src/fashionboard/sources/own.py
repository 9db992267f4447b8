"""What all data sets of one's own share: the folder that data.path names, and the names of classes."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fashionboard.base import errors
from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.data.dataset import Description

# of classes; labels are bytes, and a hundred can still be read in a figure
_FEWEST, _MOST = 2, 100
# characters of a name, of which a figure shows some twenty
_LONGEST = 100
# what metrics/evaluate.json calls the mean of all classes
_TAKEN = "macro"
# of a file: inode, bytes, and nanoseconds since 1970
_State = tuple[int, int, int]
_ADVICE = "name yours with -S data.path=FOLDER"


def folder(path: str) -> Path:
    """Return the folder that `path`, the parameter data.path, names, as DVC finds it.

    A relative path starts at the root of the repository, which is the working directory.

    Raises:
        DataError: there is none.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - a link keeps its own name
    try:
        if place.is_dir():
            return place
        found = "a file" if place.exists() else "none"
    except OSError as error:
        raise DataError(f"data.path: expected a folder, found: {error.strerror}; {_ADVICE}") from None
    raise DataError(f"data.path: expected a folder, found {found} at {path}; {_ADVICE}")


def states(files: Iterable[Path]) -> list[_State | None]:
    """Return what tells of each file whether it was changed; None where there is none."""
    found: list[_State | None] = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def check_same(folder: Path, before: object, after: object) -> None:
    """Return if what was found in `folder` before and after it was read is the same.

    DVC looks at the files when the stage has ended, and would record these images as made of others.

    Raises:
        DataError: it is not.
    """
    if after != before:
        raise DataError(
            f"{folder}: expected files that stay as they are while they are read, found others than before; "
            "run this again"
        )


def description(prefix: str, folder: Path, classes: tuple[str, ...], kind: Kind) -> Description:
    """Return what is known of the data set in `folder`: its name is `prefix`, a colon and the folder's name.

    Raises:
        DataError: the folder's name cannot be shown.
    """
    if not _can_be_shown(folder.name) or "`" in folder.name:
        raise DataError(f"{folder}: expected a folder with a name that can be shown; rename it")
    return Description(
        name=f"{prefix}:{folder.name}",
        title=f"{folder.name}, a data set of the user's own",
        source="the user's own files",
        licence="the user's own",
        classes=classes,
        kind=kind,
    )


def check_names(
    names: Sequence[str], path: Path, counted: str, advice: str, where: Callable[[int], str] = lambda _: ""
) -> None:
    """Check the names of classes: 2 to 100, each once, of at most 100 characters that can be shown.

    path: the file or folder that holds them. counted: what there is one of for each. advice: what to do
    about a wrong one. where: says of the name with a number, the first is 0, where it stands: " in line 1".

    Raises:
        DataError: some are wrong.
    """
    if not _FEWEST <= len(names) <= _MOST:
        raise DataError(f"{path}: expected {_FEWEST} to {_MOST} {counted}, found {len(names)}; {advice}")
    for number, name in enumerate(names):
        if len(name) > _LONGEST:
            expected = f"a name of at most {_LONGEST} characters{where(number)}"
            raise DataError(f"{path}: expected {expected}, found {len(name):,}; {advice}")
        if not _can_be_shown(name) or name == _TAKEN:
            expected = f"a name without tabs and the like, other than {_TAKEN}{where(number)}"
            raise DataError(f"{path}: expected {expected}, found {name!r}; {advice}")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path}: expected each name once, found {name!r} {times} times; {advice}")


def _can_be_shown(name: str) -> bool:
    """Say whether a name holds letters or signs, and nothing that acts on a terminal or ends a line."""
    return any(map(str.isprintable, name.replace(" ", ""))) and errors.visible(name) == name
