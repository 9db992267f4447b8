import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn import metrics
from torch.utils.tensorboard.summary import compute_curve

from fashionboard.evaluation import scores

# solved by hand: by falling probability the truths are 1, 0, 1, 1, 0
TRUTH = np.array([1, 0, 1, 1, 0], bool)
PROBABILITIES = np.array([0.9, 0.8, 0.7, 0.4, 0.2])


def test_counts_at_five_thresholds_by_hand() -> None:
    counts = scores.pr_counts(TRUTH, PROBABILITIES, 5)  # at 0, 0.25, 0.5, 0.75, 1
    assert counts.tolist() == [
        [3, 3, 2, 1, 0],
        [2, 1, 1, 1, 0],
        [0, 1, 1, 1, 2],
        [0, 0, 1, 2, 3],
        [3 / 5, 3 / 4, 2 / 3, 1 / 2, 0],
        [1, 1, 2 / 3, 1 / 3, 0],
    ]


def test_a_probability_on_a_threshold_counts_as_positive() -> None:
    counts = scores.pr_counts(np.array([True, False]), np.array([0.5, 0.5]), 3)
    assert counts[0].tolist() == [1, 1, 0]
    assert counts[1].tolist() == [1, 1, 0]


@pytest.mark.parametrize("thresholds", [2, 50, 127])
def test_counts_are_those_of_torchs_writer(thresholds: int) -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(1000) < 0.1
    probabilities = generator.random(1000)
    theirs = compute_curve(truth, probabilities, thresholds)
    # torch never divides by zero: it takes at least 1e-7 for it
    assert scores.pr_counts(truth, probabilities, thresholds) == pytest.approx(theirs, abs=1e-6)


def test_average_precision_by_hand() -> None:
    # recall rises by a third at each 1, where precision is 1/1, 2/3 and 3/4
    both = np.stack([1 - PROBABILITIES, PROBABILITIES], axis=1)
    assert scores.average_precision(both, TRUTH.astype(int))[1] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


@pytest.mark.parametrize("levels", [5, 100, None])  # of probability: with few, many images are alike
@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_scikit_learns_to_the_bit(seed: int, levels: int | None) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 3000).astype(np.uint8)
    probabilities = generator.dirichlet(np.ones(3), 3000)
    if levels:
        probabilities = np.rint(probabilities * levels) / levels
    theirs = [metrics.average_precision_score(labels == k, probabilities[:, k]) for k in range(3)]
    assert scores.average_precision(probabilities, labels).tolist() == theirs


def test_a_class_without_images_has_no_average_precision() -> None:
    both = np.stack([PROBABILITIES, 1 - PROBABILITIES], axis=1)
    assert scores.average_precision(both, np.zeros(5, int)).tolist() == [1, 0]


def test_interpolated_precision_by_hand() -> None:
    both = np.stack([1 - PROBABILITIES, PROBABILITIES], axis=1)
    recalls = [Fraction(each) for each in ("0", "0.2", "1/3", "0.34", "2/3", "0.7", "1")]
    curve = scores.precision_at_recall(both, TRUTH.astype(int), recalls)[:, 1]
    # at a recall of 2/3 precision is 2/3, but the later 3/4 is at no less recall
    assert curve == pytest.approx([1, 1, 1, 3 / 4, 3 / 4, 3 / 4, 3 / 4])


def test_no_precision_is_made_up_where_the_likeliest_image_is_wrong() -> None:
    both = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])  # by falling probability of 1: 0, 1, 0
    curve = scores.precision_at_recall(both, np.array([0, 0, 1]), [Fraction(0), Fraction(1)])[:, 1]
    assert curve == pytest.approx([1 / 2, 1 / 2])


def test_interpolated_precision_is_the_maximum_of_scikit_learns_curve() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 500)
    probabilities = generator.dirichlet(np.ones(3), 500)
    recalls = [k / 100 for k in range(101)]
    ours = scores.precision_at_recall(probabilities, labels)
    for index in range(3):
        precision, recall, _ = metrics.precision_recall_curve(labels == index, probabilities[:, index])
        expected = [precision[:-1][recall[:-1] >= level].max() for level in recalls]
        assert ours[:, index] == pytest.approx(expected)


def best_precision(truth: list[bool], scores: list[float], recall: Fraction) -> Fraction:
    """Return the best precision of any threshold at no less than a recall, counted image by image."""
    found = []
    for threshold in set(scores):
        taken = [right for right, score in zip(truth, scores, strict=True) if score >= threshold]
        if Fraction(sum(taken), sum(truth)) >= recall:
            found.append(Fraction(sum(taken), len(taken)))
    return max(found)


@pytest.mark.parametrize("levels", [4, 30, None])  # of probability: with few, many images are alike
@pytest.mark.parametrize("positives", [1, 2, 3, 7, 20, 100])
def test_the_points_of_curves_are_exact_fractions(positives: int, levels: int | None) -> None:
    generator = np.random.default_rng(positives)
    labels = generator.permutation(np.repeat([0, 1], [positives, 120]))
    levelled = generator.random(len(labels)) * 0.7 + 0.3 * (labels == 0)
    if levels:
        levelled = np.rint(levelled * levels) / levels
    points = scores.curve_points(np.stack([levelled, 1 - levelled], axis=1), labels, ["a", "b"])
    # no more digits than two in the file
    assert [str(recall) for _, recall, _ in points[:101]] == [str(float(f"0.{k:02}")) for k in range(100)] + [
        "1.0"
    ]
    for name, index in (("a", 0), ("b", 1)):
        truth, column = (labels == index).tolist(), (levelled if index == 0 else 1 - levelled).tolist()
        exact = [best_precision(truth, column, Fraction(k, 100)) for k in range(101)]
        # a fraction as a float is the nearest one, and so is a quotient of two counts
        assert [point[2] for point in points if point[0] == name] == [float(each) for each in exact]


