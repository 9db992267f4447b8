import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from fashionboard.base.errors import TrainingError
from fashionboard.data.dataset import Images
from fashionboard.network import nets
from fashionboard.training import validation


def numbered(labels: list[int]) -> Images:
    """Images that are known by their only pixel."""
    return Images(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1), np.array(labels, np.uint8))


def test_nothing_is_held_out_by_default(images: Images) -> None:
    assert validation.hold_out(images, 0, seed=0) == (images, None)


def test_each_image_is_on_one_side_with_its_label_and_in_order() -> None:
    images = numbered([0, 1, 2] * 40)
    parts = validation.hold_out(images, 30, seed=0)
    numbers = []
    for part in parts:
        assert part is not None
        places = part.pixels.ravel().tolist()
        assert places == sorted(places)
        assert [images.labels[place] for place in places] == part.labels.tolist()
        numbers += places
    assert sorted(numbers) == list(range(120))
    assert len(parts[0]) == 90


def test_each_class_gives_its_share() -> None:
    _, held_out = validation.hold_out(numbered([0] * 100 + [1] * 50 + [2] * 25), 35, seed=0)
    assert held_out is not None
    assert np.bincount(held_out.labels).tolist() == [20, 10, 5]


def test_the_seed_alone_chooses() -> None:
    images = numbered([0, 1] * 50)
    chosen: list[bytes] = []
    for seed in (0, 0, 1):
        np.random.seed(len(chosen))  # noqa: NPY002 - what must not matter
        _, held_out = validation.hold_out(images, 20, seed)
        assert held_out is not None
        chosen.append(held_out.pixels.tobytes())
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("count", [1, 9, 191, 200, 1_000_000])
def test_a_class_without_an_image_on_either_side_is_refused(images: Images, count: int) -> None:
    with pytest.raises(TrainingError, match=rf"train\.validation is {count:,}, expected 0, or 10 to 190 of"):
        validation.hold_out(images, count, seed=0)


@pytest.mark.parametrize("count", [2, 50, 1000])
def test_a_class_so_small_that_its_share_is_less_than_an_image_is_refused(count: int) -> None:
    labels = np.array([0] * 1000 + [1] * 2, np.uint8)
    images = Images(np.zeros((len(labels), 1, 1), np.uint8), labels)
    with pytest.raises(TrainingError, match=rf"is {count:,}, expected .* both sides: a class has 2 in all;"):
        validation.hold_out(images, count, seed=0)
    _, held_out = validation.hold_out(images, 501, seed=0)
    assert held_out is not None and np.bincount(held_out.labels).tolist() == [500, 1]


def test_a_class_of_one_image_cannot_be_on_both_sides() -> None:
    with pytest.raises(TrainingError, match=r"expected 0, or 2 to 3 of .*: a class has 1 in all;"):
        validation.hold_out(numbered([0, 0, 0, 0, 1]), 2, seed=0)


def test_the_score_is_scikit_learns(images: Images) -> None:
    net = nets.initial(0).eval()
    pixels, labels = torch.tensor(images.pixels), torch.tensor(images.labels, dtype=torch.int64)
    pixels, labels = pixels.repeat(6, 1, 1), labels.repeat(6)  # more than go through at a time
    found = validation.score(net, pixels, labels)
    with torch.no_grad():
        probabilities = net(nets.normalise(pixels)).double().softmax(dim=1).numpy()
    # sums in float32, in another order for another batch
    assert found.loss == pytest.approx(log_loss(labels, probabilities, labels=range(10)), abs=1e-6)
    assert found.accuracy == accuracy_score(labels, probabilities.argmax(axis=1))
