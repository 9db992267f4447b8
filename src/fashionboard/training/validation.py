"""Training images held out of training, and how well a net does on them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionboard.base.errors import TrainingError
from fashionboard.data.dataset import Images
from fashionboard.network.nets import normalise

# images a forward pass; bounds the memory
_TOGETHER = 1000


@dataclass(frozen=True)
class Score:
    """How well a net does on images that it was not trained on.

    loss: mean cross-entropy. accuracy: share of the images whose likeliest class is their label, 0 to 1.
    """

    loss: float
    accuracy: float


def hold_out(images: Images, count: int, seed: int) -> tuple[Images, Images | None]:
    """Part `images` into those to train on and `count` others, drawn at random, both in their order.

    Of each class the same share is held out, to within an image. With a count of 0 nothing is: None.

    Raises:
        TrainingError: a class would have no image on one of the sides.
    """
    if count == 0:
        return images, None
    # 0.9 s to import, for this alone
    from sklearn.model_selection import train_test_split

    _, counts = np.unique(images.labels, return_counts=True)
    classes, fewest = len(counts), counts.min()
    parts: list[npt.NDArray[np.int64]] = []
    if fewest > 1 and classes <= count <= len(images) - classes:
        everything = np.arange(len(images))
        parts = train_test_split(everything, test_size=count, stratify=images.labels, random_state=seed)
    # of a small class the share may be less than an image
    if not parts or any(len(np.unique(images.labels[part])) < classes for part in parts):
        raise TrainingError(
            f"train.validation is {count:,}, expected 0, or {classes:,} to {len(images) - classes:,} of the "
            "training images, with some of each class on both sides: "
            f"a class has {fewest:,} in all; choose another number, or 0"
        )
    kept, held_out = (Images(images.pixels[at], images.labels[at]) for at in map(np.sort, parts))
    return kept, held_out


def score(net: nn.Module, pixels: Tensor, labels: Tensor) -> Score:
    """Return how well `net` does, which must be in evaluation mode.

    pixels: uint8 (images, 28, 28). labels: int64 (images,). Both on the net's device.
    """
    with torch.no_grad():
        logits = torch.cat([net(normalise(part)) for part in pixels.split(_TOGETHER)]).double()
        loss = functional.cross_entropy(logits, labels)
        accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return Score(loss.item(), accuracy.item())
