"""IDX, the file format of MNIST and its relatives: big-endian header, then unsigned bytes.

Format: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
"""

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard.errors import DataError

_UNSIGNED_BYTE = 0x08
# as many as numpy has
_MAX_AXES = 64


def read(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array in an uncompressed IDX file, uint8, in the file's own shape.

    Raises:
        DataError: the file is missing, is not IDX of unsigned bytes, or its length is not the
            one that its header gives.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from None
    shape = _shape(content[: _header(_MAX_AXES)].tobytes(), len(content), path)
    return content[_header(len(shape)) :].reshape(shape)


def _shape(start: bytes, length: int, path: Path) -> tuple[int, ...]:
    """Return the shape in an IDX file's header; start: the file's first bytes; length: of all of it."""
    advice = "delete it and run `dvc repro download`"
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
