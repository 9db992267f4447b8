from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import colormaps, rc_context, rcParams
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from fashionboard import figures
from fashionboard.dataset import CLASSES, Images

GREEN, RED = (0, 128, 0), (192, 0, 0)


def has(picture: figures.Pixels, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


@pytest.mark.parametrize(
    ("predicted", "green", "red"),
    [([0, 1, 2, 3], True, False), ([9, 9, 9, 9], False, True), ([0, 9, 2, 9], True, True)],
)
def test_titles_are_green_where_right_and_red_where_wrong(
    images: Images, predicted: list[int], green: bool, red: bool
) -> None:
    labels = np.arange(4)
    picture = figures.predictions(images.pixels[:4], labels, np.array(predicted), np.full(4, 0.5), CLASSES)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    assert (has(picture, GREEN), has(picture, RED)) == (green, red)


def test_a_figure_is_the_same_whatever_matplotlib_is_told_elsewhere(images: Images) -> None:
    one = figures.class_balance(images.labels, images.labels, CLASSES)
    with rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 10, "lines.linewidth": 9}):
        other = figures.class_balance(images.labels, images.labels, CLASSES)
        assert rcParams["font.size"] == 30  # nor is anybody else's setting lost
    assert np.array_equal(one, other)


def test_the_class_grid_shows_the_first_of_each_class_in_its_row(images: Images) -> None:
    picture = figures.class_grid(images.pixels, images.labels, CLASSES, columns=5)
    swapped = images.pixels.copy()
    first = int(np.flatnonzero(images.labels == 9)[0])
    swapped[first] = 255
    other = figures.class_grid(swapped, images.labels, CLASSES, columns=5)
    rows = np.flatnonzero((picture != other).any(axis=(1, 2)))
    assert rows.min() > picture.shape[0] * 0.85  # only the last of ten rows changed
    sixth = int(np.flatnonzero(images.labels == 9)[5])
    swapped = images.pixels.copy()
    swapped[sixth] = 255
    assert np.array_equal(picture, figures.class_grid(swapped, images.labels, CLASSES, columns=5))


