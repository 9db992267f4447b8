"""Training images changed at random in ways that leave their class as it is.

How an image is changed is drawn for each image and epoch from generators of this module's own. So it is the
same for any batch size, for any number of threads, and for a training that goes on where another one stopped;
and no other generator is touched.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from fashionboard.base import clock

_SHIFT = 2  # pixels at most, each way
# shares of an image's area, and the least ratio of a box's sides.
# Sources: torchvision's RandomResizedCrop has the ratio, and 0.08 for a million images; fastai's
# train_imagenette.py has 0.35, for ten thousand
_CROPPED, _CROPPED_RATIO = (0.35, 1.0), 3 / 4
# source: torchvision's RandomErasing, also for erasing every other image; after Zhong et al., "Random Erasing
# Data Augmentation" (2017)
_ERASED, _ERASED_RATIO = (0.02, 0.33), 0.3


def draw(names: Sequence[str], images: int, size: int, seed: int, epoch: int) -> dict[str, Tensor]:
    """Return how each image is changed in `epoch`, by name, in the order in which that happens.

    names: different ones of flip-shift, crop-flip, randaugment and erase. size: pixels of an image's edge.

    Each is int64 (images, n), for each image:

    - flip-shift: 1 if it is mirrored, else 0; the rows and the columns that it is moved by, -2 to 2; all
      are equally likely;
    - crop-flip: 1 if it is mirrored, else 0; the box that is cut out of it: its first row, first column,
      height and width, an area of 35 to 100 % with sides of up to 3:4;
    - randaugment: the seed of what is drawn for it, 32 bits;
    - erase: the box that becomes black, an area of 2 to 33 % with sides of up to 3:10, in half the images;
      in the others its height and width are 0.
    """
    drawn = {}
    for name in names:
        # spawned: other streams than the order of the images, which is drawn from seed and epoch, too
        sequence = np.random.SeedSequence(seed, spawn_key=(epoch, *_WAYS[name].stream))
        drawn[name] = torch.from_numpy(_WAYS[name].draw(np.random.default_rng(sequence), images, size))
    return drawn


def on_device(names: Iterable[str]) -> bool:
    """Say whether all these are done where the pixels are; others take one image at a time, on the CPU."""
    return all(_WAYS[name].on_device for name in names)


def change(pixels: Tensor, changes: Mapping[str, Tensor]) -> Tensor:
    """Change images one way after the other.

    pixels: uint8 (batch, size, size), or (batch, size, size, 3) in colour; on the CPU, unless `on_device`
    says that all this is done where the pixels are. changes: by name, int64 (batch, n), rows of what `draw`
    returns, on the same device.

    Returns uint8, in the shape of `pixels`.
    """
    for name, drawn in changes.items():
        pixels = _WAYS[name].change(pixels, drawn)
    return pixels


def _draw_flip_shift(generator: np.random.Generator, images: int, size: int) -> npt.NDArray[np.int64]:
    return generator.integers([0, -_SHIFT, -_SHIFT], [2, _SHIFT + 1, _SHIFT + 1], (images, 3))


def _draw_crop_flip(generator: np.random.Generator, images: int, size: int) -> npt.NDArray[np.int64]:
    sides = _sides(generator, images, size, _CROPPED, _CROPPED_RATIO)
    return np.hstack([generator.integers(0, 2, (images, 1)), _boxes(generator, sides, size)])


def _draw_randaugment(generator: np.random.Generator, images: int, size: int) -> npt.NDArray[np.int64]:
    # torch's generator takes no more bits of a seed
    return generator.integers(0, 2**32, (images, 1))


def _draw_erase(generator: np.random.Generator, images: int, size: int) -> npt.NDArray[np.int64]:
    sides = _sides(generator, images, size, _ERASED, _ERASED_RATIO)
    return _boxes(generator, sides * generator.integers(0, 2, (images, 1)), size)


def _sides(
    generator: np.random.Generator, images: int, size: int, shares: tuple[float, float], ratio: float
) -> npt.NDArray[np.int64]:
    """Return heights and widths of boxes within images of `size` x `size` pixels: int64 (images, 2).

    shares: of the image's area, all equally likely. ratio: the least one of the shorter side to the longer,
    all up to 1 equally likely. torchvision draws the ratio's logarithm; an exponential's last bit is the
    processor's, that of a square root is not.
    """
    area = size**2 * generator.uniform(*shares, images)
    ratios = generator.uniform(ratio, 1, images)
    sides = np.sqrt(np.column_stack([area * ratios, area / ratios]))
    upright = generator.integers(0, 2, (images, 1)) == 1
    # what is longer than the image ends with it
    return np.minimum(np.rint(np.where(upright, sides[:, ::-1], sides)), size).astype(np.int64)


def _boxes(generator: np.random.Generator, sides: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return first rows, first columns, heights and widths of boxes at random places: int64 (images, 4)."""
    return np.hstack([generator.integers(0, size - sides, endpoint=True), sides])


