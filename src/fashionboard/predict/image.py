"""A picture made into an image as Fashion-MNIST has them: 28 x 28, grey, light on black.

Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747, section 2. The authors' pictures are 51 x 73 pixels, on #fdfdfd, and are
(1) converted to PNG, (2) trimmed of edges within 5 % of the corner pixels' colour, (3) resized by skipping
rows and columns until the longest edge is 28, (4) sharpened with a Gaussian of radius and standard
deviation 1.0, (5) extended to 28 x 28, centred, (6) negated, (7) converted to 8 bits of grey.

What differs here, since a picture of one's own is larger, and has not the shop's background:

- The background is dark as well as light: what is on it decides, and only a light one is negated.
- It is not the same everywhere: its colour is interpolated between the corners, each a mean over some
  pixels; a corner that something reaches into counts as the median of all four.
- It becomes 0 whatever its grey, and all else is stretched with it, as if it had been white.
- Pixels are averaged, not skipped: of a photograph, too many would be.
- Sharpening adds what the Gaussian takes away, the same everywhere: the authors' has "increasing effect near
  outlines", by a rule that they do not give.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from fashionboard.base.errors import PictureError
from fashionboard.base.kind import FASHION_MNIST

_SIZE = FASHION_MNIST.size
# a picture is worked on at the smallest half, third, ... of its size with a longest edge of this or more
_WORKING = 4 * _SIZE
# of the maximum intensity: the authors' closeness; how far a corner may be from the median of all
_CLOSE, _UNEVEN = 0.05 * 255, 0.5 * 255
# a corner is this part of the shorter edge
_CORNER = 1 / 64
# of red, green and blue in grey: ITU-R BT.601
_GREY = np.array([0.299, 0.587, 0.114])
# a Gaussian of radius and standard deviation 1
_GAUSSIAN = np.exp(-np.square([[-1, 0, 1]]) / 2)
_GAUSSIAN = _GAUSSIAN.T * _GAUSSIAN / np.sum(_GAUSSIAN) ** 2

Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Converted:
    """A picture as the net takes it.

    pixels: uint8 (28, 28), 0 is the background. light: whether the background was lighter than what is
    on it, so that the picture was negated. box: left, upper, right and lower edge, in pixels of the
    picture, of what was left by trimming.
    """

    pixels: Pixels
    light: bool
    box: tuple[int, int, int, int]


def convert(picture: Image.Image) -> Converted:
    """Convert a picture, of mode RGB and any size.

    Raises:
        PictureError: there is nothing but background on it.
    """
    factor = max(1, max(picture.size) // _WORKING)
    across, down = (min(factor, edge) for edge in picture.size)
    level, there = _against_background(picture.reduce((across, down)))
    light = bool(level[there].sum() <= 0)
    if not light:
        # from here on as a light one, so that a picture and its negative give the same
        level, there = _against_background(ImageOps.invert(picture).reduce((across, down)))
    left, upper, right, lower = _box(there)
    width, height = picture.size
    box = (left * across, upper * down, min(width, right * across), min(height, lower * down))
    if factor > 1 and max(box[2] - box[0], box[3] - box[1]) < max(picture.size) / 2:
        return _closer(picture, box)
    garment = np.where(there, np.clip(-255 * level, 0, 255), 0)[upper:lower, left:right]
    return Converted(_centre(_sharpen(_shrink(garment))), light, box)


def _closer(picture: Image.Image, box: tuple[int, int, int, int]) -> Converted:
    """Convert what is in `box` and a margin around it, of which more can be seen than of the whole."""
    margin = max(box[2] - box[0], box[3] - box[1]) // 10
    left, upper = max(0, box[0] - margin), max(0, box[1] - margin)
    right, lower = min(picture.width, box[2] + margin), min(picture.height, box[3] + margin)
    part = convert(picture.crop((left, upper, right, lower)))
    x1, y1, x2, y2 = part.box
    return replace(part, box=(left + x1, upper + y1, left + x2, upper + y2))


def _against_background(picture: Image.Image) -> tuple[_Floats, npt.NDArray[np.bool_]]:
    """Return how light each pixel is against the background, and whether it is none of it.

    Returns float64 (height, width), -1 is black, 0 as light as the background, and bool (height, width).
    """
    colours = np.asarray(picture, np.float64)  # (height, width, red green blue)
    background = _background(colours)
    there = np.linalg.norm(colours - background, axis=2) > _CLOSE
    # not `@`, which is BLAS: its last bit depends on the machine
    grey, grey_background = (np.einsum("ijk,k->ij", each, _GREY) for each in (colours, background))
    return grey / np.maximum(1, grey_background) - 1, there


def _background(colours: _Floats) -> _Floats:
    """Interpolate between the colours of the corners, (height, width, 3)."""
    height, width, _ = colours.shape
    edge = max(1, round(min(height, width) * _CORNER))
    ends = (slice(edge), slice(-edge, None))
    corners = np.array([[colours[rows, columns].mean(axis=(0, 1)) for columns in ends] for rows in ends])
    middle = np.median(corners, axis=(0, 1))
    stray = np.linalg.norm(corners - middle, axis=2) > _UNEVEN
    corners[stray] = middle
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[:, None]
    sides = corners[0] * (1 - down) + corners[1] * down  # (height, left right, 3)
    background: _Floats = sides[:, :1] * (1 - across) + sides[:, 1:] * across
    return background


def _box(there: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the left, upper, right and lower edge of what is there."""
    columns, rows = (np.flatnonzero(there.any(axis=axis)) for axis in (0, 1))
    if not len(rows):
        raise PictureError("expected something on a plain background, found one colour alone")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _shrink(level: _Floats) -> _Floats:
    """Average or repeat pixels until the longest edge is 28."""
    scale = _SIZE / max(level.shape)
    height, width = (max(1, round(edge * scale)) for edge in level.shape)
    image = Image.fromarray(level.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)


def _sharpen(level: _Floats) -> _Floats:
    """Add what a Gaussian of radius 1 takes away; 0 to 255, with 0 around."""
    padded = np.pad(level, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))  # (height, width, 3, 3)
    blurred = np.einsum("ijkl,kl->ij", windows, _GAUSSIAN)
    sharpened: _Floats = np.clip(2 * level - blurred, 0, 255)
    return sharpened


def _centre(level: _Floats) -> Pixels:
    """Extend to 28 x 28 with 0 around."""
    canvas = np.zeros((_SIZE, _SIZE), np.uint8)
    height, width = level.shape
    y, x = (_SIZE - height) // 2, (_SIZE - width) // 2
    canvas[y : y + height, x : x + width] = np.rint(level)
    return canvas
