"""Training images changed at random in ways that leave their class as it is."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_SHIFT = 2  # pixels at most, each way


def draw(images: int, seed: int, epoch: int) -> Tensor:
    """Return how each image is changed in `epoch`, drawn from a generator of its own: int64 (images, 3).

    Of each: 1 if it is mirrored, else 0; the rows and the columns that it is moved by, -2 to 2. All
    are equally likely.
    """
    # spawned: another stream than the order of the images, which is drawn from seed and epoch, too
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return torch.from_numpy(
        generator.integers([0, -_SHIFT, -_SHIFT], [2, _SHIFT + 1, _SHIFT + 1], (images, 3))
    )


def flip_shift(pixels: Tensor, changes: Tensor) -> Tensor:
    """Mirror images left to right, then move them down and to the right; what comes in is black.

    pixels: uint8 (batch, height, width). changes: int64 (batch, 3), as `draw` gives them, on the same
    device.

    Returns uint8 (batch, height, width).
    """
    height, width = pixels.shape[1:]
    mirrored, down, right = changes.unbind(1)
    pixels = torch.where(mirrored.bool()[:, None, None], pixels.flip(2), pixels)
    padded = functional.pad(pixels, [_SHIFT] * 4)
    # every place of the frame as a view: (batch, 5, 5, height, width)
    frames = padded.unfold(1, height, 1).unfold(2, width, 1)
    return frames[torch.arange(len(pixels), device=pixels.device), _SHIFT - down, _SHIFT - right]