def _flip_shift(pixels: Tensor, drawn: Tensor) -> Tensor:
    """Mirror images left to right, then move them down and to the right; what comes in is black."""
    height, width = pixels.shape[1:3]
    mirrored, down, right = drawn.unbind(1)
    pixels = torch.where(mirrored.bool().view(-1, *[1] * (pixels.ndim - 1)), pixels.flip(2), pixels)
    framed = functional.pad(pixels, [0] * 2 * (pixels.ndim - 3) + [_SHIFT] * 4)
    # every place of the frame as a view: (batch, 5, 5, height, width), or (batch, 5, 5, 3, height, width)
    places = framed.unfold(1, height, 1).unfold(2, width, 1)
    moved = places[torch.arange(len(pixels), device=pixels.device), _SHIFT - down, _SHIFT - right]
    return moved if pixels.ndim == 3 else moved.permute(0, 2, 3, 1)


def _crop_flip(pixels: Tensor, drawn: Tensor) -> Tensor:
    """Cut a box out of each image, enlarge it to the whole, mirror it or not."""
    size = pixels.shape[1:3]

    def one(image: Tensor, mirrored: int, top: int, left: int, height: int, width: int) -> Tensor:
        box = image[None, :, top : top + height, left : left + width]
        # as torchvision's resize
        whole = functional.interpolate(box, size, mode="bilinear", antialias=True)[0]
        return whole.flip(2) if mirrored else whole

    return _each(pixels, drawn, one)


def _randaugment(pixels: Tensor, drawn: Tensor) -> Tensor:
    """Change each image by two of torchvision's operations, of the magnitude that it has by default.

    Source: Cubuk et al., "RandAugment: Practical automated data augmentation" (2019).

    The bits are the same everywhere: pixels that are moved are looked up, not mixed. There is one angle,
    whose sine and cosine are far from where a float32 is rounded up or down, and one shear, which looks far
    from where two pixels meet. Sums of pixels are whole numbers that a float32 holds, up to 256 x 256 pixels.
    """
    # it takes a second to import
    with clock.part("imports"):
        from torchvision.transforms import v2

    randaugment = v2.RandAugment(num_ops=2, magnitude=9, interpolation=v2.InterpolationMode.NEAREST)

    def one(image: Tensor, seed: int) -> Tensor:
        torch.default_generator.manual_seed(seed)
        changed: Tensor = randaugment(image)
        return changed

    # torchvision draws from the one generator that torch has
    with torch.random.fork_rng(devices=[]):
        return _each(pixels, drawn, one)


def _erase(pixels: Tensor, drawn: Tensor) -> Tensor:
    """Make a box of each image black."""
    top, left, height, width = drawn[:, :, None].unbind(1)  # each (batch, 1)
    place = torch.arange(pixels.shape[1], device=pixels.device)
    rows, columns = (place >= top) & (place < top + height), (place >= left) & (place < left + width)
    box = rows[:, :, None] & columns[:, None, :]
    return pixels.masked_fill(box.view(*box.shape, *[1] * (pixels.ndim - 3)), 0)


def _each(pixels: Tensor, drawn: Tensor, one: Callable[..., Tensor]) -> Tensor:
    """Change image by image; `one` maps uint8 (channels, size, size), and what was drawn, to the like."""
    planes = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    with _one_thread():
        changed = [one(image, *row) for image, row in zip(planes.contiguous(), drawn.tolist(), strict=True)]
    together = torch.stack(changed) if changed else planes
    return together[:, 0] if pixels.ndim == 3 else together.permute(0, 2, 3, 1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread within the block: more would part an image where their number says."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Way:
    """A way to change images: the number of its stream, how it is drawn, how it is done and where."""

    stream: tuple[int, ...]
    draw: Callable[[np.random.Generator, int, int], npt.NDArray[np.int64]]
    change: Callable[[Tensor, Tensor], Tensor]
    on_device: bool = False


_WAYS = {
    "flip-shift": _Way((), _draw_flip_shift, _flip_shift, on_device=True),
    "crop-flip": _Way((1,), _draw_crop_flip, _crop_flip),
    "randaugment": _Way((2,), _draw_randaugment, _randaugment),
    "erase": _Way((3,), _draw_erase, _erase, on_device=True),
}
