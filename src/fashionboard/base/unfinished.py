"""Files that are being written: removed if their writing fails or the process is stopped."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

_paths: set[Path] = set()


def add(path: Path) -> None:
    """Note that `path`, a file or a folder, is half written from now on."""
    _paths.add(path)


def done(path: Path) -> None:
    """Note that `path` is whole, or gone."""
    _paths.discard(path)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Note that `path` is half written within the block, and remove it if the block raises."""
    add(path)
    try:
        yield
    except BaseException:
        _remove(path)
        raise
    finally:
        done(path)


def remove_all() -> None:
    """Remove everything that is half written at this moment; never raises."""
    for path in tuple(_paths):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
