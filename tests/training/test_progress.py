import numpy as np
import pytest

from fashionboard.training import progress
from fashionboard.training.progress import Report
from fashionboard.training.validation import Score


def report(step: int, loss: float, validation: Score | None = None) -> Report:
    nothing = np.zeros(0, np.int64)
    return Report(step, loss, nothing, nothing, np.zeros(0, np.float32), validation)


PLAIN = [report(9, 2.0), report(19, 1.0)]
VALIDATED = [
    report(9, 2.0, Score(1.5, 0.5)),
    report(19, 1.0, Score(1.25, 0.625)),
    report(29, 0.5, Score(1.25, 0.75)),
    report(39, 0.25, Score(1.75, 0.875)),
]


def test_without_validation_there_are_steps_and_losses() -> None:
    assert progress.table(PLAIN) == (["step", "loss"], [[9, 2.0], [19, 1.0]])
    assert progress.summary(PLAIN, "last") == {"training_loss": 1.0, "last_step": 19}


def test_validation_has_columns_of_its_own() -> None:
    header, rows = progress.table(VALIDATED)
    assert header == ["step", "loss", "validation_loss", "validation_accuracy"]
    assert rows[:2] == [[9, 2.0, 1.5, 0.5], [19, 1.0, 1.25, 0.625]]


@pytest.mark.parametrize(
    ("keep", "expected"), [("last", (1.75, 0.875, 39)), ("best", (1.25, 0.625, 19))]
)  # the first of two that are as good
def test_the_summary_tells_of_the_weights_that_are_kept(keep: str, expected: tuple[float, ...]) -> None:
    found = progress.summary(VALIDATED, keep)  # type: ignore[arg-type]
    assert list(found.items())[:2] == [("training_loss", 0.25), ("last_step", 39)]
    assert (found["validation_loss"], found["validation_accuracy"], found["kept_step"]) == expected
