from collections.abc import Callable

import numpy as np
import pytest
from matplotlib import colormaps, rc_context, rcParams
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from fashionboard.data.dataset import CLASSES, Images
from fashionboard.figures import canvas, diagrams, examples
from tests.support.drawn_figures import SHOWN, texts

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
