"""Whether a file of events goes on from what was seen of it: TensorBoard reads on where it had stopped."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# bytes that are compared at the beginning and at the end of what was seen: a record holds its time, its
# step and checksums, so that another run has others in either place
_SAMPLE = 4096


@dataclass(frozen=True)
class Seen:
    """What was seen of a file: its size in bytes, and some of them from its beginning and before its end."""

    size: int
    head: bytes
    tail: bytes


def look(path: Path) -> Seen:
    """Return what there is of a file by now.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return _sample(file, size)


def goes_on(path: Path, before: Seen) -> bool:
    """Tell whether a file still holds what was seen, be there more by now or not.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size >= before.size and _sample(file, before.size) == before


def _sample(file: BinaryIO, size: int) -> Seen:
    file.seek(0)
    head = file.read(min(size, _SAMPLE))
    file.seek(max(0, size - _SAMPLE))
    return Seen(size, head, file.read(min(size, _SAMPLE)))
