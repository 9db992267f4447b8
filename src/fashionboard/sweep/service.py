"""What the driver asks a worker for while an experiment runs, in calls that are over at once."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from fashionboard.base import processor
from fashionboard.base.errors import reason
from fashionboard.sweep import experiment
from fashionboard.sweep.job import Grown, Host, Seen
from fashionboard.sweep.store import FULL, Store

# bytes of one answer: a worker's event loop sends nothing else meanwhile
PART = 4_000_000
# packages whose version has a say in the bytes of results, beside the project's own
_WEIGHTY = (
    "fashionboard",
    "dvc",
    "distributed",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "torchvision",
    "tensorboard",
    "protobuf",
    "matplotlib",
    "pillow",
)
_CLOSED = (".git", ".dvc")


def host(store: str) -> Host:
    """Tell what this host is; store: the folder of its store, `~/` for the user who runs the worker."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _WEIGHTY:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    versions["fashionboard"] = f"{versions.get('fashionboard', '')} with sweeps {_digest()}"
    begun = Store(Path(place(store))).begun()
    return Host(
        socket.gethostname(), place(store), processor.name(), processor.has_avx2(), versions, frozenset(begun)
    )


def _digest() -> str:
    """Return what tells this package of sweeps from one of another commit."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.md5(b"".join(each.read_bytes() for each in files), usedforsecurity=False).hexdigest()[:7]


def place(store: str) -> str:
    """Return the folder of this host's store, without links in its path."""
    return os.path.realpath(Path(store).expanduser())


def prepare(store: str) -> str:
    """Make the store, and return why it cannot be there, "" if it can or its disk is only full."""
    try:
        Store(Path(store)).prepare()
    except OSError as error:
        return "" if error.errno in FULL else reason(error)
    return ""


def needs(store: str, baseline: str, sizes: Mapping[str, int]) -> tuple[list[str] | None, list[str]]:
    """Return which commits the store has, None if `baseline` is one, and which of the objects it lacks.

    sizes: of the objects in bytes, by md5.

    Raises:
        OSError: the disk has no room for them, or cannot be written.
    """
    kept = Store(Path(store))
    kept.prepare()
    lacking = kept.lacking(sizes)
    kept.check_room(sum(sizes[each] for each in lacking))
    return None if kept.has(baseline) else kept.commits(), lacking


def take(store: str, name: str, offset: int, content: bytes) -> None:
    """Take a part of an object or of the baseline's bundle."""
    Store(Path(store)).take(name, offset, content)


def end(store: str, name: str, is_object: bool) -> None:
    """Put what was taken in its place."""
    kept = Store(Path(store))
    (kept.end_object if is_object else kept.end_bundle)(name)


def give(store: str, md5: str, offset: int) -> bytes:
    """Return a part of an object of the store's cache; b"" at its end.

    Raises:
        FileNotFoundError: the store has no such object.
    """
    path = Store(Path(store)).cache.find(md5)
    if path is None:
        raise FileNotFoundError(f"{md5} is not in the store")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PART)


def state(seen: Mapping[str, Mapping[str, Seen]]) -> dict[str, tuple[float, dict[str, Grown]]]:
    """Return for how many seconds each experiment here has run, and what its event files grew by.

    seen: what the driver has of each file, by its path in the clone, by experiment. An answer has at most
    about `PART` bytes; the next one goes on.
    """
    room, found = PART, {}
    for name, each in list(experiment.running.items()):
        grown: dict[str, Grown] = {}
        for path in _event_files(each.clone):
            if room > 0:
                inner = path.relative_to(each.clone).as_posix()
                with contextlib.suppress(OSError):
                    part = _grown(path, seen.get(name, {}).get(inner, Seen()), room)
                    if part:
                        grown[inner] = part
                        room -= len(part.content)
        found[name] = time.monotonic() - each.began, grown
    return found


def _event_files(clone: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(clone):
        folders[:] = [each for each in folders if each not in _CLOSED]
        found += [Path(folder, name) for name in files if "tfevents" in name and not name.startswith(".")]
    return sorted(path for path in found if not path.is_symlink())


def _grown(path: Path, seen: Seen, room: int) -> Grown | None:
    with path.open("rb") as file:
        file.seek(seen.size - len(seen.tail))
        offset = seen.size if file.read(len(seen.tail)) == seen.tail else 0
        file.seek(offset)
        content = file.read(room)
    return Grown(offset, content) if content or offset != seen.size else None
