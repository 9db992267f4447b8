import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fashionboard.data.dataset import CLASSES, Images
from fashionboard.figures import diagrams
from tests.support.drawn_figures import SHOWN, legible, texts

LABELS, PREDICTED = np.arange(36) % 10, (np.arange(36) + 9) % 10
CONFIDENCE = np.linspace(1, 0.5, 36)
EVERY_NAME = [*CLASSES[:8], "a name that is far too long", "x"]


@pytest.mark.parametrize("count", [1, 6, 7, 36])
def test_a_mistake_is_shown_with_its_label_confidence_and_prediction(
    images: Images, drawn_as: list[Figure], count: int
) -> None:
    shown = (images.pixels[:count], LABELS[:count], PREDICTED[:count], CONFIDENCE[:count])
    picture = diagrams.mistakes(*shown, CLASSES, "title")
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
    picture = diagrams.mistakes(images.pixels[:36], *rest)
    # images of nothing but the one or the other end of the scale show where images are
    black, white = (diagrams.mistakes(np.full((36, 28, 28), end, np.uint8), *rest) for end in (255, 0))
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


def mistaken(pixels: npt.NDArray[np.uint8], negative: bool) -> list[npt.NDArray[np.uint8]]:
    """Return the squares of `mistakes` in which six images are shown."""
    picture = diagrams.mistakes(pixels, LABELS[:6], PREDICTED[:6], CONFIDENCE[:6], CLASSES, "title", negative)
    top, middles = 88 + 82, [round(700 * (column + 0.5) / 6) for column in range(6)]
    return [picture[top : top + 112, middle - 56 : middle + 56] for middle in middles]


@pytest.mark.parametrize("size", [28, 56, 64, 112, 224])
def test_mistakes_of_ones_own_are_shown_as_they_are_in_the_same_squares(size: int) -> None:
    """In the squares of 112 pixels that Pillow makes of them, however large they are."""
    coloured = np.random.default_rng(0).integers(0, 256, (6, size, size, 3), np.uint8)
    for pixels in (coloured, coloured[..., 0].copy()):
        for negative in (False, True):
            for shown, image in zip(mistaken(pixels, negative), pixels, strict=True):
                filter_ = Image.Resampling.BICUBIC if 112 % size else Image.Resampling.NEAREST
                expected = np.asarray(Image.fromarray(image).resize((112, 112), filter_).convert("RGB"))
                # what is in colour is never a negative
                assert np.array_equal(shown, 255 - expected if negative and pixels.ndim == 3 else expected)


@pytest.mark.parametrize("classes", [CLASSES, EVERY_NAME])
def test_the_words_of_mistakes_do_not_touch(
    images: Images, drawn_as: list[Figure], classes: list[str]
) -> None:
    diagrams.mistakes(images.pixels[:36], LABELS, PREDICTED, CONFIDENCE, classes, "title")
    (figure,) = drawn_as
    boxes = [text.get_window_extent() for text in texts(figure)]
    assert len(boxes) == 1 + 36
    for index, one in enumerate(boxes):
        assert one.x0 >= 0 and one.x1 <= 2 * SHOWN and one.y0 >= 0 and one.y1 <= figure.bbox.height
        assert not any(one.overlaps(other) for other in boxes[:index])


def test_names_are_cut_only_where_they_must_be(images: Images, drawn_as: list[Figure]) -> None:
    diagrams.mistakes(images.pixels[:36], LABELS, PREDICTED, CONFIDENCE, EVERY_NAME, "title")
    said = {line for text in texts(drawn_as[0])[1:] for line in text.get_text().split("\n")}
    (cut,) = {line for line in said if line.endswith("…")}
    assert EVERY_NAME[8].startswith(cut[:-1]) and len(cut) > 5
    assert {*CLASSES[:8], "x"} <= said


def test_no_mistakes_are_said_to_be_none(drawn_as: list[Figure]) -> None:
    nothing = np.zeros(0, np.int64)
    picture = diagrams.mistakes(
        np.zeros((0, 28, 28), np.uint8), nothing, nothing, np.zeros(0), CLASSES, "the 5 test images"
    )
    (figure,) = drawn_as
    assert [text.get_text() for text in texts(figure)] == ["no mistakes\nthe 5 test images"]
    assert legible(figure) and picture.shape[1] == 2 * SHOWN and picture.min() == 0


def test_the_reliability_diagram_has_the_bars_of_its_bins(drawn_as: list[Figure]) -> None:
    edges = np.array([0, 0.25, 0.5, 0.75, 1])
    counts, accuracy = np.array([0, 5, 10, 20_000]), np.array([0, 0.5, 0.25, 1])
    picture = diagrams.reliability(edges, counts, accuracy, 0.01239, "title")
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
