"""Training images held out of training, and how well a net does on them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from fashionboard.base.errors import TrainingError
from fashionboard.base.kind import FASHION_MNIST
from fashionboard.data import mapped
from fashionboard.data.dataset import Images
from fashionboard.network.nets import normalise
from fashionboard.training.feed import Feed

# numbers a forward pass, as 1,000 images of 28 x 28 pixels have: bounds the memory; and images at least: a
# graphics card is idle with fewer
_TOGETHER, _LEAST = 1000 * FASHION_MNIST.values, 32


@dataclass(frozen=True)
class Score:
    """How well a net does on images that it was not trained on.

    loss: mean cross-entropy. accuracy: share of the images whose likeliest class is their label, 0 to 1.
    """

    loss: float
    accuracy: float


def hold_out(images: Images, count: int, seed: int) -> tuple[Images, Images | None]:
    """Part `images` into those to train on and `count` others, drawn at random, both in their order.

    Of each class the same share is held out, to within an image. With a count of 0 nothing is: None. Those of
    mapped images are mapped, see `mapped.rows`.

    Raises:
        TrainingError: a class would have no image on one of the sides.
        DataError: there is no room for a temporary file.
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
    sides = [np.sort(part) for part in parts]
    kept, held_out = (Images(mapped.rows(images.pixels, at), images.labels[at]) for at in sides)
    return kept, held_out


def score(net: nn.Module, feed: Feed) -> Score:
    """Return how well `net` does on the images of `feed`; it must be in evaluation mode, on their device."""
    parts = torch.arange(len(feed)).split(max(_LEAST, _TOGETHER // feed.values))
    logits, labels = [], []
    with torch.no_grad():
        for part in parts:
            pixels, classes = (each.to(feed.device) for each in feed.at(part))
            logits.append(net(normalise(pixels)))
            labels.append(classes)
        scores, targets = torch.cat(logits).double(), torch.cat(labels)
        loss = functional.cross_entropy(scores, targets)
        accuracy = (scores.argmax(dim=1) == targets).double().mean()
    return Score(loss.item(), accuracy.item())
