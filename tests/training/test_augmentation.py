import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from fashionboard.data.dataset import Images
from fashionboard.network import compute, nets
from fashionboard.training import augmentation, loop
from fashionboard.training.feed import Feed

NAMES = ("flip-shift", "crop-flip", "randaugment", "erase")


@pytest.fixture(autouse=True)
def repeatable() -> None:
    """As in a training: torch refuses what it cannot repeat."""
    compute.configure("cpu", 1)


@pytest.fixture
def grey(images: Images) -> Tensor:
    return torch.tensor(images.pixels)


@pytest.fixture
def colour() -> Tensor:
    """40 images of 32 x 32 pixels: noise on a ramp in each channel."""
    noise = np.random.default_rng(0).integers(0, 100, (40, 32, 32, 3))
    return torch.from_numpy((noise + np.linspace(0, 155, 32)[:, None]).astype(np.uint8))


def changed(name: str, pixels: Tensor, seed: int = 0, epoch: int = 0) -> tuple[Tensor, list[list[int]]]:
    """Return the images changed one way, and how each is."""
    changes = augmentation.draw([name], len(pixels), pixels.shape[1], seed, epoch)
    return augmentation.change(pixels, changes), changes[name].tolist()


def planes(image: Tensor) -> Tensor:
    """Return an image as torchvision takes it: (channels, height, width)."""
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


def assert_each_is(found: Tensor, expected: list[Tensor]) -> None:
    """Hold images against those of torchvision."""
    assert found.dtype == torch.uint8
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(planes(one), other)


