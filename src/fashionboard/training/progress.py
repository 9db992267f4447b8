"""What a training reports as it goes on, and the numbers that come of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fashionboard.base.params import Keep
from fashionboard.training.validation import Score


@dataclass(frozen=True)
class Report:
    """What is known at the end of an interval of `train.log_every` batches.

    step: number of the last batch, counted from 0 over all epochs.
    loss: mean over the batches of the interval.
    positions: int64 (n,), n <= 4: the first images of that batch, as indices into the training images.
    predicted: int64 (n,), the likeliest class of each. confidence: float32 (n,), its probability.
    validation: how well the net does on the images held out, if there are any.
    """

    step: int
    loss: float
    positions: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    validation: Score | None = None


def table(reports: Sequence[Report]) -> tuple[list[str], list[list[float]]]:
    """Return a header and a row a report: step and loss, and what validation found where there was any."""
    header, rows = ["step", "loss"], [[report.step, report.loss] for report in reports]
    scores = [report.validation for report in reports if report.validation]
    if scores:
        header += ["validation_loss", "validation_accuracy"]
        rows = [[*row, score.loss, score.accuracy] for row, score in zip(rows, scores, strict=True)]
    return header, rows


def summary(reports: Sequence[Report], keep: Keep) -> dict[str, float]:
    """Return the numbers of the last report and, of validation, those of the weights that are kept.

    keep: "last", or "best" for the first report with the least validation loss.
    """
    last = reports[-1]
    numbers = {"training_loss": last.loss, "last_step": last.step}
    scores = [(report.validation, report.step) for report in reports if report.validation]
    if scores:
        score, step = min(scores, key=lambda each: each[0].loss) if keep == "best" else scores[-1]
        numbers |= {"validation_loss": score.loss, "validation_accuracy": score.accuracy, "kept_step": step}
    return numbers
