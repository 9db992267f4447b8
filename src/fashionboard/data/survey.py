"""What is odd about a data set's images: pictures that are there twice, dark ones, uniform ones."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fashionboard.base import clock
from fashionboard.data import idx
from fashionboard.data.dataset import Images

# values counted at a time: numpy counts in copies up to eight times as large
_TOGETHER = 2**20


@dataclass(frozen=True)
class Copies:
    """How many images are there again, pixel by pixel, whatever their labels.

    train, test: of so many, an equal one comes earlier in the same split. across: so many test images are
    training images, too.
    """

    train: int
    test: int
    across: int


@dataclass(frozen=True)
class Extremes:
    """Positions of images, int64 (n,), the most extreme one first: the darkest, and the most uniform."""

    darkest: npt.NDArray[np.int64]
    most_uniform: npt.NDArray[np.int64]


def parts(pixels: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield images a few at a time, all in their order; of mapped ones, see `idx.read`, none stays in memory.

    pixels: uint8 (images, ...).
    """
    each = max(1, _TOGETHER // max(1, pixels[:1].size))
    for start in range(0, len(pixels), each):
        yield pixels[start : start + each]
        idx.forget(pixels)


@clock.part("computing")
def copies(train: Images, test: Images) -> Copies:
    """Count the images that are there again: of two with one digest, BLAKE2b of 16 bytes, all is equal."""
    digests = [[_digest(image) for part in parts(split.pixels) for image in part] for split in (train, test)]
    learned, examined = map(set, digests)
    return Copies(
        train=len(train) - len(learned),
        test=len(test) - len(examined),
        across=sum(digest in learned for digest in digests[1]),
    )


def _digest(image: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


@clock.part("computing")
def extremes(images: Images, count: int) -> Extremes:
    """Find the `count` darkest images and the `count` most uniform ones, or all if there are fewer.

    The darkest have the least mean of all their values. The most uniform have the least variance of their
    pixels, in colour the least sum of those of red, green and blue. All is counted in integers, so that no
    order of summing decides; among equals the earlier one comes first.
    """
    sums, variances = list[npt.NDArray[np.int64]](), list[npt.NDArray[np.int64]]()
    for part in parts(images.pixels):
        _, height, width, *channels = part.shape
        # (images, channels, pixels), in 16 bits, which hold the square of a value
        values = part.reshape(len(part), height * width, *(channels or [1])).swapaxes(1, 2)
        values = values.astype(np.uint16, order="C")
        total, squares = values.sum(axis=2, dtype=np.int64), (values * values).sum(axis=2, dtype=np.int64)
        sums.append(total.sum(axis=1))
        # times the square of the number of pixels, which is the same for all: below 2e14 with 224 x 224
        variances.append((height * width * squares - total * total).sum(axis=1))
    return Extremes(_least(sums, count), _least(variances, count))


def _least(values: list[npt.NDArray[np.int64]], count: int) -> npt.NDArray[np.int64]:
    return np.argsort(np.concatenate(values), kind="stable")[:count]
