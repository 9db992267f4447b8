"""A picture's file opened: any format that Pillow knows, as it is meant to be seen, on white."""

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fashionboard.base import errors
from fashionboard.base.errors import DataError, PictureError

# what the machine has none left of, or does badly: no fault of a picture
_MACHINE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO)
# the largest value of a pixel that is no byte, in the order in which they are tried
_TOPS = {"F": (1, 255, 65_535), "I": (255, 65_535), "I;16": (65_535,)}
# how far beyond it a number may be that is none of a larger range: filters overshoot
_OVER = 1.1
# how many of them are scaled at a time, since as numbers of 64 bits they need much memory
_AT_A_TIME = 1_000_000
# what Pillow starts a program for, or reads under Windows alone
_PROGRAMS = {"EPS", "WMF"}
_STDERR = 2  # the file descriptor that C libraries write to


def read(path: Path) -> Image.Image:
    """Return the first picture in a file, of mode RGB, turned as its EXIF orientation says, laid on white.

    16 or 32 bits of grey become 8. Meanwhile stderr is closed to the whole process.

    Raises:
        PictureError: there is no such file, it cannot be reached, it holds no picture or a damaged one,
            or one of more than Image.MAX_IMAGE_PIXELS pixels: a small file may fill the memory.
        DataError: this machine lacks the memory for it, or cannot read at all; whether the picture is whole
            is not known.
    """
    try:
        return _read(path)
    except Exception as error:
        if isinstance(error, MemoryError):
            raise DataError(f"{errors.visible(str(path))}: {errors.NO_ROOM}") from None
        if isinstance(error, OSError) and error.errno in _MACHINE:
            raise DataError(
                f"{errors.visible(str(path))}: cannot be read ({error.strerror}); try again"
            ) from None
        # what Pillow raises for a damaged file depends on its format, and may be anything
        raise PictureError(f"{errors.visible(str(path))}: {_explain(error)}") from None


def _read(path: Path) -> Image.Image:
    if "\0" in str(path):
        raise PictureError("expected a picture, found a name with a null byte, which no file has")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        # a pipe would be waited for
        raise PictureError("expected a picture, found no ordinary file")
    try:
        with warnings.catch_warnings(), _quiet_libraries():
            # of much that does not matter here; a bomb that Pillow would only warn of does
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.init()
            with Image.open(path, formats=[name for name in Image.ID if name not in _PROGRAMS]) as picture:
                return _on_white(picture)
    except UnidentifiedImageError:
        found = "something else" if status.st_size else "an empty file"
        raise PictureError(f"expected a picture that Pillow opens, found {found}") from None


def _explain(error: Exception) -> str:
    """Say what was expected and what was found, where reading failed with `error`."""
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"expected at most {Image.MAX_IMAGE_PIXELS:,} pixels, found more; make it smaller"
    if isinstance(error, FileNotFoundError):
        return "expected a picture, found no such file; see where it is"
    if isinstance(error, IsADirectoryError):
        return "expected a picture, found a folder; name the files in it"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    reason = str(error) or type(error).__name__
    return f"expected a whole picture, found a damaged one ({reason})"


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep from stderr what libtiff writes there by itself of a damaged file, and Pillow cannot turn off."""
    try:
        kept = os.dup(_STDERR)
    except OSError:
        # this process has none
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path that anything else is done with
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _on_white(picture: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode[:4] in _TOPS:  # I;16B, too
        return _in_bytes(picture).convert("RGB")
    if picture.has_transparency_data:
        own = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", own.size, "white"), own)
    return picture.convert("RGB")


def _in_bytes(picture: Image.Image) -> Image.Image:
    """Return a picture of 16 or 32 bits a pixel in grey, of mode L."""
    pixels = np.asarray(picture)
    kind = picture.mode[:4]

    def numbers() -> Iterator[npt.NDArray[np.float64]]:
        for start in range(0, pixels.size, _AT_A_TIME):
            part = pixels.reshape(-1)[start : start + _AT_A_TIME].astype(np.float64)
            yield np.nan_to_num(part, copy=False, posinf=0, neginf=0)

    largest = max(part.max() for part in numbers())
    over = _OVER if kind == "F" else 1
    top = next((top for top in _TOPS[kind] if largest <= over * top), largest)
    found = np.concatenate(
        [np.rint(np.clip(part / top, 0, 1) * 255).astype(np.uint8) for part in numbers()]
    ).reshape(pixels.shape)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        found[pixels == clear] = 255
    return Image.fromarray(found)
