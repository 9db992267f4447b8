"""Pictures as uint8 arrays: arranged in a grid, encoded as PNG."""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashionboard.base import clock

Pixels = npt.NDArray[np.uint8]


@clock.part("figures")
def grid(pixels: Pixels, columns: int, padding: int = 2) -> Pixels:
    """Arrange grey images in rows of `columns`, with black padding around each.

    pixels: uint8 (images, height, width).

    Returns uint8 (rows * (height + padding) + padding, columns * (width + padding) + padding), the
    arrangement of `torchvision.utils.make_grid`; places left over at the end are black.
    """
    count, height, width = pixels.shape
    rows = math.ceil(count / columns)
    padded = np.zeros((rows * columns, height + padding, width + padding), np.uint8)
    padded[:count, padding:, padding:] = pixels
    canvas = np.zeros((rows * (height + padding) + padding, columns * (width + padding) + padding), np.uint8)
    # (rows, columns, height, width) -> (rows, height, columns, width), so that rows of pixels are whole
    tiles = padded.reshape(rows, columns, height + padding, width + padding).swapaxes(1, 2)
    canvas[: rows * (height + padding), : columns * (width + padding)] = tiles.reshape(
        rows * (height + padding), columns * (width + padding)
    )
    return canvas


def sprite(pixels: Pixels) -> Pixels:
    """Arrange grey images, uint8 (images, height, width), as TensorBoard's projector wants thumbnails.

    Returns uint8 (side * height, side * width), side = ceil(sqrt(images)), without padding; the
    places left over at the end are black.
    """
    count, height, width = pixels.shape
    side = math.ceil(math.sqrt(count))
    filled = np.zeros((side * side, height, width), np.uint8)
    filled[:count] = pixels
    return grid(filled, columns=side, padding=0)


@clock.part("figures")
def png(pixels: Pixels) -> bytes:
    """Encode uint8 (height, width) grey or (height, width, 3) RGB as PNG, without loss."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()
