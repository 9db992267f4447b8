"""What probabilities and labels say about a classifier: numbers and curves.

Throughout, `labels` is an integer array (images,) and `probabilities` float64 (images, classes)
from 0 to 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


# where the precision-recall plot has its points
RECALLS = tuple(Fraction(k, 100) for k in range(101))
# a figure of 6 x 6
MISTAKES = 36


@dataclass(frozen=True)
class Summary:
    """A classifier in numbers.

    accuracy: share of images whose likeliest class is right, 0 to 1. loss: mean cross-entropy in
    nats. The others are of each class by name, 0 to 1, and of `macro`, their unweighted mean:
    average_precision, over all thresholds; precision, recall and f1, where the likeliest class is
    the decision.
    """

    accuracy: float
    loss: float
    average_precision: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]
    f1: dict[str, float]


def decide(log_probabilities: Floats) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Return each class's probability, the likeliest class, and how likely that is, of each image.

    log_probabilities: float64 (images, classes), natural logarithms.

    Returns float64 (images, classes), 0 to 1; int64 (images,); float64 (images,), 0 to 1.
    """
    probabilities = np.exp(log_probabilities)
    return probabilities, log_probabilities.argmax(axis=1), probabilities.max(axis=1)


def summarise(log_probabilities: Floats, labels: Labels, classes: Sequence[str]) -> Summary:
    """Return a classifier in numbers; log_probabilities: float64 (images, classes), natural logarithms."""
    probabilities, predicted, _ = decide(log_probabilities)
    precision, recall, f1 = precision_recall_f1(predicted, labels, len(classes))
    return Summary(
        accuracy=float(np.mean(predicted == labels)),
        loss=float(-np.mean(log_probabilities[np.arange(len(labels)), labels])),
        average_precision=_named(average_precision(probabilities, labels), classes),
        precision=_named(precision, classes),
        recall=_named(recall, classes),
        f1=_named(f1, classes),
    )


def _named(scores: Floats, classes: Sequence[str]) -> dict[str, float]:
    return {"macro": float(scores.mean()), **dict(zip(classes, scores.tolist(), strict=True))}


def average_precision(probabilities: Floats, labels: Labels) -> Floats:
    """Return the average precision of each class against the rest, float64 (classes,), 0 to 1.

    The sum of precision times the rise in recall over all thresholds, without interpolation: AP in
    scikit-learn's user guide, section "Precision, recall and F-measures". 0 for a class without images.
    """
    scores = []
    for index in range(probabilities.shape[1]):
        true_positives, positives = _at_every_threshold(labels == index, probabilities[:, index])
        recall = true_positives / max(1, true_positives[-1])
        terms = np.diff(recall, prepend=0.0) * (true_positives / positives)
        # scikit-learn sums from the lowest threshold on; another order has other last bits
        scores.append(np.sum(terms[::-1].copy()))
    return np.array(scores)


