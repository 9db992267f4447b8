"""Some of the images of a large data set, which do not fit into memory."""

import math
import tempfile

import numpy as np
import numpy.typing as npt

from fashionboard.base.errors import DataError
from fashionboard.data import idx

# bytes written at a time: few enough for any memory, many enough for few system calls
_TOGETHER = 2**24
# images read before what came into memory with them is let go: Linux may bring in 2 MiB with each
_FEW = 32


def take(pixels: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return a copy of the images at `positions` in memory, where nothing else of mapped `pixels` stays.

    pixels: uint8 (images, ...). positions: int64 (n,). Returns uint8 (n, ...).
    """
    if not idx.is_mapped(pixels):
        return pixels[positions]
    taken = np.empty((len(positions), *pixels.shape[1:]), np.uint8)
    for start in range(0, len(positions), _FEW):
        taken[start : start + _FEW] = pixels[positions[start : start + _FEW]]
        idx.forget(pixels)
    return taken


def rows(pixels: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the images at `positions`: in memory, or in a temporary file if `pixels` are mapped.

    The file is mapped in its turn, see `idx.read`. It has no name, and its bytes are given back when nothing
    holds the array any more. It lies where Python's tempfile puts it: in $TMPDIR, else in /tmp.

    pixels: uint8 (images, ...). positions: int64 (n,). Returns uint8 (n, ...).

    Raises:
        DataError: the temporary file cannot be written, for instance because the disk is full.
    """
    if len(positions) == 0 or not idx.is_mapped(pixels):
        return pixels[positions]
    shape = (len(positions), *pixels.shape[1:])
    together = max(1, _TOGETHER // pixels[0].size)
    try:
        with tempfile.TemporaryFile() as file:
            for start in range(0, len(positions), together):
                file.write(take(pixels, positions[start : start + together]).data)
            file.flush()
            return np.memmap(file, np.uint8, "c", shape=shape)
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: expected room for a temporary file of {math.prod(shape):,} bytes, "
            f"found none ({error.strerror}); free some, or name another folder in TMPDIR"
        ) from None
