"""A data set of one's own, in a folder: four IDX files as MNIST's, and the names of its classes.

<folder>/train-images-idx3-ubyte    and three more, each plain or .gz
<folder>/classes.txt                a name a line, in the order of the labels, UTF-8
"""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard.base import errors
from fashionboard.base.errors import DataError
from fashionboard.data import dataset, idx
from fashionboard.data.dataset import Description, Images, Split

PREFIX = "idx:"
# of classes; labels are bytes, and a hundred can still be read in a figure
_FEWEST, _MOST = 2, 100
# characters of a name, of which a figure shows some twenty; bytes of all names
_LONGEST, _LARGEST = 100, 100_000
# what metrics/evaluate.json calls the mean of all classes
_TAKEN = "macro"
_ADVICE = "mend it and run `dvc repro`"


def folder(name: str, environ: Mapping[str, str]) -> Path:
    """Return the folder that `idx:PATH` names.

    A relative path starts at the root of the repository, which is the working directory. An experiment
    may run in a copy, which lacks what neither git nor DVC tracks; then it starts at the repository itself.

    Raises:
        DataError: there is none.
    """
    path = os.path.expanduser(name.removeprefix(PREFIX))  # noqa: PTH111 - Path's fails for an unknown ~user
    for start in ("", environ.get("DVC_ROOT", "")):
        found = Path(os.path.abspath(Path(start, path)))  # noqa: PTH100 - a link keeps its own name
        try:
            if found.is_dir():
                return found
        except OSError as error:
            raise DataError(
                f"data.dataset: expected a folder, found: {error.strerror}; name another"
            ) from None
    raise DataError(f"data.dataset: expected a folder after {PREFIX}, found none at {path}; name another")


def read(folder: Path) -> tuple[Description, dict[Split, Images]]:
    """Return what a folder holds.

    Raises:
        DataError: a file is missing or damaged, images and labels do not belong together or are not of
            28 x 28 pixels, a class has no name or no image, or the names cannot be used.
    """
    if not _can_be_shown(folder.name) or "`" in folder.name:
        raise DataError(f"{folder}: expected a folder with a name that can be shown; rename it")
    classes = _classes(folder / "classes.txt")
    description = Description(
        name=f"{PREFIX}{folder.name}",
        title=f"{folder.name}, a data set of the user's own",
        source="the user's own files",
        licence="the user's own",
        classes=classes,
    )
    return description, {"train": _images(folder, "train", classes), "test": _images(folder, "test", classes)}


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
    names = [line.strip() for line in text.rstrip().split("\n")]
    if not _FEWEST <= len(names) <= _MOST:
        raise DataError(f"{path}: expected {_FEWEST} to {_MOST} lines, found {len(names)}; {_ADVICE}")
    for number, name in enumerate(names, 1):
        if len(name) > _LONGEST:
            expected = f"a name of at most {_LONGEST} characters in line {number}"
            raise DataError(f"{path}: expected {expected}, found {len(name):,}; {_ADVICE}")
        if not _can_be_shown(name) or name == _TAKEN:
            expected = f"a name without tabs and the like, other than {_TAKEN}"
            raise DataError(f"{path}: expected {expected} in line {number}, found {name!r}; {_ADVICE}")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path}: expected each name once, found {name!r} {times} times; {_ADVICE}")
    return tuple(names)


def _can_be_shown(name: str) -> bool:
    """Say whether a name holds letters or signs, and nothing that acts on a terminal or ends a line."""
    return any(map(str.isprintable, name.replace(" ", ""))) and errors.visible(name) == name


def _images(folder: Path, split: Split, classes: tuple[str, ...]) -> Images:
    images, labels = (
        _file(folder / place(Path(), split).name) for place in (dataset.images_path, dataset.labels_path)
    )
    pixels, indices = idx.read(images, _ADVICE), idx.read(labels, _ADVICE)
    size = dataset.SIZE
    if pixels.ndim != 3 or pixels.shape[1:] != (size, size) or len(pixels) == 0:
        raise DataError(
            f"{images}: expected images (n, {size}, {size}), n > 0, found {pixels.shape}; {_ADVICE}"
        )
    if indices.shape != (len(pixels),):
        raise DataError(
            f"{labels}: expected a label for each of {len(pixels)} images, found {indices.shape}; {_ADVICE}"
        )
    _check_labels(labels, indices, classes)
    return Images(pixels, indices)


def _file(path: Path) -> Path:
    """Return where a file lies, plain or compressed."""
    packed = path.with_name(f"{path.name}.gz")
    if path.exists() and packed.exists():
        raise DataError(f"{path}: expected it either plain or as .gz, found both; remove one")
    if not path.exists() and not packed.exists():
        raise DataError(f"{path}: expected it or {packed.name}, found neither; put one there")
    return packed if packed.exists() else path


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
