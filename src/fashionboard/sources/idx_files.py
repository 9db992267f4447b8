"""A data set of one's own in four IDX files such as MNIST's, with the names of its classes.

<folder>/train-images-idx3-ubyte    and three more, each plain or .gz; idx4 for images in colour
<folder>/classes.txt                a name a line, in the order of the labels, UTF-8
"""

from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from fashionboard.base.errors import DataError
from fashionboard.base.kind import SIZES, Kind
from fashionboard.data import dataset, idx
from fashionboard.data.dataset import Description, Images, Split
from fashionboard.sources import own

_NAMES = "classes.txt"
# bytes of all names
_LARGEST = 100_000
_ADVICE = "mend it and run `dvc repro`"


def read(folder: Path, kind: Kind) -> tuple[Description, dict[Split, Images]]:
    """Return what a folder holds: images of uint8 (n, *kind.shape).

    Raises:
        DataError: a file is missing, damaged or changed meanwhile, images and labels do not belong together
            or are not of this kind, a class has no name or no image, or the names cannot be used.
    """
    before = _states(folder)
    classes = _classes(folder / _NAMES)
    about = own.description("idx", folder, classes, kind)
    splits = {split: _images(folder, split, classes, kind) for split in get_args(Split)}
    own.check_same(folder, before, _states(folder))
    return about, splits


def _states(folder: Path) -> dict[Path, object]:
    files = sorted(path for path in folder.iterdir() if path.name == _NAMES or "-ubyte" in path.name)
    return dict(zip(files, own.states(files), strict=True))


def _classes(path: Path) -> tuple[str, ...]:
    try:
        if not path.is_file() and path.exists():
            # a pipe would be waited for
            raise DataError(f"{path}: expected a file, found none; {_ADVICE}")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise DataError(f"{path}: expected at most {_LARGEST:,} bytes, found more; {_ADVICE}")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); write a class a line there") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected UTF-8, found something else; {_ADVICE}") from None
    names = tuple(line.strip() for line in text.rstrip().split("\n"))
    own.check_names(names, path, "lines", _ADVICE, lambda number: f" in line {number + 1}")
    return names


def _images(folder: Path, split: Split, classes: tuple[str, ...], kind: Kind) -> Images:
    images = _images_file(folder, split, kind)
    labels = _file(folder / dataset.labels_path(Path(), split).name)
    pixels, indices = idx.read(images, _ADVICE), idx.read(labels, _ADVICE)
    if pixels.shape[1:] != kind.shape or len(pixels) == 0:
        size = pixels.shape[1] if pixels.ndim == 1 + len(kind.shape) else 0
        square = (size, size, *kind.shape[2:])
        fits = len(pixels) and size in SIZES and pixels.shape[1:] == square
        other = f"set data.image_size={size}, or " if fits else ""
        expected = f"images (n, {', '.join(map(str, kind.shape))}), n > 0"
        raise DataError(f"{images}: expected {expected}, found {pixels.shape}; {other}{_ADVICE}")
    if indices.shape != (len(pixels),):
        raise DataError(
            f"{labels}: expected a label for each of {len(pixels)} images, found {indices.shape}; {_ADVICE}"
        )
    _check_labels(labels, indices, classes)
    return Images(pixels, indices)


def _images_file(folder: Path, split: Split, kind: Kind) -> Path:
    path = folder / dataset.images_path(Path(), split, kind).name
    other = Kind(kind.size, "grey" if kind.colour == "rgb" else "rgb", kind.fit)
    unwanted = folder / dataset.images_path(Path(), split, other).name
    if not _stored(path) and _stored(unwanted):
        raise DataError(
            f"{path}: expected it or {path.name}.gz for data.colour={kind.colour}, found "
            f"{_stored(unwanted)[0].name}; set data.colour={other.colour}"
        )
    return _file(path)


def _file(path: Path) -> Path:
    """Return where a file lies, plain or compressed."""
    found = _stored(path)
    if len(found) == 2:
        raise DataError(f"{path}: expected it either plain or as .gz, found both; remove one")
    if not found:
        raise DataError(f"{path}: expected it or {path.name}.gz, found neither; put one there")
    return found[0]


def _stored(path: Path) -> list[Path]:
    return [each for each in (path, path.with_name(f"{path.name}.gz")) if each.exists()]


def _check_labels(path: Path, labels: npt.NDArray[np.uint8], classes: tuple[str, ...]) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    if len(counts) > len(classes):
        raise DataError(f"{path}: expected labels below {len(classes)}, found {labels.max()}; {_ADVICE}")
    if not counts.all():
        # average precision is not defined without one
        name = classes[int(counts.argmin())]
        raise DataError(
            f"{path}: expected at least one image of each class, found none of {name!r}; {_ADVICE}"
        )
