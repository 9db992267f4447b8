"""Pictures as uint8 arrays: scaled, arranged in a grid, encoded as PNG.

Grey ones are (images, height, width), those in colour (images, height, width, 3): red, green and blue.
"""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashionboard.base import clock

Pixels = npt.NDArray[np.uint8]

# pixels: the largest sprite that TensorBoard's page can show, and the largest thumbnail in one
_SPRITE, _THUMBNAIL = 8192, 64


@clock.part("figures")
def scaled(pixels: Pixels, edge: int) -> Pixels:
    """Scale images, uint8 (images, height, width) or (images, height, width, 3), one after another.

    The longer side becomes `edge` pixels, 1 or more, and the other one keeps its proportion. Each pixel is
    repeated where `edge` is a multiple of both; else Pillow resamples with its filter BICUBIC, in integers,
    which gives the same bytes on every processor. Returns the same array where there is nothing to do.
    """
    count, height, width, *channels = pixels.shape
    longer = max(height, width)
    if longer == edge:
        return pixels
    if edge % longer == 0:
        return pixels.repeat(edge // longer, axis=1).repeat(edge // longer, axis=2)
    size = [max(1, round(side * edge / longer)) for side in (height, width)]
    small = np.empty((count, *size, *channels), np.uint8)
    for index, image in enumerate(pixels):
        small[index] = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return small


def thumbnails(pixels: Pixels, edge: int) -> Pixels:
    """Scale images as `scaled` does where a side has more than `edge` pixels, else return the same array."""
    return scaled(pixels, edge) if max(pixels.shape[1:3]) > edge else pixels


@clock.part("figures")
def grid(pixels: Pixels, columns: int, padding: int = 2) -> Pixels:
    """Arrange images in rows of `columns`, with black padding around each.

    pixels: uint8 (images, height, width) or (images, height, width, 3).

    Returns uint8 (rows * (height + padding) + padding, columns * (width + padding) + padding), and 3 where
    they are in colour: the arrangement of `torchvision.utils.make_grid`; places left over at the end are
    black.
    """
    count, height, width, *channels = pixels.shape
    rows, high, wide = math.ceil(count / columns), height + padding, width + padding
    canvas = np.zeros((rows * high + padding, columns * wide + padding, *channels), np.uint8)
    for index, image in enumerate(pixels):
        top, left = index // columns * high + padding, index % columns * wide + padding
        canvas[top : top + height, left : left + width] = image
    return canvas


def sprite_thumbnails(pixels: Pixels) -> Pixels:
    """Scale one or more images, as `thumbnails` does, to what fits into a sprite of all of them.

    These are 64 pixels a side at most, and less with so many images that a sprite had more than 8,192, beyond
    which TensorBoard's page breaks.
    """
    return thumbnails(pixels, min(_THUMBNAIL, _SPRITE // _side(len(pixels))))


def sprite(pixels: Pixels) -> Pixels:
    """Arrange images as TensorBoard's projector wants thumbnails.

    pixels: uint8 (images, height, width) or (images, height, width, 3).

    Returns uint8 (side * height, side * width), side = ceil(sqrt(images)), and 3 where they are in colour,
    without padding; the places left over at the end are black.
    """
    side, (_, height, width, *channels) = _side(len(pixels)), pixels.shape
    rows = grid(pixels, columns=side, padding=0)
    square = np.zeros((side * height, side * width, *channels), np.uint8)
    square[: len(rows)] = rows
    return square


def _side(count: int) -> int:
    return math.ceil(math.sqrt(count))


@clock.part("figures")
def png(pixels: Pixels) -> bytes:
    """Encode uint8 (height, width) grey or (height, width, 3) RGB as PNG, without loss."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()