def test_an_image_is_mirrored_and_then_moved() -> None:
    pixels = torch.tensor([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], dtype=torch.uint8)
    for change, expected in (
        ([0, 0, 0], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ([1, 0, 0], [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        ([0, 1, 0], [[0, 0, 0], [1, 2, 3], [4, 5, 6]]),
        ([0, 0, -1], [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        ([1, -2, 2], [[0, 0, 9], [0, 0, 0], [0, 0, 0]]),
    ):
        found = augmentation.change(pixels, {"flip-shift": torch.tensor([change])})
        assert found[0].tolist() == expected


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_flip_shift_is_what_torchvision_does(kind: str, request: pytest.FixtureRequest) -> None:
    pixels = request.getfixturevalue(kind)
    found, changes = changed("flip-shift", pixels)
    expected = []
    for image, (mirrored, down, right) in zip(pixels, changes, strict=True):
        image = v2.functional.horizontal_flip(planes(image)) if mirrored else planes(image)
        moved = v2.functional.affine(image, angle=0, translate=[right, down], scale=1, shear=[0, 0])
        expected.append(moved)
    assert_each_is(found, expected)


def test_flip_shift_draws_what_it_drew_before_there_were_others() -> None:
    """All committed trainings with it depend on this."""
    generator = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(3,)))
    expected = generator.integers([0, -2, -2], [2, 3, 3], (500, 3))
    for names in (["flip-shift"], ["erase", "flip-shift", "crop-flip"]):
        drawn = augmentation.draw(names, 500, 28, seed=7, epoch=3)
        assert np.array_equal(drawn["flip-shift"].numpy(), expected)


def test_all_flips_and_shifts_are_equally_likely() -> None:
    changes = augmentation.draw(["flip-shift"], 50_000, 28, seed=0, epoch=0)["flip-shift"].numpy()
    kinds, counts = np.unique(changes, axis=0, return_counts=True)
    assert {tuple(kind) for kind in kinds} == {
        (mirrored, down, right) for mirrored in (0, 1) for down in range(-2, 3) for right in range(-2, 3)
    }
    # 1,000 expected; five standard deviations
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_crop_flip_is_what_torchvision_does(kind: str, request: pytest.FixtureRequest) -> None:
    pixels = request.getfixturevalue(kind)
    found, changes = changed("crop-flip", pixels)
    size = list(pixels.shape[1:3])
    expected = []
    for image, (mirrored, *box) in zip(pixels, changes, strict=True):
        cropped = v2.functional.resized_crop(planes(image), *box, size=size, antialias=True)
        expected.append(v2.functional.horizontal_flip(cropped) if mirrored else cropped)
    assert_each_is(found, expected)


def test_crop_flip_is_what_pillow_does(colour: Tensor) -> None:
    found, changes = changed("crop-flip", colour)
    for one, image, (mirrored, top, left, height, width) in zip(found, colour, changes, strict=True):
        box = Image.fromarray(image.numpy()).crop((left, top, left + width, top + height))
        whole = np.asarray(box.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
        # Pillow rounds after each of two passes, torch too, but not with as many bits
        assert np.abs(one.numpy() - (whole[:, ::-1] if mirrored else whole)).max() <= 1


def test_the_whole_image_as_a_crop_stays_as_it_is(colour: Tensor) -> None:
    box = {"crop-flip": torch.tensor([[0, 0, 0, 32, 32]] * len(colour))}
    assert torch.equal(augmentation.change(colour, box), colour)


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_randaugment_is_torchvisions_with_the_same_seed(kind: str, request: pytest.FixtureRequest) -> None:
    pixels = request.getfixturevalue(kind)
    found, seeds = changed("randaugment", pixels)
    plain, expected = v2.RandAugment(), []
    with torch.random.fork_rng(devices=[]):
        for image, (seed,) in zip(pixels, seeds, strict=True):
            torch.manual_seed(seed)
            expected.append(plain(planes(image)))
    assert_each_is(found, expected)
    assert not torch.equal(found, pixels)


def test_where_randaugment_looks_does_not_depend_on_the_last_bits_of_a_sine() -> None:
    """They come from the C library."""
    angle = float(torch.linspace(0.0, 30.0, 31)[9])
    assert angle == 9
    for exact in (math.sin(math.radians(angle)), math.cos(math.radians(angle))):
        assert np.float32(exact - 2**-48) == np.float32(exact + 2**-48)
    shear = math.degrees(math.atan(float(torch.linspace(0.0, 0.3, 31)[9])))
    for size in range(28, 224 + 1):
        # each pixel is known by its value
        pixels = torch.arange(1.0, size**2 + 1).view(1, size, size)
        for sign in (-1, 1):
            nearly = [sign * shear - 1e-5, sign * shear + 1e-5]
            for shears in ([[each, 0.0] for each in nearly], [[0.0, each] for each in nearly]):
                one, other = (
                    v2.functional.affine(pixels, 0.0, [0, 0], 1.0, each, center=[0, 0]) for each in shears
                )
                assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_erase_is_what_torchvision_does(kind: str, request: pytest.FixtureRequest) -> None:
    pixels = request.getfixturevalue(kind)
    found, boxes = changed("erase", pixels)
    value = torch.zeros(1, dtype=torch.uint8)
    expected = [
        v2.functional.erase(planes(image), *box, v=value) for image, box in zip(pixels, boxes, strict=True)
    ]
    assert_each_is(found, expected)
    unchanged = [torch.equal(one, other) for one, other in zip(found, pixels, strict=True)]
    assert 0 < sum(unchanged) < len(pixels)


@pytest.mark.parametrize("size", [28, 224])
@pytest.mark.parametrize(
    ("name", "shares", "ratio"), [("crop-flip", (0.35, 1.0), 3 / 4), ("erase", (0.02, 0.33), 0.3)]
)
def test_boxes_are_of_all_areas_and_shapes_and_anywhere(
    size: int, name: str, shares: tuple[float, float], ratio: float
) -> None:
    drawn = augmentation.draw([name], 20_000, size, seed=0, epoch=0)[name].numpy()
    top, left, height, width = drawn[:, -4:].T
    assert (np.array([top, left]) >= 0).all()
    assert (top + height <= size).all() and (left + width <= size).all()
    some = height > 0
    assert np.array_equal(some, width > 0)
    assert some.mean() == (1 if name == "crop-flip" else pytest.approx(0.5, abs=0.02))
    height, width = height[some], width[some]
    # sides are whole pixels
    area, slack = height * width / size**2, 2 / size
    assert area.min() == pytest.approx(shares[0], abs=slack) and area.max() <= shares[1] + slack
    assert np.median(area) == pytest.approx(sum(shares) / 2, abs=0.05)
    inside = np.maximum(height, width) < size
    shapes = (np.minimum(height, width) / np.maximum(height, width))[inside]
    assert shapes.min() > ratio - 1.5 / np.minimum(height, width).min() and shapes.max() == 1
    assert (height > width).mean() == pytest.approx((width > height).mean(), abs=0.03)
    # of what is left beside a box, as much before it as behind it
    assert (2 * top[some] + height).mean() == pytest.approx(size, rel=0.02)
    assert (2 * left[some] + width).mean() == pytest.approx(size, rel=0.02)
    if name == "crop-flip":
        assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.02) and set(drawn[:, 0]) == {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_and_an_epoch_of_its_own(name: str) -> None:
    def drawn(seed: int, epoch: int) -> bytes:
        return augmentation.draw([name], 20, 28, seed, epoch)[name].numpy().tobytes()

    every = {(seed, epoch): drawn(seed, epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert len(set(every.values())) == 4
    assert drawn(0, 1) == every[0, 1]
    # nor that of the images' order
    of_order = np.random.default_rng([0, 0]).integers([0, -2, -2], [2, 3, 3], (20, 3))
    assert every[0, 0] != of_order.tobytes()


def test_each_way_has_a_stream_of_its_own() -> None:
    first = []
    for name in NAMES:
        key = (0, *augmentation._WAYS[name].stream)
        first.append(np.random.default_rng(np.random.SeedSequence(0, spawn_key=key)).integers(2**62))
    assert len(set(first)) == len(NAMES)


def test_ways_are_done_in_the_order_in_which_they_are_listed(colour: Tensor) -> None:
    found = set()
    for names in itertools.permutations(["crop-flip", "erase", "randaugment"]):
        changes = augmentation.draw(names, len(colour), 32, seed=0, epoch=0)
        one_by_one = colour
        for name in names:
            one_by_one = augmentation.change(one_by_one, {name: changes[name]})
        together = augmentation.change(colour, changes)
        assert torch.equal(together, one_by_one)
        found.add(together.numpy().tobytes())
    assert len(found) == 6


@pytest.mark.parametrize("kind", ["grey", "colour"])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_changed_the_same_alone_and_with_two_threads(
    name: str, kind: str, request: pytest.FixtureRequest
) -> None:
    pixels = request.getfixturevalue(kind)[:20]
    before = pixels.clone()
    changes = augmentation.draw([name], len(pixels), pixels.shape[1], seed=0, epoch=0)[name]
    alone = [augmentation.change(pixels[i : i + 1], {name: changes[i : i + 1]}) for i in range(20)]
    compute.configure("cpu", 2, batch_size=64)  # with oneDNN, too
    together = augmentation.change(pixels, {name: changes})
    assert torch.equal(torch.cat(alone), together)
    assert torch.get_num_threads() == 2
    assert torch.equal(pixels, before)
    assert augmentation.change(pixels[:0], {name: changes[:0]}).shape == pixels[:0].shape


@pytest.mark.parametrize("threads", [1, 2])
def test_large_images_are_changed_the_same_with_all_threads(threads: int) -> None:
    """Torch would give each thread a part of one."""
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (30, 224, 224, 3), np.uint8))
    compute.configure("cpu", threads)
    found, _ = changed("randaugment", pixels)
    compute.configure("cpu", 1)
    assert torch.equal(found, changed("randaugment", pixels)[0])


def test_no_generator_is_touched(colour: Tensor) -> None:
    torch.manual_seed(1)
    state: Any = np.random.get_state()  # noqa: NPY002 - what must not matter
    before = torch.get_rng_state()
    for name in NAMES:
        changed(name, colour)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], state[1])  # type: ignore[index] # noqa: NPY002


def test_what_takes_one_image_at_a_time_is_told_from_the_rest() -> None:
    assert augmentation.on_device([]) and augmentation.on_device(["erase", "flip-shift"])
    assert not augmentation.on_device(["flip-shift", "crop-flip"])
    assert not augmentation.on_device(["randaugment"])


@pytest.mark.parametrize("batch_size", [7, 64, 6000])
def test_batches_are_augmented_image_by_image(images: Images, batch_size: int) -> None:
    pixels, labels = torch.tensor(images.pixels), torch.tensor(images.labels, dtype=torch.int64)
    positions = torch.from_numpy(np.random.default_rng(0).integers(0, len(images), 9000))
    changes = augmentation.draw(["flip-shift", "erase"], 9000, 28, seed=0, epoch=0)
    found = list(loop.batches(Feed(images, torch.device("cpu")), positions, batch_size, changes))
    together = torch.cat([inputs for inputs, _, _ in found])
    assert torch.equal(together, nets.normalise(augmentation.change(pixels[positions], changes)))
    assert torch.equal(torch.cat([targets for _, targets, _ in found]), labels[positions])
    assert torch.equal(torch.cat([at for _, _, at in found]), positions)
