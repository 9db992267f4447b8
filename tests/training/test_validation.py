from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from fashionboard.base.errors import TrainingError
from fashionboard.data import idx
from fashionboard.data.dataset import Images
from fashionboard.network import nets
from fashionboard.training import validation
from fashionboard.training.feed import Feed


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
    # more than go through at a time
    many = Images(np.tile(images.pixels, (6, 1, 1)), np.tile(images.labels, 6))
    found = validation.score(net, Feed(many, torch.device("cpu")))
    labels = many.labels
    with torch.no_grad():
        probabilities = net(nets.normalise(torch.tensor(many.pixels))).double().softmax(dim=1).numpy()
    # sums in float32, in another order for another batch
    assert found.loss == pytest.approx(log_loss(labels, probabilities, labels=range(10)), abs=1e-6)
    assert found.accuracy == accuracy_score(labels, probabilities.argmax(axis=1))


def test_a_part_of_the_images_goes_through_at_a_time_whatever_their_size() -> None:
    """A thousand of the tutorial's; of larger ones as many as have their numbers, but 32 at least."""
    parts: list[int] = []

    class Counted(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts.append(len(x))
            return x.flatten(1)[:, :2]

    for shape, expected in (
        ((28, 28), [1000, 1000, 200]),
        ((64, 64, 3), [63] * 34 + [58]),
        ((224, 224), [32] * 68 + [24]),
    ):
        parts.clear()
        pixels = np.broadcast_to(np.zeros(shape, np.uint8), (2200, *shape)).copy()
        validation.score(Counted(), Feed(Images(pixels, np.zeros(2200, np.uint8)), torch.device("cpu")))
        assert parts == expected


def test_the_sides_of_mapped_images_are_mapped_and_the_same(images: Images, tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(images.pixels.tobytes())
    on_disk = Images(np.memmap(tmp_path / "pixels", np.uint8, "c", shape=images.pixels.shape), images.labels)
    expected, found = (validation.hold_out(each, 40, seed=0) for each in (images, on_disk))
    for one, other in zip(expected, found, strict=True):
        assert one is not None and other is not None
        assert idx.is_mapped(other.pixels) and not idx.is_mapped(one.pixels)
        assert np.array_equal(one.pixels, other.pixels) and np.array_equal(one.labels, other.labels)