def test_a_class_without_images_leaves_its_row_empty(images: Images) -> None:
    kept = images.labels != 9
    picture = figures.class_grid(images.pixels[kept], images.labels[kept], CLASSES, columns=3)
    tenth_row = picture[-picture.shape[0] // 12 : -10, picture.shape[1] // 2]
    assert not tenth_row.any()


def test_the_diagonal_of_a_perfect_confusion_is_bright_and_the_rest_dark() -> None:
    picture = figures.confusion(np.diag(np.full(10, 100)), CLASSES, "title")
    area = [
        int((picture == colormaps["cividis"](end, bytes=True)[:3]).all(axis=2).sum()) for end in (0.0, 1.0)
    ]
    # nine cells in ten are off the diagonal; the digits in a cell and nothing else take a little
    assert area[0] / area[1] == pytest.approx(9, rel=0.2)


def test_labels_are_the_rows_of_a_confusion() -> None:
    counts = np.zeros((10, 10), np.int64)
    counts[0, 9] = 100  # all of the first class are taken for the last
    picture = figures.confusion(counts, CLASSES, "title")
    rows, columns = np.nonzero((picture == colormaps["cividis"](1.0, bytes=True)[:3]).all(axis=2))
    assert rows.max() < picture.shape[0] / 3 and columns.min() > picture.shape[1] * 2 / 3


@pytest.fixture
def drawn_as(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn, as matplotlib's own objects."""
    found: list[Figure] = []
    render = figures._render

    def keep(figure: Figure) -> figures.Pixels:
        found.append(figure)
        return render(figure)

    monkeypatch.setattr(figures, "_render", keep)
    return found


@pytest.fixture
def drawn(images: Images, drawn_as: list[Figure]) -> Callable[[str], Figure]:
    """Every figure by name, as matplotlib's own objects."""

    def draw(name: str) -> Figure:
        pixels, labels = images.pixels, images.labels
        if name == "predictions":
            predicted = np.array([labels[0], *(labels[1:4] + 1) % 10])
            figures.predictions(pixels[:4], labels[:4], predicted, np.full(4, 0.5), CLASSES)
        elif name == "class_grid":
            figures.class_grid(pixels, labels, CLASSES, columns=10)
        elif name == "class_balance":
            figures.class_balance(labels, labels, CLASSES)
        else:
            # shares on both sides of where digits turn from white to black, in steps of 1 %
            counts = np.zeros((10, 10), np.int64)
            counts[:, 0] = np.arange(43, 53)
            counts[:, 1] = 100 - counts[:, 0]
            figures.confusion(counts, CLASSES, "title")
        return drawn_as[-1]

    return draw


NAMES = ("predictions", "class_grid", "class_balance", "confusion")
SHOWN = 350  # pixels: the width at which TensorBoard shows an image, see tests/browser


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


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast of two colours, RGB from 0 to 1: WCAG 2.2, "contrast ratio"."""
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[float, ...]) -> float:
    """Return WCAG 2.2's "relative luminance", 0 to 1."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def legible(figure: Figure) -> bool:
    scale = SHOWN / figure.get_figwidth() / 72  # pixels a point
    return min(float(text.get_fontsize()) * scale for text in texts(figure)) >= 9


LABELS, PREDICTED = np.arange(36) % 10, (np.arange(36) + 9) % 10
CONFIDENCE = np.linspace(1, 0.5, 36)
EVERY_NAME = [*CLASSES[:8], "a name that is far too long", "x"]


@pytest.mark.parametrize("count", [1, 6, 7, 36])
def test_a_mistake_is_shown_with_its_label_confidence_and_prediction(
    images: Images, drawn_as: list[Figure], count: int
) -> None:
    shown = (images.pixels[:count], LABELS[:count], PREDICTED[:count], CONFIDENCE[:count])
    picture = figures.mistakes(*shown, CLASSES, "title")
    assert picture.shape[1] == 2 * SHOWN
    (figure,) = drawn_as
    assert legible(figure)
    heading, *words = texts(figure)
    assert heading.get_text() == "most confident mistakes: label ↓ predicted\ntitle"
    assert [each.get_text() for each in words] == [
        f"{CLASSES[label]}\n↓ {confidence:.1%}\n{CLASSES[predicted]}"
        for label, predicted, confidence in zip(*shown[1:], strict=True)
    ]


def starts(line: npt.NDArray[np.bool_]) -> list[int]:
    """Return where each stretch of True begins."""
    return [index for index in np.flatnonzero(line).tolist() if index == 0 or not line[index - 1]]


def test_an_image_of_a_mistake_lies_whole_under_its_words(images: Images, drawn_as: list[Figure]) -> None:
    rest = LABELS, PREDICTED, CONFIDENCE, CLASSES, "title"
    picture = figures.mistakes(images.pixels[:36], *rest)
    # images of nothing but the one or the other end of the scale show where images are
    black, white = (figures.mistakes(np.full((36, 28, 28), end, np.uint8), *rest) for end in (255, 0))
    area = (black != white).any(axis=2)
    tops, lefts = starts(area.any(axis=1)), starts(area.any(axis=0))
    assert (len(tops), len(lefts)) == (6, 6) and area.sum() == 36 * 112**2
    _, *words = texts(drawn_as[0])
    for index, (image, text) in enumerate(zip(images.pixels[:36], words, strict=True)):
        top, left = tops[index // 6], lefts[index % 6]
        shown = picture[top : top + 112, left : left + 112]
        # four by four of the figure's pixels for each of the image's, dark on light
        assert np.array_equal(
            shown, np.kron(255 - image, np.ones((4, 4)))[:, :, np.newaxis].repeat(3, axis=2)
        )
        box = text.get_window_extent()
        assert (box.x0 + box.x1) / 2 == pytest.approx(left + 56, abs=1)
        assert top - 112 < picture.shape[0] - box.y1 < picture.shape[0] - box.y0 <= top
        assert not area[round(picture.shape[0] - box.y1) : top, left : left + 112].any()


@pytest.mark.parametrize("classes", [CLASSES, EVERY_NAME])
def test_the_words_of_mistakes_do_not_touch(
    images: Images, drawn_as: list[Figure], classes: list[str]
) -> None:
    figures.mistakes(images.pixels[:36], LABELS, PREDICTED, CONFIDENCE, classes, "title")
    (figure,) = drawn_as
    boxes = [text.get_window_extent() for text in texts(figure)]
    assert len(boxes) == 1 + 36
    for index, one in enumerate(boxes):
        assert one.x0 >= 0 and one.x1 <= 2 * SHOWN and one.y0 >= 0 and one.y1 <= figure.bbox.height
        assert not any(one.overlaps(other) for other in boxes[:index])


def test_names_are_cut_only_where_they_must_be(images: Images, drawn_as: list[Figure]) -> None:
    figures.mistakes(images.pixels[:36], LABELS, PREDICTED, CONFIDENCE, EVERY_NAME, "title")
    said = {line for text in texts(drawn_as[0])[1:] for line in text.get_text().split("\n")}
    (cut,) = {line for line in said if line.endswith("…")}
    assert EVERY_NAME[8].startswith(cut[:-1]) and len(cut) > 5
    assert {*CLASSES[:8], "x"} <= said


def test_no_mistakes_are_said_to_be_none(drawn_as: list[Figure]) -> None:
    nothing = np.zeros(0, np.int64)
    picture = figures.mistakes(
        np.zeros((0, 28, 28), np.uint8), nothing, nothing, np.zeros(0), CLASSES, "the 5 test images"
    )
    (figure,) = drawn_as
    assert [text.get_text() for text in texts(figure)] == ["no mistakes\nthe 5 test images"]
    assert legible(figure) and picture.shape[1] == 2 * SHOWN and picture.min() == 0


def test_the_reliability_diagram_has_the_bars_of_its_bins(drawn_as: list[Figure]) -> None:
    edges = np.array([0, 0.25, 0.5, 0.75, 1])
    counts, accuracy = np.array([0, 5, 10, 20_000]), np.array([0, 0.5, 0.25, 1])
    picture = figures.reliability(edges, counts, accuracy, 0.01239, "title")
    assert picture.shape[1] == 2 * SHOWN
    (figure,) = drawn_as
    assert legible(figure)
    above, below = figure.axes
    assert above.get_title() == "expected calibration error 0.0124\ntitle"
    for axes, heights in ((above, counts), (below, accuracy)):
        bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
        drawn = [(bar.get_x(), bar.get_x() + bar.get_width(), bar.get_height()) for bar in bars]
        assert drawn == list(zip(edges[:-1], edges[1:], heights, strict=True))
    (diagonal,) = below.get_lines()
    assert np.asarray(diagonal.get_xydata()).tolist() == [[0, 0], [1, 1]]
    assert "20,000" in {label.get_text() for label in above.get_yticklabels()}
    assert (below.get_xlabel(), below.get_ylabel(), above.get_ylabel()) == (
        "confidence",
        "accuracy",
        "images",
    )
