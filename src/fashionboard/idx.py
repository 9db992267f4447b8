"""IDX, the file format of MNIST and its relatives: big-endian header, then unsigned bytes.

Format: http://yann.lecun.com/exdb/mnist/ (bottom of the page).
"""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard.errors import DataError

_UNSIGNED_BYTE = 0x08


def read(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array in an uncompressed IDX file, uint8, read-only, in the file's own shape.

    Raises:
        DataError: the file is missing, is not IDX of unsigned bytes, or its length is not the
            one that its header gives.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from None
    return decode(content, name=str(path))


def decode(content: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Return the array in `content`, the bytes of an IDX file; `name` is for messages.

    Raises:
        DataError: as for `read`.
    """
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise DataError(
            f"{name}: expected an IDX file of unsigned bytes (00 00 08), "
            f"found {content[:3].hex(' ') or 'nothing'}; delete it and run `dvc repro download`"
        )
    header = 4 + 4 * content[3]
    if not 1 <= content[3] <= 64:
        raise DataError(
            f"{name}: expected 1 to 64 axes, found {content[3]}; delete it and run `dvc repro download`"
        )
    if len(content) < header:
        raise DataError(f"{name}: the IDX header is cut off; delete it and run `dvc repro download`")
    shape = struct.unpack(f">{content[3]}I", content[4:header])
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(
            f"{name}: expected {expected:,} bytes for shape {shape}, found {len(content):,}; "
            "delete it and run `dvc repro download`"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    """Return the bytes of the IDX file that holds `array` (uint8, 1 to 64 axes, as many as numpy has)."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    return header + array.tobytes()
