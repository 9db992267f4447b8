import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid

from fashionboard.data.dataset import Images
from fashionboard.events import images

COLOURED = np.random.default_rng(1).integers(0, 256, (11, 5, 4, 3), np.uint8)


@pytest.fixture(params=["grey", "colour"])
def pixels(request: pytest.FixtureRequest, noise: Images) -> images.Pixels:
    """11 images of 5 x 4 pixels."""
    return noise.pixels if request.param == "grey" else COLOURED


@pytest.mark.parametrize(("columns", "padding"), [(4, 2), (11, 2), (3, 0), (1, 5)])
def test_the_grid_is_torchvisions(pixels: images.Pixels, columns: int, padding: int) -> None:
    ours = images.grid(pixels, columns, padding)
    channels = torch.tensor(pixels.reshape(11, 5, 4, -1)).permute(0, 3, 1, 2)
    theirs = make_grid(channels, nrow=columns, padding=padding).permute(1, 2, 0).numpy()
    assert np.array_equal(ours, theirs if ours.ndim == 3 else theirs[:, :, 0])


def test_the_sprite_is_square_and_holds_every_image(pixels: images.Pixels) -> None:
    sprite = images.sprite(pixels)
    assert sprite.shape == (4 * 5, 4 * 4, *pixels.shape[3:])
    for index, image in enumerate(pixels):
        row, column = divmod(index, 4)
        assert np.array_equal(sprite[row * 5 :, column * 4 :][:5, :4], image)
    assert not sprite[2 * 5 :, 3 * 4 :].any() and not sprite[3 * 5 :].any()


@pytest.mark.parametrize("edge", [1, 3, 7, 9])
def test_scaled_images_are_pillows(pixels: images.Pixels, edge: int) -> None:
    scaled = images.scaled(pixels, edge)
    size = (max(1, round(edge * 4 / 5)), edge)
    for image, one in zip(scaled, pixels, strict=True):
        theirs = Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)
        assert np.array_equal(image, np.asarray(theirs))


@pytest.mark.parametrize("times", [2, 4])
def test_where_it_can_be_each_pixel_is_repeated(pixels: images.Pixels, times: int) -> None:
    block = np.ones((1, times, times, 1)[: pixels.ndim], np.uint8)
    assert np.array_equal(images.scaled(pixels, 5 * times), np.kron(pixels, block))


def test_thumbnails_are_the_images_themselves_where_they_are_no_larger(pixels: images.Pixels) -> None:
    assert images.thumbnails(pixels, 5) is pixels
    assert images.thumbnails(pixels, 28) is pixels
    assert images.thumbnails(pixels, 4).shape == (11, 4, 3, *pixels.shape[3:])
    assert images.thumbnails(pixels.swapaxes(1, 2), 4).shape == (11, 3, 4, *pixels.shape[3:])


@pytest.mark.parametrize(("count", "edge", "expected"), [(2, 28, 28), (2, 224, 64), (17_000, 63, 62)])
def test_a_sprite_is_never_larger_than_tensorboards_page_can_show(
    count: int, edge: int, expected: int
) -> None:
    one = np.random.default_rng(0).integers(0, 256, (1, edge, edge), np.uint8)
    small = images.sprite_thumbnails(np.broadcast_to(one, (count, edge, edge)))
    assert small.shape == (count, expected, expected)
    side = math.ceil(math.sqrt(count)) * expected
    assert side <= 8192 and images.sprite(small).shape == (side, side)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_png_loses_nothing(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(images.png(pixels)))), pixels)
