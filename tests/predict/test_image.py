import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps
from torchvision.transforms.functional import gaussian_blur

from fashionboard.base.errors import PictureError
from fashionboard.base.kind import FASHION_MNIST
from fashionboard.data.dataset import Images
from fashionboard.predict import image
from fashionboard.predict.image import Pixels

SHOE = [(150, 400), (200, 250), (350, 300), (600, 380), (650, 400), (650, 450), (150, 450)]


def shoe(background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """A dark shape, 501 x 201 pixels, on a page of 800 x 600."""
    page = Image.new("RGB", (800, 600), background)
    ImageDraw.Draw(page).polygon(SHOE, fill=(70, 20, 0))
    return page


def on_page(pixels: Pixels, margin: int, scale: int = 1) -> Image.Image:
    """A data set's image as it would be in a shop: dark on white, enlarged, with a margin."""
    large = np.kron(255 - pixels, np.ones((scale, scale), np.uint8))
    return Image.fromarray(np.pad(large, margin, constant_values=255)).convert("RGB")


def test_a_dark_shape_on_light_and_its_negative_are_the_same_image() -> None:
    one, other = image.convert(shoe()), image.convert(ImageOps.invert(shoe()))
    assert np.array_equal(one.pixels, other.pixels)
    assert (one.light, other.light) == (True, False)
    assert one.box == other.box


def test_a_photograph_and_its_negative_are_the_same_image() -> None:
    """Many levels, and larger than what is worked on."""
    noise = np.random.default_rng(0).normal(0, 6, (600, 800, 3))
    page = Image.fromarray((np.asarray(shoe((230, 225, 220))) + noise).clip(0, 255).astype(np.uint8))
    one, other = image.convert(page), image.convert(ImageOps.invert(page))
    assert np.array_equal(one.pixels, other.pixels)
    assert (one.light, other.light) == (True, False)
    # and its background is black within the box, too
    assert not one.pixels[image.convert(shoe()).pixels == 0].any()


def test_the_longest_edge_fills_the_image_and_the_other_is_centred() -> None:
    converted = image.convert(shoe())
    left, upper, right, lower = converted.box
    # to a seventh of a pixel of the image: pictures are worked on at 4 to 8 pixels a pixel
    assert np.abs(np.subtract((left, upper, right, lower), (150, 250, 651, 451))).max() <= 7
    rows, columns = np.nonzero(converted.pixels)
    assert (columns.min(), columns.max()) == (0, 27)
    assert (rows.min(), rows.max()) == (8, 19)  # 28 * 201 / 501 = 11.2 rows, with 8 above


def test_a_bar_is_what_can_be_worked_out_by_hand() -> None:
    page = Image.new("RGB", (60, 80), "white")
    page.paste("black", (20, 12, 30, 68))
    converted = image.convert(page)
    expected = np.zeros((28, 28), np.uint8)
    expected[:, 11:16] = 255  # 10 x 56 pixels become 5 x 28
    assert np.array_equal(converted.pixels, expected)
    assert converted.box == (20, 12, 30, 68)


def test_sharpening_adds_what_a_gaussian_takes_away(images: Images) -> None:
    """Against torchvision's blur; an image that reaches all edges is neither trimmed nor scaled."""
    pixels = images.pixels[0].copy()
    pixels[[0, -1], 5:15] = pixels[5:15, [0, -1]] = 100
    converted = image.convert(on_page(pixels, margin=3))
    # at 5 % of red, green and blue together, grey is background
    level = torch.from_numpy(np.where(pixels * np.sqrt(3) > 0.05 * 255, pixels, 0)).double()
    blurred = gaussian_blur(torch.nn.functional.pad(level, (2, 2, 2, 2))[None], [3, 3], [1.0])[0, 2:-2, 2:-2]
    expected = (2 * level - blurred).clip(0, 255)
    # half a level by rounding to bytes
    assert np.abs(converted.pixels - expected.numpy()).max() <= 0.5 + 1e-4


def test_colours_become_the_grey_that_pillow_makes_of_them() -> None:
    page = Image.new("RGB", (100, 100), "white")
    for number, colour in enumerate(("#f00", "#0f0", "#00f", "#840")):
        ImageDraw.Draw(page).rectangle((22, 22 + 14 * number, 77, 35 + 14 * number), fill=colour)
    # seven rows each: in the middle, sharpening changes nothing
    found = image.convert(page).pixels[[3, 10, 17, 24], 14].astype(int)
    expected = 255 - np.asarray(page.convert("L"), int)[[29, 43, 57, 71], 50]
    assert found == pytest.approx(expected, abs=1)


def test_an_enlarged_image_of_the_data_set_is_recognised_as_itself(images: Images) -> None:
    """Nearest of 60 by pixels, which no net has a part in."""
    known = np.stack([image.convert(on_page(each, 40, scale=10)).pixels for each in images.pixels[:60]])
    for scale, margin in ((5, 20), (8, 40), (16, 300)):
        for index in range(0, 60, 6):
            found = image.convert(on_page(images.pixels[index], margin, scale)).pixels
            distances = np.square(known.astype(float) - found).sum(axis=(1, 2))
            assert distances.argmin() == index


@pytest.mark.parametrize("grey", [120, 200, 254])
def test_a_grey_background_becomes_black_and_stretches_the_rest(grey: int) -> None:
    page = Image.new("L", (100, 100), grey)
    page.paste(grey // 2, (30, 20, 58, 48))
    page.paste(0, (40, 20, 44, 48))
    converted = image.convert(page.convert("RGB"))
    assert converted.light
    # halfway to black is half of 255, whatever the grey; the bar in it is black
    assert abs(int(converted.pixels[14, 4]) - 128) <= 1
    assert converted.pixels[14, 12] == 255


def test_a_background_that_grows_darker_across_the_page_is_still_one() -> None:
    ramp = np.linspace(1, 0.75, 800) * np.linspace(1, 0.9, 600)[:, None]  # (height, width)
    uneven = np.asarray(shoe()) * ramp[:, :, None]
    converted = image.convert(Image.fromarray(uneven.astype(np.uint8)))
    plain = image.convert(shoe())
    assert converted.box == plain.box
    # the shoe's brightness against the page around it is the same, but for rounding, stretched
    assert np.abs(converted.pixels.astype(int) - plain.pixels).max() <= 6


def test_something_that_reaches_into_a_corner_does_not_make_the_background() -> None:
    page = Image.new("RGB", (200, 200), "white")
    page.paste("black", (0, 0, 100, 60))
    converted = image.convert(page)
    assert converted.light
    assert converted.box == (0, 0, 100, 60)


def test_something_small_is_seen_as_closely_as_if_it_were_alone() -> None:
    small = on_page(dataset_like(), margin=10)
    page = Image.new("RGB", (2000, 1500), "white")
    page.paste(small, (1200, 300))
    found, alone = image.convert(page), image.convert(small)
    assert np.array_equal(found.pixels, alone.pixels)
    assert found.box == tuple(np.add(alone.box, (1200, 300, 1200, 300)))


def dataset_like() -> Pixels:
    pixels = np.random.default_rng(0).integers(100, 256, (28, 28), np.uint8)
    pixels[:10, :8] = 0
    return pixels


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (5000, 2)])
@pytest.mark.parametrize("level", [0, 128, 250])
def test_one_colour_alone_is_refused(size: tuple[int, int], level: int) -> None:
    with pytest.raises(PictureError, match="expected something on a plain background, found one colour"):
        image.convert(Image.new("RGB", size, (level, level, level)))


@pytest.mark.parametrize("size", [(2, 1), (1, 3), (7, 5), (5000, 3), (3, 5000), (113, 1)])
def test_odd_sizes_are_converted(size: tuple[int, int]) -> None:
    page = np.full((*size[::-1], 3), 255, np.uint8)
    longer = max(page.shape[:2])
    page.reshape(-1, 3)[page.size // 3 // 2 :][: max(1, longer // 10)] = 0
    converted = image.convert(Image.fromarray(page))
    assert converted.pixels.shape == FASHION_MNIST.shape and converted.pixels.any()