def test_the_points_of_curves_are_those_of_each_class_in_order() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 500)
    probabilities = generator.dirichlet(np.ones(3), 500)
    points = scores.curve_points(probabilities, labels, ["a", "b", "c"])
    curves = scores.precision_at_recall(probabilities, labels)
    assert [point[0] for point in points] == [name for name in "abc" for _ in range(101)]
    assert [point[1] for point in points] == [k / 100 for k in range(101)] * 3
    assert [point[2] for point in points] == [*curves[:, 0], *curves[:, 1], *curves[:, 2]]


def test_confusion_has_labels_in_rows_and_a_place_for_absent_classes() -> None:
    counts = scores.confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), classes=3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("classes", [2, 10, 250])
def test_confusion_is_scikit_learns(classes: int) -> None:
    labels, predicted = np.random.default_rng(0).integers(0, classes, (2, 2000))
    theirs = metrics.confusion_matrix(labels, predicted, labels=range(classes))
    # labels are bytes on disk, which hold no product of two of them
    ours = scores.confusion(predicted, labels.astype(np.uint8), classes)
    assert ours.tolist() == theirs.tolist()


def test_the_summary_by_hand() -> None:
    logs = np.log([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    labels = np.array([0, 1, 2])
    summary = scores.summarise(logs, labels, ["a", "b", "c/d"])
    assert summary.accuracy == pytest.approx(1 / 3)
    assert summary.loss == pytest.approx(-(math.log(0.5) + math.log(0.3) + math.log(0.1)) / 3)
    # the one image of a comes first of three, that of b second, that of c/d last
    assert summary.average_precision == pytest.approx(
        {"macro": (1 + 1 / 2 + 1 / 3) / 3, "a": 1, "b": 1 / 2, "c/d": 1 / 3}
    )
    # taken for a, c/d and b
    for each in (summary.precision, summary.recall, summary.f1):
        assert each == pytest.approx({"macro": 1 / 3, "a": 1, "b": 0, "c/d": 0})


def test_precision_recall_and_f1_by_hand() -> None:
    # a: taken for a, a, b; b: for b; c: for b; nothing is taken for c, and there is no d
    labels, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 1])
    precision, recall, f1 = scores.precision_recall_f1(predicted, labels, 4)
    assert precision == pytest.approx([1, 1 / 3, 0, 0])
    assert recall == pytest.approx([2 / 3, 1, 0, 0])
    assert f1 == pytest.approx([4 / 5, 1 / 2, 0, 0])


@pytest.mark.parametrize("present", [7, 4])  # with fewer, some classes have no image, or are never decided on
@pytest.mark.parametrize("seed", range(5))
def test_precision_recall_and_f1_are_scikit_learns_to_the_bit(seed: int, present: int) -> None:
    generator = np.random.default_rng(seed)
    labels, predicted = generator.integers(0, present, 300), generator.integers(7 - present, 7, 300)
    theirs = metrics.precision_recall_fscore_support(labels, predicted, labels=range(7), zero_division=0.0)
    ours = scores.precision_recall_f1(predicted, labels, 7)
    assert [each.tolist() for each in ours] == [each.tolist() for each in theirs[:3]]


def test_the_likeliest_class_and_how_likely_it_is() -> None:
    logs = np.log([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    probabilities, predicted, confidence = scores.decide(logs)
    assert probabilities == pytest.approx(np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]))
    assert predicted.tolist() == [0, 2]
    assert confidence == pytest.approx([0.5, 0.6])


def test_mistakes_come_by_falling_confidence_and_no_more_than_asked_for() -> None:
    confidence = np.array([0.5, 0.9, 0.7, 0.9, 0.99, 0.7])
    right = np.array([False, False, False, False, True, True])
    assert scores.mistakes(confidence, right).tolist() == [1, 3, 2, 0]
    assert scores.mistakes(confidence, right, 3).tolist() == [1, 3, 2]
    assert scores.mistakes(confidence, ~right).tolist() == [4, 5]
    assert scores.mistakes(confidence, np.ones(6, bool)).tolist() == []
    # of the same confidence: in their order, as Python sorts
    confidence = np.random.default_rng(0).integers(1, 4, 1000) / 4
    expected = sorted(range(1000), key=lambda index: -confidence[index])[:36]
    assert scores.mistakes(confidence, np.zeros(1000, bool)).tolist() == expected


def test_decisions_are_said_in_words() -> None:
    found = scores.decisions(np.array([1, 1]), np.array([0, 1]), ["a", "b"])
    assert found == {"label": ["a", "b"], "predicted": ["b", "b"], "correct": ["no", "yes"]}
    assert list(found) == ["label", "predicted", "correct"]
