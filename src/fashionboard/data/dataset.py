"""A data set on disk: four IDX files where torchvision looks for them, and what they are.

    <root>/dataset.json                              name, classes, source, licence, what its images are like
    <root>/FashionMNIST/raw/train-images-idx3-ubyte  and three more; idx4 in colour

`torchvision.datasets.FashionMNIST(<root>)` opens the same folder, unless its images are in colour.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fashionboard.base import clock, outputs
from fashionboard.base import kind as kinds
from fashionboard.base.errors import DataError
from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.data import idx, mapped

Split = Literal["train", "test"]
_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}

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
    """What a data set is: shown wherever its numbers are.

    kind: what its images are like. originals: in words, how large the pictures were that they were made of;
    empty where they were made of none.
    """

    name: str
    title: str
    source: str
    licence: str
    classes: tuple[str, ...] = CLASSES
    kind: Kind = FASHION_MNIST
    originals: str = ""


@dataclass(frozen=True)
class Images:
    """Labelled images.

    pixels: uint8 (images, size, size), 0 is black, or (images, size, size, 3): red, green and blue. A large
    file's are mapped, see `idx.read`.
    labels: uint8 (images,), indices into a description's classes.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


def images_path(root: Path, split: Split, kind: Kind = FASHION_MNIST) -> Path:
    """Return where the images of `split` lie under `root`."""
    axes = 1 + len(kind.shape)
    return root / "FashionMNIST" / "raw" / f"{_PREFIX[split]}-images-idx{axes}-ubyte"


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
        return _description(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run `dvc repro download`") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError(
            f"{path}: not a data set's description; delete it and run `dvc repro download`"
        ) from None


def _description(content: Any) -> Description:
    """Return what dataset.json tells; ValueError, TypeError or KeyError where that is no description."""
    kind = kinds.told(content["kind"]) if "kind" in content else FASHION_MNIST
    description = Description(**{**content, "classes": tuple(content["classes"]), "kind": kind})
    classes, told = description.classes, vars(description)
    texts = [*(told[field.name] for field in fields(Description) if field.type is str), *classes]
    # a text in JSON may hold half a character, which no file can
    "".join(texts).encode()
    if not isinstance(content["classes"], list) or not classes or len(set(classes)) < len(classes):
        raise ValueError
    return description


def write_description(root: Path, description: Description) -> None:
    """Write `root`/dataset.json: what is as in Fashion-MNIST, or empty, is left out."""
    told = asdict(description)
    if description.kind == FASHION_MNIST:
        del told["kind"]
    if not description.originals:
        del told["originals"]
    outputs.write_json(root / "dataset.json", told)


def save(root: Path, description: Description, splits: Mapping[Split, Images]) -> None:
    """Write a whole data set under `root`."""
    for split, images in splits.items():
        outputs.write_parts(images_path(root, split, description.kind), idx.encoded(images.pixels))
        outputs.write_bytes(labels_path(root, split), idx.encode(images.labels))
    write_description(root, description)


@clock.part("reading")
def load(root: Path, split: Split) -> Images:
    """Read the images and labels of `split` under `root`.

    Raises:
        DataError: a file is missing or damaged, images and labels do not belong together, or a
            label is not the index of a class.
    """
    about = describe(root)
    pixels, labels = idx.read(images_path(root, split, about.kind)), idx.read(labels_path(root, split))
    shape = about.kind.shape
    if pixels.shape != (len(labels), *shape) or labels.shape != (len(pixels),) or len(labels) == 0:
        expected = f"images (n, {', '.join(map(str, shape))}) and labels (n,) with n > 0"
        raise DataError(
            f"{root} ({split}): expected {expected}, "
            f"found {pixels.shape} and {labels.shape}; delete them and run `dvc repro download`"
        )
    classes = len(about.classes)
    if labels.max() >= classes:
        raise DataError(
            f"{labels_path(root, split)}: expected labels below {classes}, found {labels.max()}; "
            "delete it and run `dvc repro download`"
        )
    return Images(pixels, labels)


def take(images: Images, positions: npt.NDArray[np.int64]) -> Images:
    """Return the images at `positions`, int64 (n,), in this order, copied into memory."""
    return Images(mapped.take(images.pixels, positions), images.labels[positions])


def choose(images: Images, count: int, seed: int) -> Images:
    """Return `count` different images, or all if there are fewer, in random order.

    They are drawn at random from a generator of their own.
    """
    return take(images, positions(len(images), count, seed))


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
    return take(images, np.concatenate([order[labels == label][:count] for label in np.unique(labels)]))
