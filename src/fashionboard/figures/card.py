"""A data set in words, for TensorBoard's Text tab."""

import numpy as np
import numpy.typing as npt

from fashionboard.data.dataset import Description, Images
from fashionboard.events.writer import literal

# images counted at a time: numpy counts in copies eight times as large
_CHUNK = 1000


def markdown(description: Description, train: Images, test: Images) -> str:
    """Describe a data set as a Markdown table; mean and deviation are of the training pixels, 0 to 1."""
    counts = _histogram(train.pixels)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    _, height, width = train.pixels.shape
    rows = {
        # within backticks all but those is literal
        "data set": f"{literal(description.title)} (`{description.name}`)",
        "training images": f"{len(train):,}",
        "test images": f"{len(test):,}",
        "size": f"{width} x {height} pixels, 256 levels of grey",
        "pixel mean": f"{mean:.4f}",
        "pixel standard deviation": f"{deviation:.4f}",
        "classes": literal(", ".join(description.classes)),
        "source": literal(description.source),
        "licence": literal(description.licence),
    }
    return "\n".join(
        ["| | |", "| --- | --- |", *(f"| **{name}** | {value} |" for name, value in rows.items())]
    )


def _histogram(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count each value, int64 (256,): exact in integers, so no last digit depends on an order of summing."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(pixels), _CHUNK):
        counts += np.bincount(pixels[start : start + _CHUNK].ravel(), minlength=256)
    return counts
