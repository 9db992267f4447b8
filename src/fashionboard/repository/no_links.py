"""A path that is reached without following a link which a repository may have brought along.

What lies in a repository may come from anybody. A link there could lead each write and removal to
a file of the person who looks at it. Links outside the repository are that person's own.
"""

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path

from fashionboard.base.errors import PathError, reason


def folder(root: Path, *names: str) -> Path:
    """Return the folder `names` below `root`, with each missing folder on the way made.

    Raises:
        PathError: one of them is a link, or no folder.
    """
    path = root
    for name in names:
        path = path / name
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        if not is_folder(path):
            raise _refusal(path)
    return path


def check(root: Path, path: Path) -> None:
    """Return if no link that lies below `root` is followed on the way to `path`, nor is `path` one.

    root: a folder with no link in its own path, as `Path.resolve` gives it.

    Raises:
        PathError: there is such a link.
    """
    first, *parts = path.absolute().parts
    reached = Path(first)
    for part in parts:
        step = reached.parent if part == ".." else reached / part
        try:
            is_link = step.is_symlink()
            real = step.resolve() if is_link else step
        except (OSError, RuntimeError) as error:  # too long a name, or links in a circle
            raise PathError(f"{step}: expected a path, found: {reason(error)}; name another") from None
        if is_link and reached.is_relative_to(root):
            raise _refusal(step)
        reached = real


def is_folder(path: Path) -> bool:
    """Tell whether `path` is a folder itself, not a link to one."""
    return _is(stat.S_ISDIR, path)


def is_file(path: Path) -> bool:
    """Tell whether `path` is a regular file itself, not a link to one."""
    return _is(stat.S_ISREG, path)


def _is(kind: Callable[[int], bool], path: Path) -> bool:
    try:
        return kind(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _refusal(path: Path) -> PathError:
    found = "a symbolic link" if path.is_symlink() else "something else"
    return PathError(f"{path}: expected a folder or file of its own, found {found}; remove it")
