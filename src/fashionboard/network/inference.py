"""A trained net applied to many images."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from fashionboard.base.errors import ModelError
from fashionboard.network.nets import Network, normalise

# rows and columns that a view is moved by
_SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


def log_probabilities(
    net: nn.Module, pixels: npt.NDArray[np.uint8], batch_size: int
) -> npt.NDArray[np.float64]:
    """Return the logarithm of each class's probability for each image.

    pixels: uint8 (images, size, size), or (images, size, size, 3) in colour. batch_size: images a forward
    pass; bounds the memory.

    Returns float64 (images, classes), finite, none above 0.

    Raises:
        ModelError: a logit is not finite, as with finite weights that are huge.
    """
    net.eval()
    with torch.no_grad():
        logits = torch.cat([net(normalise(batch)) for batch in torch.from_numpy(pixels).split(batch_size)])
        if not logits.isfinite().all():
            found = logits[~logits.isfinite()][0].item()
            raise ModelError(f"expected finite logits, found {found}; train again with a smaller train.lr")
        # in float64, where no probability of a finite logit falls to zero
        return functional.log_softmax(logits.double(), dim=1).numpy()


def with_views(
    logs: npt.NDArray[np.float64],
    net: nn.Module,
    pixels: npt.NDArray[np.uint8],
    batch_size: int,
    augment: Literal["none", "flip", "flip-shift"],
) -> npt.NDArray[np.float64]:
    """Return the logarithm of each class's mean probability, over each image and other views of it.

    The mean is that of the probabilities, so those of an image add up to 1.

    logs: float64 (images, classes), what `log_probabilities` returns for the images themselves. pixels,
    batch_size: as there. augment: none, where `logs` are returned; flip, the image and its mirror image;
    flip-shift, these and both moved by one pixel up, down, left and right, black coming in: ten views.

    Returns float64 (images, classes), finite, none above 0.

    Raises:
        ModelError: a logit is not finite, as with finite weights that are huge.
    """
    if augment == "none":
        return logs
    shifts = _SHIFTS if augment == "flip-shift" else _SHIFTS[:1]
    views = [(flip, shift) for flip in (False, True) for shift in shifts]
    total = torch.from_numpy(logs)
    for flip, shift in views[1:]:
        mirrored = pixels[:, :, ::-1] if flip else pixels
        # a view of all images would be as large as they are
        parts = [mirrored[start:][:batch_size] for start in range(0, max(len(pixels), 1), batch_size)]
        found = [log_probabilities(net, _moved(part, *shift), batch_size) for part in parts]
        total = torch.logaddexp(total, torch.from_numpy(np.concatenate(found)))
    # classes that are certain in all views may be rounded to a little more
    return (total - math.log(len(views))).clamp_(max=0).numpy()


def _moved(pixels: npt.NDArray[np.uint8], down: int, right: int) -> npt.NDArray[np.uint8]:
    """Return images moved by at most one pixel each way."""
    height, width, *colours = pixels.shape[1:]
    framed = np.pad(pixels, ((0, 0), (1, 1), (1, 1), *((0, 0) for _ in colours)))
    return np.ascontiguousarray(framed[:, 1 - down :, 1 - right :][:, :height, :width])


def features(net: Network, pixels: npt.NDArray[np.uint8], batch_size: int) -> npt.NDArray[np.float32]:
    """Return what the last layer of `net` sees of each image.

    pixels: uint8 (images, size, size), or (images, size, size, 3) in colour. batch_size: images a pass;
    bounds the memory.

    Returns float32 (images, features).
    """
    net.eval()
    with torch.no_grad():
        batches = torch.from_numpy(pixels).split(batch_size)
        return torch.cat([net.features(normalise(batch)) for batch in batches]).numpy()
