from itertools import pairwise

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fashionboard.evaluation import calibration


def plain(confidence: list[float], right: list[bool], bins: int) -> float:
    """The error as the paper has it, image by image: equations 2, 3 and 5 of Guo et al."""
    error = 0.0
    for low, high in pairwise(k / bins for k in range(bins + 1)):
        inside = [i for i, c in enumerate(confidence) if low < c <= high]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            mean = sum(confidence[i] for i in inside) / len(inside)
            error += len(inside) / len(confidence) * abs(accuracy - mean)
    return error


def test_two_bins_by_hand() -> None:
    found = calibration.measure(np.array([0.5, 0.3, 0.6, 0.8]), np.array([True, False, True, True]), bins=2)
    assert found.edges.tolist() == [0, 0.5, 1]
    assert found.counts.tolist() == [2, 2]  # 0.5 is in the lower one
    assert found.accuracy.tolist() == [0.5, 1]
    assert found.confidence == pytest.approx([0.4, 0.7])
    assert found.error == pytest.approx((2 * 0.1 + 2 * 0.3) / 4)


@pytest.mark.parametrize("bins", [4, 10, 15])
def test_an_edge_belongs_to_the_bin_below_it_and_0_to_the_first(bins: int) -> None:
    edges = np.array([k / bins for k in range(bins + 1)])
    found = calibration.measure(edges, np.ones(bins + 1, bool), bins)
    assert found.counts.tolist() == [2, *[1] * (bins - 1)]
    assert found.error == pytest.approx(1 - edges.mean())


def confidences(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of which many are edges of 15 bins, some of them 1, and whether each is right."""
    generator = np.random.default_rng(seed)
    edges = generator.integers(1, 16, 200) / 15
    confidence = np.concatenate([generator.uniform(0.1, 1, 500), edges, np.ones(20)])
    return confidence, generator.random(len(confidence)) < confidence**2


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_that_of_the_papers_equations(seed: int) -> None:
    confidence, right = confidences(seed)
    found = calibration.measure(confidence, right)
    assert len(found.counts) == 15 and found.counts.sum() == len(confidence)
    assert found.error == pytest.approx(plain(confidence.tolist(), right.tolist(), 15), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_bins_are_those_of_scikit_learn(seed: int) -> None:
    confidence, right = confidences(seed)
    found = calibration.measure(confidence, right)
    # it leaves empty bins out
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    filled = found.counts > 0
    assert found.accuracy[filled] == pytest.approx(accuracy)
    assert found.confidence[filled] == pytest.approx(mean)
    assert not found.accuracy[~filled].any() and not found.confidence[~filled].any()


def test_one_who_is_always_sure_and_right_has_no_error_and_one_who_is_wrong_has_all() -> None:
    sure = np.ones(10)
    assert calibration.measure(sure, np.ones(10, bool)).error == 0
    assert calibration.measure(sure, np.zeros(10, bool)).error == 1
    assert calibration.measure(sure, np.ones(10, bool)).counts.tolist() == [*[0] * 14, 10]