def precision_recall_f1(predicted: Labels, labels: Labels, classes: int) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class, each float64 (classes,), 0 to 1.

    F1 is their harmonic mean: van Rijsbergen, "Information Retrieval" (1979), chapter 7.
    0 where they are not defined: precision where nothing is predicted, recall where there is no image.
    """
    counts = confusion(predicted, labels, classes)
    right, actual, decided = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = (right / np.maximum(1, images) for images in (decided, actual))
    return precision, recall, 2 * right / np.maximum(1, actual + decided)


def mistakes(
    confidence: Floats, right: npt.NDArray[np.bool_], count: int = MISTAKES
) -> npt.NDArray[np.int64]:
    """Return the positions of the `count` most confident mistakes, or of all if there are fewer.

    confidence: float64 (images,), the probability of the likeliest class. right: bool (images,),
    whether that is the label.

    Returns int64 (n,), the most confident first; those of the same confidence in their own order.
    """
    wrong = np.flatnonzero(~right)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:count]


def decisions(predicted: Labels, labels: Labels, classes: Sequence[str]) -> dict[str, list[str]]:
    """Return what was decided on each image, in words: columns `label`, `predicted` and `correct`."""
    return {
        "label": [classes[each] for each in labels],
        "predicted": [classes[each] for each in predicted],
        "correct": ["yes" if right else "no" for right in predicted == labels],
    }


def confusion(predicted: Labels, labels: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Count images by label (rows) and predicted class (columns), int64 (classes, classes)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def pr_counts(truth: npt.NDArray[np.bool_], probabilities: Floats, thresholds: int) -> Floats:
    """Count right and wrong decisions at each of `thresholds` thresholds, as TensorBoard draws them.

    truth: bool (images,), whether the image is of the class. probabilities: float64 (images,), that
    it is. The thresholds rise evenly from 0 to 1; at each, an image counts as positive where its
    probability is at least the threshold.

    Returns float64 (6, thresholds): true positives, false positives, true negatives, false
    negatives, precision, recall. Where nothing is positive, precision is 0, as in TensorBoard's
    own summary.
    """
    levels = np.linspace(0.0, 1.0, thresholds)
    # images at or above a level = all of them less those below it
    positives = int(np.count_nonzero(truth))
    negatives = len(truth) - positives
    true_positives = positives - np.searchsorted(np.sort(probabilities[truth]), levels)
    false_positives = negatives - np.searchsorted(np.sort(probabilities[~truth]), levels)
    precision = true_positives / np.maximum(1, true_positives + false_positives)
    recall = true_positives / np.maximum(1, positives)
    rows = (
        true_positives,
        false_positives,
        negatives - false_positives,
        positives - true_positives,
        precision,
        recall,
    )
    return np.stack(rows).astype(np.float64)


def pr_counts_by_class(
    probabilities: Floats, labels: Labels, classes: Sequence[str], thresholds: int
) -> dict[str, Floats]:
    """Return `pr_counts` of each class against the rest, by name."""
    return {
        name: pr_counts(labels == index, probabilities[:, index], thresholds)
        for index, name in enumerate(classes)
    }


def curve_points(
    probabilities: Floats, labels: Labels, classes: Sequence[str]
) -> list[tuple[str, float, float]]:
    """Return the points of each class's curve: its name, a recall, and the precision there, 0 to 1."""
    precision = precision_at_recall(probabilities, labels)
    recalls = [float(recall) for recall in RECALLS]
    return [
        (name, recall, best)
        for name, column in zip(classes, precision.T.tolist(), strict=True)
        for recall, best in zip(recalls, column, strict=True)
    ]


def precision_at_recall(
    probabilities: Floats, labels: Labels, recalls: Sequence[Fraction] = RECALLS
) -> Floats:
    """Return the best precision that each class reaches at no less than each recall.

    recalls: from 0 to 1. Returns float64 (len(recalls), classes), 0 to 1, which falls as recall
    rises: interpolated precision as in Manning, Raghavan, Schuetze, "Introduction to Information
    Retrieval", section 8.4. Recalls are compared as counts, so that one that is reached exactly counts.
    """
    columns = []
    for index in range(probabilities.shape[1]):
        true_positives, positives = _at_every_threshold(labels == index, probabilities[:, index])
        precision = true_positives / positives
        # recall rises along the array, so the best precision at no less of it is a running maximum
        best = np.maximum.accumulate(precision[::-1])[::-1]
        needed = [math.ceil(recall * int(true_positives[-1])) for recall in recalls]
        columns.append(best[np.searchsorted(true_positives, needed)])
    return np.stack(columns, axis=1)


def _at_every_threshold(
    truth: npt.NDArray[np.bool_], probabilities: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the true positives and all positives where the threshold falls from probability to probability.

    truth: bool (images,). probabilities: float64 (images,). Returns int64 (different probabilities,) twice.
    """
    order = np.argsort(-probabilities)
    # a threshold takes all images of the same probability, or none
    last = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    return np.cumsum(truth[order])[last], last + 1
