from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import colormaps, rc_context, rcParams
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from PIL import Image

from fashionboard.data.dataset import CLASSES, Images
from fashionboard.figures import canvas, diagrams, examples
from tests.support.drawn_figures import SHOWN, legible, texts

GREEN, RED = (0, 128, 0), (192, 0, 0)


def has(picture: canvas.Pixels, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


@pytest.mark.parametrize(
    ("predicted", "green", "red"),
    [([0, 1, 2, 3], True, False), ([9, 9, 9, 9], False, True), ([0, 9, 2, 9], True, True)],
)
def test_titles_are_green_where_right_and_red_where_wrong(
    images: Images, predicted: list[int], green: bool, red: bool
) -> None:
    labels = np.arange(4)
    picture = examples.predictions(images.pixels[:4], labels, np.array(predicted), np.full(4, 0.5), CLASSES)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert (has(picture, GREEN), has(picture, RED)) == (green, red)


def test_a_figure_is_the_same_whatever_matplotlib_is_told_elsewhere(images: Images) -> None:
    one = examples.class_balance(images.labels, images.labels, CLASSES)
    with rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 10, "lines.linewidth": 9}):
        other = examples.class_balance(images.labels, images.labels, CLASSES)
        assert rcParams["font.size"] == 30  # nor is anybody else's setting lost
    assert np.array_equal(one, other)


def test_the_class_grid_shows_the_first_of_each_class_in_its_row(images: Images) -> None:
    picture = examples.class_grid(images.pixels, images.labels, CLASSES, columns=5)
    swapped = images.pixels.copy()
    first = int(np.flatnonzero(images.labels == 9)[0])
    swapped[first] = 255
    other = examples.class_grid(swapped, images.labels, CLASSES, columns=5)
    rows = np.flatnonzero((picture != other).any(axis=(1, 2)))
    assert rows.min() > picture.shape[0] * 0.85  # only the last of ten rows changed
    sixth = int(np.flatnonzero(images.labels == 9)[5])
    swapped = images.pixels.copy()
    swapped[sixth] = 255
    assert np.array_equal(picture, examples.class_grid(swapped, images.labels, CLASSES, columns=5))


def middle(picture: canvas.Pixels) -> canvas.Pixels:
    """Return what `predictions` shows of a single image, without the frame around it."""
    return picture[92 + 4 : 92 + 316 - 4, 192 + 4 : 192 + 316 - 4]


@pytest.mark.parametrize("size", [28, 64, 224])
@pytest.mark.parametrize("colour", [False, True])
def test_predictions_show_ones_own_images_as_they_are(size: int, colour: bool) -> None:
    """Small ones in squares, and larger ones as Pillow scales them."""
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    if not colour:
        pixels = pixels[..., 0]
    one = np.zeros(1, np.int64)
    picture = examples.predictions(pixels, one, one, np.ones(1), CLASSES, negative=False)
    filter_ = Image.Resampling.NEAREST if size == 28 else Image.Resampling.BICUBIC
    expected = np.asarray(Image.fromarray(pixels[0]).resize((316, 316), filter_).convert("RGB"))[4:-4, 4:-4]
    # matplotlib goes over floats and cuts off, and where squares meet it may take the other one
    differ = (np.abs(middle(picture).astype(int) - expected) > 1).any(axis=2)
    assert differ.mean() <= (0.02 if size == 28 else 0)
    if colour:
        assert np.array_equal(picture, examples.predictions(pixels, one, one, np.ones(1), CLASSES))


