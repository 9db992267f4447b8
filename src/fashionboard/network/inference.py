"""A trained net applied to many images."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from fashionboard.base.errors import ModelError
from fashionboard.network.nets import Network, normalise


def log_probabilities(
    net: nn.Module, pixels: npt.NDArray[np.uint8], batch_size: int
) -> npt.NDArray[np.float64]:
    """Return the logarithm of each class's probability for each image.

    pixels: uint8 (images, 28, 28). batch_size: images a forward pass; bounds the memory.

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


def features(net: Network, pixels: npt.NDArray[np.uint8], batch_size: int) -> npt.NDArray[np.float32]:
    """Return what the last layer of `net` sees of each image.

    pixels: uint8 (images, 28, 28). batch_size: images a pass; bounds the memory.

    Returns float32 (images, features).
    """
    net.eval()
    with torch.no_grad():
        batches = torch.from_numpy(pixels).split(batch_size)
        return torch.cat([net.features(normalise(batch)) for batch in batches]).numpy()
