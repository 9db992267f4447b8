"""A data set in words, for TensorBoard's Text tab."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fashionboard.data import survey
from fashionboard.data.dataset import Description, Images
from fashionboard.events.writer import literal


def markdown(description: Description, train: Images, test: Images) -> str:
    """Describe a data set as two Markdown tables: what it is, and how many images each class has.

    Mean and deviation are of the training pixels, in colour of all three values, 0 to 1.
    """
    counts = _histogram(train.pixels)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    by_class = [np.bincount(split.labels, minlength=len(description.classes)) for split in (train, test)]
    rows = {
        # within backticks all but those is literal
        "data set": f"{literal(description.title)} (`{description.name}`)",
        "training images": f"{len(train):,}",
        "test images": f"{len(test):,}",
        "size": _size(train.pixels),
        **({"originals": literal(description.originals)} if description.originals else {}),
        "pixel mean": f"{mean:.4f}",
        "pixel standard deviation": f"{deviation:.4f}",
        "classes": literal(", ".join(description.classes)),
        "balance": literal(_balance(by_class[0], description.classes)),
        "copies": _copies(train, test),
        "source": literal(description.source),
        "licence": literal(description.licence),
    }
    return "\n".join([*_described(rows), "", *_counted(description.classes, *by_class)])


def _described(rows: Mapping[str, str]) -> Iterable[str]:
    return ["| | |", "| --- | --- |", *(f"| **{name}** | {value} |" for name, value in rows.items())]


def _counted(
    classes: Sequence[str], train: npt.NDArray[np.int64], test: npt.NDArray[np.int64]
) -> Iterable[str]:
    lines = (f"| {literal(name)} | {a:,} | {b:,} |" for name, a, b in zip(classes, train, test, strict=True))
    return ["| class | training images | test images |", "| --- | --: | --: |", *lines]


def _size(pixels: npt.NDArray[np.uint8]) -> str:
    _, height, width, *channels = pixels.shape
    return f"{width} x {height} pixels, {'colour' if channels else '256 levels of grey'}"


def _balance(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Compare the largest class of the training images, int64 (classes,), with the smallest."""
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    most, least = int(counts[largest]), int(counts[smallest])
    if most == least:
        return f"{most:,} training images of each class"
    ratio = f": {most / least:.1f} to 1" if least else ""
    return f"{most:,} training images of {classes[largest]}, {least:,} of {classes[smallest]}{ratio}"


def _copies(train: Images, test: Images) -> str:
    found = survey.copies(train, test)
    return (
        f"{found.train:,} training images and {found.test:,} test images are there a second time or more, "
        f"{found.across:,} test images are training images, too"
    )


def _histogram(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count each value, int64 (256,): exact in integers, so no last digit depends on an order of summing."""
    counts = np.zeros(256, np.int64)
    for part in survey.parts(pixels):
        counts += np.bincount(part.ravel(), minlength=256)
    return counts