@pytest.mark.parametrize("size", [28, 96])
def test_predictions_show_a_grey_negative_as_a_positive(size: int) -> None:
    pixels = np.zeros((1, size, size), np.uint8)
    pixels[:, : size // 2] = 255
    one = np.zeros(1, np.int64)
    for negative, levels in ((True, (0, 255)), (False, (255, 0))):
        shown = middle(examples.predictions(pixels, one, one, np.ones(1), CLASSES, negative))
        assert (shown[:100] == levels[0]).all() and (shown[-100:] == levels[1]).all()


@pytest.mark.parametrize("size", [28, 64, 224])
def test_the_class_grid_shows_colours_as_they_are(size: int, drawn_as: list[Figure]) -> None:
    colours = np.array([(200, 10, 30), (0, 255, 0), (20, 40, 250), (90, 90, 90)], np.uint8)
    pixels = np.broadcast_to(colours[:, np.newaxis, np.newaxis], (4, size, size, 3))
    picture = examples.class_grid(pixels, np.array([1, 0, 1, 0]), CLASSES[:2], columns=2)
    ((place,),) = [axes.images for axes in drawn_as[0].axes]
    box = place.get_window_extent()
    quarters = [
        (box.x0 + box.width * x / 4, picture.shape[0] - box.y0 - box.height * y / 4)
        for y in (3, 1)
        for x in (1, 3)
    ]
    found = [picture[round(y), round(x)].astype(int) for x, y in quarters]
    assert np.abs(np.array(found) - colours[[1, 3, 0, 2]]).max() <= 1


@pytest.mark.parametrize(("columns", "edge"), [(10, 50), (50, 28)])
def test_the_class_grid_scales_large_images_to_what_it_has_room_for(
    drawn_as: list[Figure], columns: int, edge: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 224, 224, 3), np.uint8)
    examples.class_grid(pixels, np.arange(60) % 2, ("cat", "dog"), columns)
    ((place,),) = [axes.images for axes in drawn_as[0].axes]
    sheet = np.asarray(place.get_array())
    assert sheet.shape == (2 * edge, columns * edge, 3)
    theirs = Image.fromarray(pixels[3]).resize((edge, edge), Image.Resampling.BICUBIC)
    assert np.array_equal(sheet[edge:, edge : 2 * edge], np.asarray(theirs))


