"""A picture of any size made into a square image."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashionboard.base.errors import NO_ROOM, DataError, PictureError
from fashionboard.base.kind import Kind

# a polynomial, so the same bits everywhere; Pillow widens it for what shrinks, which avoids moiré
_FILTER = Image.Resampling.BICUBIC
# pixels of an edge, from which on Pillow cannot hold the weights of its filter, however much memory there is
_LONG = 2**26


def fit(picture: Image.Image, kind: Kind) -> npt.NDArray[np.uint8]:
    """Return a picture of mode RGB, at least 1 x 1 pixels, as an image: uint8 of `kind.shape`, 0 is black.

    crop: the middle square, as wide as the shorter edge. pad: the whole picture in the middle of black.
    stretch: the whole picture, both edges made as long as the image's. Where the middle lies between two
    pixels, it is the upper or left one. Grey is luma by ITU-R BT.601, as Pillow's mode L has it.

    Raises:
        PictureError: it is too long to be scaled.
        DataError: there is too little memory.
        ValueError: `kind.fit` is garment, which `predict.image` does.
    """
    if kind.colour == "grey":
        picture = picture.convert("L")
    if kind.fit == "crop":
        fitted = _crop(picture, kind.size)
    elif kind.fit == "pad":
        fitted = _pad(picture, kind.size)
    elif kind.fit == "stretch":
        fitted = _scaled(picture, kind.size, kind.size)
    else:
        raise ValueError(f"expected crop, pad or stretch, found {kind.fit}")
    return np.array(fitted, np.uint8)


def _crop(picture: Image.Image, size: int) -> Image.Image:
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    # cut before it is scaled: of 1 x 10,000 pixels that would be a strip of millions
    return _scaled(picture.crop((left, top, left + edge, top + edge)), size, size)


def _pad(picture: Image.Image, size: int) -> Image.Image:
    longer = max(picture.size)
    # rounded without floating point; of a hair something stays
    width, height = (max(1, (2 * edge * size + longer) // (2 * longer)) for edge in picture.size)
    square = Image.new(picture.mode, (size, size))
    square.paste(_scaled(picture, width, height), ((size - width) // 2, (size - height) // 2))
    return square


def _scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Scale one edge after the other, that first which leaves fewer pixels.

    Pillow would do both at once, but in an order that depends on its version, and each step rounds.
    """
    before = (width, picture.height), (picture.width, height)
    try:
        return picture.resize(min(before, key=math.prod), _FILTER).resize((width, height), _FILTER)
    except MemoryError:
        if max(picture.size) < _LONG:
            raise DataError(NO_ROOM) from None
        found = f"{picture.width:,} x {picture.height:,} pixels"
        raise PictureError(f"expected a picture that can be scaled, found {found}; cut it") from None
