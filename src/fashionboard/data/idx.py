"""IDX, the file format of MNIST and its relatives: big-endian header, then unsigned bytes.

Format: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
"""

import gzip
import io
import math
import mmap
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard.base.errors import DataError

_UNSIGNED_BYTE = 0x08
# as many as numpy has
_MAX_AXES = 64
# of bytes, and so of values
_MAX_SIZE = np.iinfo(np.intp).max
# what one byte of a .gz file stands for at most, see https://zlib.net/zlib_tech.html
_MAX_RATIO = 1032
_PIECE = 2**20
# bytes from which on a file is mapped: the 47 MB of Fashion-MNIST are read faster than page by page
_MAPPED_FROM = 2**28
_ADVICE = "delete it and run `dvc repro download`"


def read(path: Path, advice: str = _ADVICE) -> npt.NDArray[np.uint8]:
    """Return the array in an IDX file, plain or .gz, uint8, in the file's own shape.

    No more is read than the header says, and one byte to tell that there is more. A plain file of 256 MiB or
    more is mapped instead: its bytes come into memory as they are used, and `forget` lets them go. Who writes
    to the array does not change the file.

    advice: what to do about a file that is damaged; part of the error.

    Raises:
        DataError: the file is missing, is not IDX of unsigned bytes, its length is not the one that
            its header gives, or the array does not fit into memory.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            # a pipe or a device may have no end
            raise DataError(f"{path}: expected a file, found a pipe, a device or the like; {advice}")
        packed = path.suffix == ".gz"
        if not packed and status.st_size >= _MAPPED_FROM:
            return _mapped(path, status.st_size, advice)
        with gzip.open(path) if packed else path.open("rb") as file:
            return _array(file, status.st_size, packed, path, advice)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole gzip file, found a damaged one ({error}); {advice}"
        ) from None
    except OSError as error:
        # there may be nothing to delete
        advice = advice.removeprefix("delete it and ")
        raise DataError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    except MemoryError:
        raise DataError(f"{path}: expected data that fit into memory, found more; {advice}") from None


def _mapped(path: Path, length: int, advice: str) -> npt.NDArray[np.uint8]:
    """Return the array in a large plain file of `length` bytes, as a mapping of it."""
    with path.open("rb") as file:
        shape = _shape(file, path, advice)
        if length != _header(shape) + math.prod(shape):
            raise _length_error(path, shape, f"{length:,}", advice)
        return np.memmap(file, np.uint8, "c", _header(shape), shape)


def is_mapped(array: npt.NDArray[np.uint8]) -> bool:
    """Say whether an array is a file's mapping, or a part of one."""
    return _mapping(array) is not None


def forget(array: npt.NDArray[np.uint8]) -> None:
    """Let go the memory of a mapped array: its bytes are read again when they are used; others stay.

    Nothing may have been written to it.
    """
    mapping = _mapping(array)
    # Windows cannot
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: npt.NDArray[np.uint8]) -> mmap.mmap | None:
    """Return the file's mapping that an array's bytes lie in, if they lie in one."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _header(shape: tuple[int, ...]) -> int:
    """Return the length of the header that tells `shape`, in bytes."""
    return 4 + 4 * len(shape)


def _length_error(path: Path, shape: tuple[int, ...], found: str, advice: str) -> DataError:
    expected = _header(shape) + math.prod(shape)
    return DataError(f"{path}: expected {expected:,} bytes for shape {shape}, found {found}; {advice}")


def _array(
    file: io.BufferedIOBase, length: int, packed: bool, path: Path, advice: str
) -> npt.NDArray[np.uint8]:
    """Return the array in an open IDX file; length: of the file on disk; packed: whether that is .gz."""
    shape = _shape(file, path, advice)
    # numpy counts the other axes beside one of 0, too
    if math.prod(shape) == 0 and math.prod(axis or 1 for axis in shape) > _MAX_SIZE:
        raise DataError(f"{path}: expected a shape that numpy can hold, found {shape}; {advice}")
    size, header = math.prod(shape), _header(shape)
    content, found = bytearray(), ""
    if not packed and length != header + size:
        found = f"{length:,}"
    elif packed and length * _MAX_RATIO < header + size:
        found = f"at most {length * _MAX_RATIO:,}"
    else:
        # by pieces, since a .gz file may hold much less than its header promises
        while len(content) <= size and (piece := file.read(min(_PIECE, size + 1 - len(content)))):
            content += piece
        if len(content) != size:
            found = "more" if len(content) > size else f"{header + len(content):,}"
    if found:
        raise _length_error(path, shape, found, advice)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(file: io.BufferedIOBase, path: Path, advice: str) -> tuple[int, ...]:
    """Read the header of an IDX file and return the shape in it."""
    start = file.read(4)
    if len(start) < 4 or start[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes (00 00 08), "
            f"found {start[:3].hex(' ') or 'nothing'}; {advice}"
        )
    axes = start[3]
    if not 1 <= axes <= _MAX_AXES:
        raise DataError(f"{path}: expected 1 to {_MAX_AXES} axes, found {axes}; {advice}")
    rest = file.read(4 * axes)
    if len(rest) < 4 * axes:
        raise DataError(f"{path}: the IDX header is cut off; {advice}")
    return struct.unpack(f">{axes}I", rest)


def encoded(array: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """Yield the IDX file that holds `array` (uint8, 1 to 64 axes, as many as numpy has), part by part."""
    yield struct.pack(f">4B{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    rows = max(1, _PIECE * len(array) // max(1, array.size))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].tobytes()
        forget(array)


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    """Return the bytes of the IDX file that holds `array` (uint8, 1 to 64 axes, as many as numpy has)."""
    return b"".join(encoded(array))