@pytest.mark.parametrize("shape", [(28, 28), (64, 64, 3), (224, 224)])
def test_unusual_images_lie_as_they_are_under_their_classes(
    drawn_as: list[Figure], shape: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(0)
    groups = [
        Images(generator.integers(0, 256, (n, *shape), np.uint8), generator.integers(0, 10, n, np.uint8))
        for n in (6, 4)
    ]
    picture = examples.unusual(groups[0], groups[1], CLASSES)
    assert picture.shape[1] == 700
    (figure,) = drawn_as
    assert legible(figure)
    said = [text.get_text() for text in texts(figure)]
    names = [[CLASSES[label] for label in group.labels] for group in groups]
    assert said == ["darkest", *names[0], "most uniform", *names[1]]
    filter_ = Image.Resampling.BICUBIC if 112 % shape[0] else Image.Resampling.NEAREST
    captions = [text for text in texts(figure) if text.get_text() in CLASSES]
    for image, caption in zip([*groups[0].pixels, *groups[1].pixels], captions, strict=True):
        expected = np.asarray(Image.fromarray(image).resize((112, 112), filter_).convert("RGB"))
        box = caption.get_window_extent()
        centre, under = round((box.x0 + box.x1) / 2), round(picture.shape[0] - box.y0)
        places = [
            picture[under + down : under + down + 112, centre + right - 56 : centre + right + 56]
            for down in range(12)
            for right in (-1, 0, 1)
        ]
        assert any(np.array_equal(place, expected) for place in places), caption
    # and nothing of the second group is hidden by the first
    above, below = captions[0].get_window_extent(), texts(figure)[7].get_window_extent()
    assert above.y0 - 112 - 12 > below.y1


def test_there_may_be_few_unusual_images(images: Images, drawn_as: list[Figure]) -> None:
    one, none = Images(images.pixels[:1], images.labels[:1]), Images(images.pixels[:0], images.labels[:0])
    examples.unusual(one, none, CLASSES)
    assert len(texts(drawn_as[0])) == 3


def test_a_class_without_images_leaves_its_row_empty(images: Images) -> None:
    kept = images.labels != 9
    picture = examples.class_grid(images.pixels[kept], images.labels[kept], CLASSES, columns=3)
    tenth_row = picture[-picture.shape[0] // 12 : -10, picture.shape[1] // 2]
    assert not tenth_row.any()


def test_the_diagonal_of_a_perfect_confusion_is_bright_and_the_rest_dark() -> None:
    picture = diagrams.confusion(np.diag(np.full(10, 100)), CLASSES, "title")
    area = [
        int((picture == colormaps["cividis"](end, bytes=True)[:3]).all(axis=2).sum()) for end in (0.0, 1.0)
    ]
    # nine cells in ten are off the diagonal; the digits in a cell and nothing else take a little
    assert area[0] / area[1] == pytest.approx(9, rel=0.2)


def test_labels_are_the_rows_of_a_confusion() -> None:
    counts = np.zeros((10, 10), np.int64)
    counts[0, 9] = 100  # all of the first class are taken for the last
    picture = diagrams.confusion(counts, CLASSES, "title")
    rows, columns = np.nonzero((picture == colormaps["cividis"](1.0, bytes=True)[:3]).all(axis=2))
    assert rows.max() < picture.shape[0] / 3 and columns.min() > picture.shape[1] * 2 / 3


def test_a_cell_of_a_confusion_has_its_number_and_the_shade_of_its_share_of_the_row(
    drawn_as: list[Figure],
) -> None:
    counts = np.zeros((3, 3), np.int64)
    counts[0, :2], counts[2, 1] = (1, 3), 5
    diagrams.confusion(counts, CLASSES[:3], "title")
    (figure,) = drawn_as
    (image,) = figure.axes[0].images
    assert np.asarray(image.get_array()).tolist() == [[0.25, 0.75, 0], [0, 0, 0], [0, 1, 0]]
    numbers = {text.get_position(): text.get_text() for text in texts(figure) if text.get_text().isdigit()}
    assert numbers == {(column, row): str(count) for (row, column), count in np.ndenumerate(counts)}


def test_a_bar_is_as_long_as_there_are_images_of_its_class(drawn_as: list[Figure]) -> None:
    examples.class_balance(np.repeat(np.arange(3), [4, 0, 5]), np.arange(2), CLASSES[:3])
    (figure,) = drawn_as
    lengths = {
        bars.get_label(): [bar.get_width() for bar in bars.patches]
        for bars in figure.axes[0].containers
        if isinstance(bars, BarContainer)
    }
    assert lengths == {"train": [4, 0, 5], "test": [1, 1, 0]}


@pytest.fixture
def drawn(images: Images, drawn_as: list[Figure]) -> Callable[[str], Figure]:
    """Every figure by name, as matplotlib's own objects."""

    def draw(name: str) -> Figure:
        pixels, labels = images.pixels, images.labels
        if name == "predictions":
            predicted = np.array([labels[0], *(labels[1:4] + 1) % 10])
            examples.predictions(pixels[:4], labels[:4], predicted, np.full(4, 0.5), CLASSES)
        elif name == "class_grid":
            examples.class_grid(pixels, labels, CLASSES, columns=10)
        elif name == "class_balance":
            examples.class_balance(labels, labels, CLASSES)
        else:
            # shares on both sides of where digits turn from white to black, in steps of 1 %
            counts = np.zeros((10, 10), np.int64)
            counts[:, 0] = np.arange(43, 53)
            counts[:, 1] = 100 - counts[:, 0]
            diagrams.confusion(counts, CLASSES, "title")
        return drawn_as[-1]

    return draw


NAMES = ("predictions", "class_grid", "class_balance", "confusion")


@pytest.mark.parametrize("name", NAMES)
def test_text_is_legible_at_the_size_that_tensorboard_shows(
    drawn: Callable[[str], Figure], name: str
) -> None:
    figure = drawn(name)
    scale = SHOWN / figure.get_figwidth() / 72  # pixels a point
    sizes = [float(text.get_fontsize()) * scale for text in texts(figure)]
    assert len(sizes) >= 4
    assert min(sizes) >= 9


@pytest.mark.parametrize("name", NAMES)
def test_text_contrasts_with_what_is_behind_it(drawn: Callable[[str], Figure], name: str) -> None:
    figure = drawn(name)
    for text in texts(figure):
        behind = (1.0, 1.0, 1.0)
        if name == "confusion" and text.get_color() in ("black", "white") and text.get_text().isdigit():
            column, row = text.get_position()
            (image,) = figure.axes[0].images
            share = np.asarray(image.get_array())[round(float(row)), round(float(column))]
            behind = colormaps["cividis"](float(share))[:3]
        assert contrast(to_rgb(text.get_color()), behind) >= 4.5, text.get_text()


def test_right_and_wrong_are_told_by_more_than_colour(drawn: Callable[[str], Figure]) -> None:
    marks = {(text.get_color(), text.get_text()[0]) for text in texts(drawn("predictions"))}
    assert marks == {("green", "✓"), ("#c00000", "✗")}


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast of two colours, RGB from 0 to 1: WCAG 2.2, "contrast ratio"."""
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[float, ...]) -> float:
    """Return WCAG 2.2's "relative luminance", 0 to 1."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
