"""A data set on disk: four IDX files where torchvision looks for them, and what they are.

    <root>/dataset.json                              name, classes, source, licence
    <root>/FashionMNIST/raw/train-images-idx3-ubyte  and three more

`torchvision.datasets.FashionMNIST(<root>)` opens the same folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fashionboard.base import clock, outputs
from fashionboard.base.errors import DataError
from fashionboard.data import idx

Split = Literal["train", "test"]
_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}

SIZE = 28  # pixels, both ways
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle Boot",
)


@dataclass(frozen=True)
class Description:
    """What a data set is: shown wherever its numbers are."""

    name: str
    title: str
    source: str
    licence: str
    classes: tuple[str, ...] = CLASSES


@dataclass(frozen=True)
class Images:
    """Labelled grey images.

    pixels: uint8 (images, height, width), 0 is black.
    labels: uint8 (images,), indices into a description's classes.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


def images_path(root: Path, split: Split) -> Path:
    """Return where the images of `split` lie under `root`."""
    return root / "FashionMNIST" / "raw" / f"{_PREFIX[split]}-images-idx3-ubyte"


def labels_path(root: Path, split: Split) -> Path:
    """Return where the labels of `split` lie under `root`."""
    return root / "FashionMNIST" / "raw" / f"{_PREFIX[split]}-labels-idx1-ubyte"


@clock.part("reading")
def describe(root: Path) -> Description:
    """Read `root`/dataset.json.

    Raises:
        DataError: it is missing or is not a description.
    """
    path = root / "dataset.json"
    try:
        if not path.is_file() and path.exists():
            # a pipe would be waited for
            raise ValueError
        fields = json.loads(path.read_text(encoding="utf-8"))
        description = Description(**{**fields, "classes": tuple(fields["classes"])})
        classes = description.classes
        texts = [description.name, description.title, description.source, description.licence, *classes]
        # a text in JSON may hold half a character, which no file can
        "".join(texts).encode()
        if not isinstance(fields["classes"], list) or not classes or len(set(classes)) < len(classes):
            raise ValueError
        return description
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError(
            f"{path}: not a data set's description; delete it and run `dvc repro download`"
        ) from None


def write_description(root: Path, description: Description) -> None:
    """Write `root`/dataset.json."""
    outputs.write_json(root / "dataset.json", asdict(description))


def save(root: Path, description: Description, splits: Mapping[Split, Images]) -> None:
    """Write a whole data set under `root`."""
    for split, images in splits.items():
        outputs.write_bytes(images_path(root, split), idx.encode(images.pixels))
        outputs.write_bytes(labels_path(root, split), idx.encode(images.labels))
    write_description(root, description)


@clock.part("reading")
def load(root: Path, split: Split) -> Images:
    """Read the images and labels of `split` under `root`.

    Raises:
        DataError: a file is missing or damaged, images and labels do not belong together, or a
            label is not the index of a class.
    """
    pixels, labels = idx.read(images_path(root, split)), idx.read(labels_path(root, split))
    if pixels.shape != (len(labels), SIZE, SIZE) or labels.shape != (len(pixels),) or len(labels) == 0:
        raise DataError(
            f"{root} ({split}): expected images (n, {SIZE}, {SIZE}) and labels (n,) with n > 0, "
            f"found {pixels.shape} and {labels.shape}; delete them and run `dvc repro download`"
        )
    classes = len(describe(root).classes)
    if labels.max() >= classes:
        raise DataError(
            f"{labels_path(root, split)}: expected labels below {classes}, found {labels.max()}; "
            "delete it and run `dvc repro download`"
        )
    return Images(pixels, labels)


def check_enough(images: Images, count: int, parameter: str) -> None:
    """Check that there are `count` training images, which `parameter` of params.yaml asks for.

    Raises:
        DataError: there are fewer.
    """
    if count > len(images):
        raise DataError(
            f"{parameter} is {count:,}, expected at most the number of training images, which is "
            f"{len(images):,}; ask for fewer"
        )


def choose(images: Images, count: int, seed: int) -> Images:
    """Return `count` different images, or all if there are fewer, in random order.

    They are drawn at random from a generator of their own.
    """
    chosen = positions(len(images), count, seed)
    return Images(images.pixels[chosen], images.labels[chosen])


def positions(images: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of `count` of so many images, or of all if there are fewer, in random order.

    They are drawn from a generator of its own. Returns int64 (n,).
    """
    return np.random.default_rng(seed).permutation(images)[:count]


def choose_by_class(images: Images, count: int, seed: int) -> Images:
    """Return `count` images of each class, or as many as there are, ordered by class.

    They are drawn at random from a generator of their own; those of a class are in random order.
    """
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels[order]
    chosen = np.concatenate([order[labels == label][:count] for label in np.unique(labels)])
    return Images(images.pixels[chosen], images.labels[chosen])
