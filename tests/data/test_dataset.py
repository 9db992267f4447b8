import json
import os
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST

from fashionboard.base.errors import DataError
from fashionboard.data import dataset, idx
from fashionboard.data.dataset import Images


@pytest.mark.parametrize("split", ["train", "test"])
def test_torchvision_opens_the_same_folder(saved: Path, images: Images, split: dataset.Split) -> None:
    theirs = FashionMNIST(str(saved), train=split == "train")
    ours = dataset.load(saved, split)
    assert np.array_equal(theirs.data.numpy(), ours.pixels)
    assert np.array_equal(theirs.targets.numpy(), ours.labels)
    assert np.array_equal(ours.pixels, images.pixels)


def test_the_description_comes_back(saved: Path) -> None:
    assert dataset.describe(saved).name == "drawn"
    assert dataset.describe(saved).classes == dataset.CLASSES


def test_images_and_labels_must_belong_together(saved: Path) -> None:
    dataset.labels_path(saved, "test").write_bytes(idx.encode(np.zeros(199, np.uint8)))
    with pytest.raises(DataError, match=r"\(200, 28, 28\) and \(199,\)"):
        dataset.load(saved, "test")


def test_images_must_have_the_size_that_the_net_takes(saved: Path) -> None:
    dataset.images_path(saved, "test").write_bytes(idx.encode(np.zeros((200, 32, 32), np.uint8)))
    with pytest.raises(DataError, match=r"expected images \(n, 28, 28\).*found \(200, 32, 32\)"):
        dataset.load(saved, "test")


def test_a_label_must_be_a_class(saved: Path) -> None:
    dataset.labels_path(saved, "test").write_bytes(idx.encode(np.full(200, 10, np.uint8)))
    with pytest.raises(DataError, match="expected labels below 10, found 10"):
        dataset.load(saved, "test")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"name": "x", "classes": []}',
        "\xff",
        "[" * 100_000,
        '{"name": "x", "title": "", "source": "", "licence": "", "classes": [1]}',
        '{"name": "x", "title": "", "source": 1, "licence": "", "classes": ["a"]}',
        '{"name": "x", "title": null, "source": "", "licence": "", "classes": ["a"]}',
        '{"name": "x", "title": "", "source": "", "licence": [], "classes": ["a"]}',
        '{"name": "x", "title": "", "source": "", "licence": "", "classes": []}',
        '{"name": "x", "title": "", "source": "", "licence": "", "classes": ["a", "a"]}',
        '{"name": "x", "title": "", "source": "", "licence": "", "classes": ["\\ud800", "a"]}',
    ],
)
def test_a_damaged_description_is_refused(saved: Path, content: str) -> None:
    (saved / "dataset.json").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=r"dataset\.json: not a data set's description"):
        dataset.describe(saved)


def test_a_missing_description_is_refused(saved: Path) -> None:
    (saved / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset\.json: cannot be read"):
        dataset.load(saved, "train")


@pytest.mark.parametrize(
    "change",
    [{"title": []}, {"source": None}, {"licence": {}}, {"classes": "ab"}, {"classes": [1]}, {"classes": {}}],
    ids=str,
)
def test_a_description_of_other_types_is_refused(saved: Path, change: dict[str, object]) -> None:
    path = saved / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=r"dataset\.json: not a data set's description"):
        dataset.describe(saved)


def test_a_pipe_in_the_place_of_a_description_is_not_waited_for(saved: Path) -> None:
    (saved / "dataset.json").unlink()
    os.mkfifo(saved / "dataset.json")
    with pytest.raises(DataError, match=r"dataset\.json: not a data set's description"):
        dataset.describe(saved)


def test_choosing_is_random_without_repeats_and_repeatable(noise: Images) -> None:
    chosen = dataset.choose(noise, 8, seed=0)
    again, other = dataset.choose(noise, 8, seed=0), dataset.choose(noise, 8, seed=1)
    assert len({image.tobytes() for image in chosen.pixels}) == 8
    assert np.array_equal(chosen.pixels, again.pixels)
    assert not np.array_equal(chosen.pixels, other.pixels)
    where = [int(np.flatnonzero((noise.pixels == image).all(axis=(1, 2)))[0]) for image in chosen.pixels]
    assert np.array_equal(noise.labels[where], chosen.labels)


def test_where_there_are_fewer_all_are_chosen(noise: Images) -> None:
    chosen = dataset.choose(noise, 12, seed=0)
    assert sorted(each.tobytes() for each in chosen.pixels) == sorted(each.tobytes() for each in noise.pixels)


def test_choosing_by_class_takes_the_first_of_each_in_a_random_order(noise: Images) -> None:
    chosen = dataset.choose_by_class(noise, 2, seed=3)
    mixed = dataset.choose(noise, len(noise), seed=3)
    for label in range(10):
        ours, theirs = chosen.pixels[chosen.labels == label], mixed.pixels[mixed.labels == label]
        assert np.array_equal(ours, theirs[:2])
    assert sorted(chosen.labels) == chosen.labels.tolist()


def test_positions_are_all_different_and_no_more_than_there_are() -> None:
    some, again, other = (dataset.positions(100, 30, seed) for seed in (0, 0, 1))
    assert len(set(some.tolist())) == 30 and some.min() >= 0 and some.max() < 100
    assert np.array_equal(some, again) and not np.array_equal(some, other)
    assert sorted(dataset.positions(100, 1000, 0).tolist()) == list(range(100))
    assert dataset.positions(100, 0, 0).tolist() == []
