"""How far a classifier's confidence is from its accuracy.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# as in the paper
BINS = 15


@dataclass(frozen=True)
class Calibration:
    """Images in bins of equal width by confidence, which is the probability of the likeliest class.

    edges: float64 (bins + 1,), from 0 to 1; an image on an edge belongs to the bin left of it.
    counts: int64 (bins,), images in each. accuracy: float64 (bins,), the share of them that is right,
    and confidence: float64 (bins,), their mean confidence; both are 0 where there are no images.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]
    accuracy: Floats
    confidence: Floats

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1: the mean of |accuracy - confidence| over all images."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float(np.sum(self.counts * gaps) / max(1, self.counts.sum()))


def measure(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> Calibration:
    """Compare confidence and accuracy.

    confidence: float64 (images,), 0 to 1. right: bool (images,), whether the likeliest class is the label.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    # the inner edges alone: 0 belongs to the first bin, too
    places = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(places, minlength=bins)
    sums = (np.bincount(places, weights, bins) for weights in (right, confidence))
    accuracy, mean = (each / np.maximum(1, counts) for each in sums)
    return Calibration(edges, counts, accuracy, mean)
