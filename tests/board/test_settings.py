"""Experiments put together, and their spread held against numpy."""

import math
import random

import numpy as np
import pytest

from fashionboard.board import better, settings
from fashionboard.board.group import Value
from fashionboard.board.settings import Experiment, Spread


def experiment(name: str, score: float | None = None, inputs: str = "", **parameters: Value) -> Experiment:
    """Return an experiment; a parameter's name has a `.` for each `__`."""
    named = {key.replace("__", "."): value for key, value in parameters.items()}
    return Experiment(name, named, {} if score is None else {"score": score}, inputs=inputs)


def differing(found: list[Experiment]) -> list[str]:
    return settings.differing([each.parameters for each in found])


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e12])
def test_mean_and_deviation_are_numpys(scale: float) -> None:
    draw = random.Random(0)
    values = [scale * (draw.random() + 5) for _ in range(7)]
    found = Spread.of(values)
    assert found.n == 7
    assert found.mean == pytest.approx(np.mean(values), rel=1e-14)
    assert found.std == pytest.approx(np.std(values, ddof=1), rel=1e-12)


def test_one_value_has_no_deviation_and_none_no_mean() -> None:
    assert Spread.of([0.5]) == Spread(1, 0.5, None)
    assert Spread.of([]) == Spread(0, None, None)
    assert Spread.of([0.1, 0.1, 0.1]) == Spread(3, 0.1, 0.0)


def test_numbers_at_the_end_of_what_there_is_crash_nothing() -> None:
    most = 1.7e308
    assert Spread.of([most, most]) == Spread(2, most, 0.0)
    assert Spread.of([most, -most]) == Spread(2, 0.0, None)


def test_a_setting_is_all_that_differs_but_seeds() -> None:
    found = [
        experiment("a", train__lr=0.1, train__seed=1.0, split_seed=1.0, epochs=1.0),
        experiment("b", train__lr=0.1, train__seed=2.0, split_seed=2.0, epochs=1.0),
        experiment("c", train__lr=0.2, train__seed=1.0, split_seed=1.0, epochs=1.0),
        # no seed by its last part
        experiment("d", train__lr=0.2, train__seed=1.0, split_seed=1.0, epochs=1.0, seed__kind="x"),
    ]
    assert differing(found) == ["train.lr", "seed.kind"]
    together = settings.together(found, differing(found))
    assert [[each.name for each in setting.experiments] for setting in together] == [["a", "b"], ["c"], ["d"]]
    assert together[1].parameters == {"train.lr": 0.2, "seed.kind": None}


def test_true_is_not_one() -> None:
    found = [experiment("a", on=True), experiment("b", on=1.0)]
    assert differing(found) == ["on"]
    assert len(settings.together(found, ["on"])) == 2


@pytest.mark.parametrize(("smaller", "order"), [(False, ["c", "a", "b"]), (True, ["b", "a", "c"])])
def test_the_best_comes_first_and_what_has_no_value_does_not_count(smaller: bool, order: list[str]) -> None:
    found = [experiment("a", 0.5), experiment("b", 0.1), experiment("c", 0.7), experiment("none")]
    (setting,) = settings.together(found, [])
    assert [each.name for each in setting.ranked("score", smaller)] == order
    assert setting.spread("score").n == 3


@pytest.mark.parametrize(("smaller", "order"), [(False, [2.0, 1.0, 3.0]), (True, [1.0, 2.0, 3.0])])
def test_settings_are_ordered_by_their_mean(smaller: bool, order: list[float]) -> None:
    found = [experiment("x", lr=3.0), experiment("a", -0.5, lr=1.0), experiment("b", 0.1, lr=2.0)]
    ordered = settings.by_mean(settings.together(found, ["lr"]), "score", smaller)
    assert [each.parameters["lr"] for each in ordered] == order


def test_copies_are_those_with_the_same_seeds_and_code() -> None:
    found = [
        experiment("a", seed=1.0),
        experiment("b", seed=1.0),
        experiment("c", seed=2.0),
        experiment("d", seed=1.0, inputs="other"),
    ]
    (setting,) = settings.together(found, [])
    assert [each.name for each in settings.copies(setting)] == ["a", "b"]


def test_seconds_are_those_that_are_known() -> None:
    found = [Experiment("a", seconds=1.0), Experiment("b", seconds=2.0), Experiment("c")]
    assert settings.together(found, [])[0].seconds == 1.5
    assert settings.together(found[2:], [])[0].seconds is None


@pytest.mark.parametrize(
    ("metric", "smaller"),
    [
        ("accuracy", False),
        ("average_precision/macro", False),
        ("loss", True),
        ("metrics/train.json:validation_Loss", True),
        ("expected_calibration_error", True),
        ("rmse", True),
        # its last part says what it is
        ("loss/accuracy", False),
    ],
)
def test_less_of_a_loss_is_better_and_more_of_all_else(metric: str, smaller: bool) -> None:
    assert better.is_smaller(metric) == smaller


def test_a_few_metrics_are_told_unasked_and_a_score_decides() -> None:
    names = ["training_loss", "last_step", "data.json:accuracy", "loss", "same", "deep/score", "x", "y"]
    found = [
        Experiment(str(number), metrics={name: 1.0 if name == "same" else number for name in names})
        for number in range(2)
    ]
    assert better.usual(found) == ["data.json:accuracy", "x", "y", "training_loss"]
    # where nothing differs, all are as good; where nothing is at the top, so is what is below
    assert better.usual(found[:1]) == ["data.json:accuracy", "same", "x", "y"]
    assert better.usual([Experiment("a", metrics={"final/loss": 1.0})]) == ["final/loss"]
    assert better.usual([Experiment("a")]) == []
    assert math.isfinite(settings.together(found, [])[0].spread("x").mean or 0)
