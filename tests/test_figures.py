import numpy as np
import pytest
from matplotlib import colormaps, rc_context, rcParams

from fashionboard import figures
from fashionboard.dataset import CLASSES, Images

GREEN, RED = (0, 128, 0), (255, 0, 0)  # matplotlib's "green" and "red"


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
