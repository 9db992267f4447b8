from pathlib import Path

import numpy as np
import pytest

from fashionboard.data import idx, survey
from fashionboard.data.dataset import Images


def unlabelled(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Images:
    return Images(pixels, np.zeros(len(pixels), np.uint8))


@pytest.fixture(params=[(3, 2), (2, 2, 3)])
def few(request: pytest.FixtureRequest) -> tuple[Images, Images]:
    """A training and a test split of images that have one of three levels in each value."""
    generator = np.random.default_rng(0)
    shape = request.param
    # drawn from few different ones
    train = generator.integers(0, 3, (40, *shape), np.uint8)[generator.integers(0, 40, 300)]
    test = np.concatenate([train[:50:7], generator.integers(0, 3, (60, *shape), np.uint8)])
    return unlabelled(train), unlabelled(test)


def test_copies_are_those_that_numpy_finds(few: tuple[Images, Images]) -> None:
    train, test = few
    rows = [split.pixels.reshape(len(split), -1) for split in few]
    learned, examined = (len(np.unique(each, axis=0)) for each in rows)
    across = sum((rows[0] == row).all(axis=1).any() for row in rows[1])
    assert survey.copies(train, test) == survey.Copies(300 - learned, 68 - examined, across)
    assert learned < 300 and 0 < across < 68


def test_copies_do_not_ask_for_labels_and_count_each_but_the_first() -> None:
    one, other = np.zeros((1, 2, 2), np.uint8), np.ones((1, 2, 2), np.uint8)
    train = Images(np.concatenate([one, one, other, one]), np.arange(4, dtype=np.uint8))
    test = Images(np.concatenate([other, one, one]), np.arange(3, dtype=np.uint8))
    assert survey.copies(train, test) == survey.Copies(train=2, test=1, across=3)
    assert survey.copies(train, unlabelled(other + 1)) == survey.Copies(2, 0, 0)


def test_extremes_are_those_of_numpys_mean_and_variance(few: tuple[Images, Images]) -> None:
    images, _ = few
    places = (1, 2)
    # of three levels, and so of few values: sums in floats are exact
    means = images.pixels.mean(axis=tuple(range(1, images.pixels.ndim)))
    spread = np.round(images.pixels.var(axis=places).reshape(len(images), -1).sum(axis=1), 9)
    found = survey.extremes(images, 25)
    numbers = np.arange(len(images))
    assert found.darkest.tolist() == np.lexsort([numbers, np.round(means, 9)])[:25].tolist()
    assert found.most_uniform.tolist() == np.lexsort([numbers, spread])[:25].tolist()


def test_a_plain_colour_is_uniform_and_the_darkest_is_black() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
    pixels[4] = (255, 0, 40)
    pixels[7] = 0
    pixels[7, 0, 0] = 255
    assert survey.extremes(unlabelled(pixels), 1).most_uniform.tolist() == [4]
    assert survey.extremes(unlabelled(pixels), 1).darkest.tolist() == [7]


def test_one_level_more_or_less_decides_among_the_largest_images() -> None:
    """What float32 could not tell: a sum of 50,176 values near 255."""
    pixels = np.full((3, 224, 224), 255, np.uint8)
    pixels[1, 100, 100] = 254
    pixels[2, 100, 100:102] = 254
    found = survey.extremes(unlabelled(pixels), 3)
    assert found.darkest.tolist() == [2, 1, 0]
    assert found.most_uniform.tolist() == [0, 1, 2]


def test_fewer_images_than_are_asked_for_are_all_there_is(noise: Images) -> None:
    found = survey.extremes(noise, 100)
    assert sorted(found.darkest) == sorted(found.most_uniform) == list(range(len(noise)))


def test_parts_are_all_images_in_their_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 25, 40), np.uint8)
    assert np.array_equal(np.concatenate(list(survey.parts(pixels))), pixels)
    large = np.random.default_rng(0).integers(0, 256, (5, 700, 1000), np.uint8)
    cut = list(survey.parts(large))
    assert len(cut) == 5 and np.array_equal(np.concatenate(cut), large)


def test_of_a_mapped_file_little_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 256, 256), np.uint8)
    path = tmp_path / "images"
    path.write_bytes(idx.encode(pixels))
    monkeypatch.setattr(idx, "_MAPPED_FROM", 1)
    mapped = idx.read(path)
    assert idx.is_mapped(mapped)
    most = 0
    for part in survey.parts(mapped):
        part.sum()
        most = max(most, resident(path))
    assert 0 < most < 8 * 2**20 < pixels.nbytes
    images = unlabelled(mapped)
    assert survey.copies(images, images) == survey.Copies(0, 0, 400)
    survey.extremes(images, 1)
    assert resident(path) == 0


def resident(path: Path) -> int:
    """Return how many bytes of a file's mapping are in memory, as Linux tells."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(each.split()[1]) * 1024 for each in lines if each.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")
