"""A data set in words, for TensorBoard's Text tab."""

import numpy as np

from fashionboard.dataset import Description, Images


def markdown(description: Description, train: Images, test: Images) -> str:
    """Describe a data set as a Markdown table; mean and deviation are of the training pixels, 0 to 1."""
    # exact in integers, so the last digit depends on no order of summing
    counts = np.bincount(train.pixels.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    deviation = float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
    _, height, width = train.pixels.shape
    rows = {
        "data set": f"{description.title} (`{description.name}`)",
        "training images": f"{len(train):,}",
        "test images": f"{len(test):,}",
        "size": f"{width} x {height} pixels, 256 levels of grey",
        "pixel mean": f"{mean:.4f}",
        "pixel standard deviation": f"{deviation:.4f}",
        "classes": ", ".join(description.classes),
        "source": description.source,
        "licence": description.licence,
    }
    return "\n".join(
        ["| | |", "| --- | --- |", *(f"| **{name}** | {value} |" for name, value in rows.items())]
    )
