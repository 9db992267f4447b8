"""IDX, the file format of MNIST and its relatives: big-endian header, then unsigned bytes.

Format: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard.errors import DataError

_UNSIGNED_BYTE = 0x08
# as many as numpy has
_MAX_AXES = 64
_ADVICE = "delete it and run `dvc repro download`"


def read(path: Path, advice: str = _ADVICE) -> npt.NDArray[np.uint8]:
    """Return the array in an IDX file, plain or .gz, uint8, in the file's own shape.

    advice: what to do about a file that is damaged; part of the error.

    Raises:
        DataError: the file is missing, is not IDX of unsigned bytes, or its length is not the
            one that its header gives.
    """
    try:
        content = _unpacked(path) if path.suffix == ".gz" else np.fromfile(path, np.uint8)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole gzip file, found a damaged one ({error}); {advice}"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from None
    shape = _shape(content[: _header(_MAX_AXES)].tobytes(), len(content), path, advice)
    return content[_header(len(shape)) :].reshape(shape)


def _unpacked(path: Path) -> npt.NDArray[np.uint8]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8)


def _shape(start: bytes, length: int, path: Path, advice: str) -> tuple[int, ...]:
    """Return the shape in an IDX file's header; start: the file's first bytes; length: of all of it."""
    if len(start) < 4 or start[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise DataError(
            f"{path}: expected an IDX file of unsigned bytes (00 00 08), "
            f"found {start[:3].hex(' ') or 'nothing'}; {advice}"
        )
    axes = start[3]
    if not 1 <= axes <= _MAX_AXES:
        raise DataError(f"{path}: expected 1 to {_MAX_AXES} axes, found {axes}; {advice}")
    if length < _header(axes):
        raise DataError(f"{path}: the IDX header is cut off; {advice}")
    shape = struct.unpack(f">{axes}I", start[4 : _header(axes)])
    expected = _header(axes) + math.prod(shape)
    if length != expected:
        raise DataError(f"{path}: expected {expected:,} bytes for shape {shape}, found {length:,}; {advice}")
    return shape


def _header(axes: int) -> int:
    """Return the bytes before the data."""
    return 4 + 4 * axes


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    """Return the bytes of the IDX file that holds `array` (uint8, 1 to 64 axes, as many as numpy has)."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()
