"""That text in figures of other than ten classes can be read: nothing is cut, and no two names overlap."""

import string
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from fashionboard.base.errors import DataError
from fashionboard.figures import canvas, diagrams, examples, fonts
from tests.support import folders, lettering

CLASSES: dict[str, Sequence[str]] = {
    "two": ("cat", "dog"),
    "three, one long": ("cat", "dog", "an animal with a name that is longer than any other's"),
    "twenty-six": string.ascii_uppercase,
    "twenty-six, long": [f"{letter} is a WIDE name, {letter}" for letter in string.ascii_uppercase],
    "a hundred": [f"Class {number:02}" for number in range(100)],
    "twenty-six, Korean": [f"{letter} 멋진 고양이 {letter}" for letter in string.ascii_uppercase],
}
OTHER = "고양이멋진猫👩🚀"
NAMES = ("predictions", "class_grid", "class_balance", "confusion")


@pytest.fixture
def other_letters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A font with all letters of this file's names that DejaVu Sans lacks, whatever this machine has."""
    monkeypatch.setenv(fonts.VARIABLE, str(lettering.font(tmp_path / "own.ttf", OTHER)))


@pytest.fixture
def draw(drawn_as: list[Figure]) -> Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]]:
    def drawn(name: str, classes: Sequence[str]) -> tuple[Figure, canvas.Pixels]:
        images, count = folders.images(len(classes), 12, seed=1), len(classes)
        pixels, labels = images.pixels, images.labels
        if name == "predictions":
            last = np.flatnonzero(labels == count - 1)[:4]
            picture = examples.predictions(pixels[last], labels[last], labels[last], np.ones(4), classes)
        elif name == "class_grid":
            picture = examples.class_grid(pixels, labels, classes, columns=10)
        elif name == "class_balance":
            picture = examples.class_balance(np.tile(labels, 100), labels, classes)
        else:
            counts = np.full((count, count), 100) + np.diag(np.full(count, 800))
            picture = diagrams.confusion(counts, classes, f"the 10,000 test images of {'long ' * 20}")
        return drawn_as[-1], picture

    return drawn


def boxes(figure: Figure) -> Iterator[tuple[Text, Bbox]]:
    """Yield each text that is shown, with where it is in pixels."""
    canvas, axes = FigureCanvasAgg(figure), figure.axes[0]
    _, end = axes.get_xlim()
    ticks = axes.get_xticklabels() if axes.axison else []
    unseen = [label for label in ticks if label.get_position()[0] > end]
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in unseen:
            yield text, text.get_window_extent(canvas.get_renderer())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", CLASSES)
def test_no_text_is_cut_none_overlaps_and_every_class_is_named(
    draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]],
    other_letters: None,
    name: str,
    kind: str,
) -> None:
    classes = CLASSES[kind]
    figure, picture = draw(name, classes)
    width, height = figure.bbox.size
    shown = list(boxes(figure))
    for text, box in shown:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    for index, (text, box) in enumerate(shown):
        # what surrounds letters is some pixels higher than they are
        inner = box.padded(-3)
        for other, there in shown[index + 1 :]:
            assert not inner.overlaps(there.padded(-3)), (text, other)
    # and so in the picture itself: its edge is white
    edge = np.concatenate([picture[[0, -1]].reshape(-1, 3), picture[:, [0, -1]].reshape(-1, 3)])
    assert (edge == 255).all()
    # TensorBoard shows that width; only a matrix may need more
    assert picture.shape[1] == 700 or (name, kind) in (
        ("confusion", "twenty-six, long"),
        ("confusion", "twenty-six, Korean"),
        ("confusion", "a hundred"),
    )
    if name == "class_balance":
        axes = figure.axes[0]
        legend = axes.get_legend()
        assert legend is not None
        assert 0 <= legend.get_window_extent().y0 - axes.bbox.y1 <= 40
    if name != "predictions":
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        for label, whole in zip(labels, classes, strict=True):
            assert label == whole or (label.endswith("…") and whole.startswith(label[:-1]) and len(label) > 8)
            assert len(whole) > 10 or label == whole


def test_a_confusion_has_numbers_up_to_ten_classes(
    draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]],
) -> None:
    for count, expected in ((10, 100), (11, 0)):
        figure, _ = draw("confusion", [f"c{k}" for k in range(count)])
        assert len([text for text, _ in boxes(figure) if text.get_text().isdigit()]) == expected


def test_a_dollar_is_no_formula(draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]]) -> None:
    for name in NAMES:
        figure, _ = draw(name, ["$a$", r"$\nonsense$"])
        assert any(r"$\nonsense$" in text.get_text() for text, _ in boxes(figure))


def test_names_in_any_script_are_drawn_by_a_font_that_has_their_letters(
    draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]],
    drawn_as: list[Figure],
    other_letters: None,
) -> None:
    """A letter that no font has would warn, and fail the test."""
    names = ("می\u200cخواهم", "👩\u200d🚀", "New\u00a0York", "猫", "고양이")
    for kind in NAMES:
        figure, _ = draw(kind, names)
        text = "".join(each.get_text() for each in figure.findobj(Text))
        # predictions show the last class alone
        assert all(name in text for name in (names[-1:] if kind == "predictions" else names))
    images = folders.images(5, 1, seed=1)
    right = np.arange(5)
    diagrams.mistakes(images.pixels, right, right[::-1], np.full(5, 0.5), names, "猫")
    text = "".join(each.get_text() for each in drawn_as[-1].findobj(Text))
    assert all(name in text for name in names)


def test_signs_that_no_font_has_are_boxes(
    draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of systems few have a font of emoji that matplotlib can draw."""
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    monkeypatch.delenv(fonts.VARIABLE, raising=False)
    fonts._choose.cache_clear()
    for kind in NAMES:
        draw(kind, ["cat \N{ROCKET}", "dog"])
    with pytest.raises(DataError, match="letters of class 猫, found none with 猫"):
        draw("confusion", ["猫", "dog"])
    fonts._choose.cache_clear()


def test_names_in_letters_that_no_font_has_are_refused(
    draw: Callable[[str, Sequence[str]], tuple[Figure, canvas.Pixels]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(fonts.VARIABLE, raising=False)
    # a letter that nobody has ever drawn: it is for private use
    for kind in NAMES:
        with pytest.raises(DataError, match="letters of class cat\U0010fffd, found none with \U0010fffd"):
            draw(kind, ["cat\U0010fffd", "dog"])
