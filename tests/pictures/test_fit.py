"""Pictures fitted as Pillow's and torchvision's own functions do it, where they agree."""

import hashlib
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode, functional

from fashionboard.base.kind import FASHION_MNIST, Colour, Fit, Kind
from fashionboard.pictures.fit import fit

BICUBIC = Image.Resampling.BICUBIC
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")
COLOURS: tuple[Colour, ...] = get_args(Colour)


def noise(width: int, height: int) -> Image.Image:
    """A picture whose values stay between 0 and 255 in each step, so that the order matters by 1 at most."""
    generator = np.random.default_rng([width, height])
    return Image.fromarray(generator.integers(80, 176, (height, width, 3), np.uint8))


def difference(found: npt.NDArray[np.uint8], expected: Image.Image) -> int:
    assert found.dtype == np.uint8
    return int(np.abs(found.astype(int) - np.asarray(expected)).max())


@pytest.mark.parametrize("size", [(64, 64), (100, 60), (60, 100), (301, 97), (12, 10), (10, 12), (32, 500)])
@pytest.mark.parametrize("edge", [10, 32])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_pictures_are_fitted_as_pillow_does_it(size: tuple[int, int], edge: int, colour: Colour) -> None:
    picture, square = noise(*size), (edge, edge)
    same = picture.convert("L") if colour == "grey" else picture
    assert fit(picture, Kind(edge, colour, "crop")).shape == Kind(edge, colour).shape
    assert difference(fit(picture, Kind(edge, colour, "stretch")), same.resize(square, BICUBIC)) <= 1
    if (size[0] - size[1]) % 2 == 0:
        # Pillow would take half a pixel, too; and it looks at two pixels just beside the middle
        beside = max(2, 2 * edge // min(size) + 1)
        inner = ImageOps.fit(same, square, BICUBIC).crop((beside, beside, edge - beside, edge - beside))
        found = fit(picture, Kind(edge, colour, "crop"))[beside:-beside, beside:-beside]
        assert difference(found, inner) <= 1
    padded = ImageOps.pad(same, square, BICUBIC, color=0)
    if not any((side[1] - side[0]) % 2 for side in _edges(padded)):
        # Pillow rounds half a place to an even one
        assert difference(fit(picture, Kind(edge, colour, "pad")), padded) <= 1


def _edges(padded: Image.Image) -> list[tuple[int, int]]:
    left, top, right, bottom = padded.getbbox() or (0, 0, 0, 0)
    return [(left, right), (top, bottom)]


@pytest.mark.parametrize("size", [(60, 100), (100, 60), (240, 120), (30, 30)])
def test_pictures_are_fitted_as_torchvision_does_it(size: tuple[int, int]) -> None:
    picture, edge = noise(*size), 30
    whole = functional.resize(picture, [edge, edge], InterpolationMode.BICUBIC)
    assert difference(fit(picture, Kind(edge, "rgb", "stretch")), whole) <= 1
    shorter = functional.resize(picture, [edge], InterpolationMode.BICUBIC)
    inner = functional.center_crop(shorter, [edge - 4, edge - 4])
    assert difference(fit(picture, Kind(edge, "rgb", "crop"))[2:-2, 2:-2], inner) <= 1
    grey = functional.rgb_to_grayscale(picture)
    assert difference(fit(picture, Kind(edge, "grey", "stretch")), grey.resize((edge, edge), BICUBIC)) <= 1


def test_the_bits_are_these_with_every_version_of_pillow_and_on_every_processor() -> None:
    """Pillow 11.0 and 13.0 gave them, which scale the two edges in another order where they are left to."""
    values = np.arange(90 * 70 * 3) ** 2 // 7 % 251
    digest = hashlib.sha256()
    for size in ((70, 90), (90, 70)):
        picture = Image.fromarray(values.astype(np.uint8).reshape(size[1], size[0], 3))
        for how in FITS:
            for colour in COLOURS:
                digest.update(fit(picture, Kind(40, colour, how)).tobytes())
    assert digest.hexdigest()[:16] == "9ffe012065e97870"


def test_what_is_shrunk_is_averaged_and_not_sampled() -> None:
    board = np.indices((800, 800)).sum(axis=0) % 2 * 255
    picture = Image.fromarray(board.astype(np.uint8)).convert("RGB")
    for how in FITS:
        assert np.abs(fit(picture, Kind(20, "grey", how)).astype(int) - 127).max() <= 2


def test_the_middle_is_kept_or_padded_where_it_lies_between_two_pixels() -> None:
    columns = np.arange(5, dtype=np.uint8) * 50
    picture = Image.fromarray(np.broadcast_to(columns[None, :, None], (2, 5, 3)).copy())
    assert fit(picture, Kind(2, "grey", "crop"))[0].tolist() == [50, 100]
    white = Image.new("RGB", (5, 2), "white")
    assert fit(white, Kind(5, "grey", "pad"))[:, 0].tolist() == [0, 255, 255, 0, 0]


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (1, 1_000_000), (3, 1_000)])
def test_extreme_pictures_become_images(how: Fit, size: tuple[int, int]) -> None:
    image = fit(Image.new("RGB", size, (200, 100, 50)), Kind(64, "rgb", how))
    seen = image[image.any(axis=2)]
    assert (seen == (200, 100, 50)).all()
    narrow = 64 * max(1, round(64 * min(size) / max(size)))
    assert len(seen) == (narrow if how == "pad" else 64 * 64)


def test_a_garment_is_not_fitted_here() -> None:
    with pytest.raises(ValueError, match="expected crop, pad or stretch, found garment"):
        fit(noise(30, 30), FASHION_MNIST)
