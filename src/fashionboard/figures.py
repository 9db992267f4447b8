"""Arrays in, figures out: everything that is drawn with matplotlib.

No pyplot: it keeps figures in a global list and picks a window system.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path

# a person's own matplotlibrc, or what a notebook has set, must not change what is drawn; a $ is no formula
_same_everywhere = style.context(["default", {"text.parse_math": False}])

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]

# TensorBoard shows images 350 pixels wide: text is sized for that, from 7 points, and drawn twice as fine
_WIDTH = 3.5  # inches
_DPI = 200
_SMALL = 7  # points: the smallest text that is legible there
# inches in `predictions`: a row, the title in it, the image under that
_ROW, _TITLE, _IMAGE = 2.1, 0.46, 1.58
# inches for a class's name in a title of `predictions`, and beside an axis
_NAME, _LABEL = 0.95, 1.0
# of `confusion`: the most classes with numbers in the cells; inches a cell needs with one and without;
# inches beside the cells and the names
_NUMBERED, _CELLS, _BESIDE = 10, (0.25, 0.11), 0.3
# how often a layout is made again where it is not right at once: each comes closer
_LAYOUTS = 4
# blue and orange of Okabe and Ito, "Color Universal Design", which colour-blind readers can tell apart
_BLUE, _ORANGE = "#0072b2", "#e69f00"
# at least 4.5 : 1 against white, as WCAG 2.2 asks of text (criterion 1.4.3); matplotlib's "red" has 4.0
_RIGHT, _WRONG = "green", "#c00000"
# the share from which on black digits contrast more with cividis than white ones, and either by 4.5 : 1
_LIGHT = 0.47
# pixels in `mistakes`: the heading, a row, the three lines of text in it; an image's pixel under them
_COLUMNS, _HEADING, _MISTAKE, _LINES, _ZOOM = 6, 88, 208, 82, 4


@_same_everywhere
def predictions(
    pixels: Pixels,
    labels: Labels,
    predicted: Labels,
    confidence: npt.NDArray[np.floating],
    classes: Sequence[str],
) -> Pixels:
    """Draw images, each under what the net takes it for: the tutorial's `plot_classes_preds`.

    pixels: uint8 (images, height, width). labels, predicted: (images,), indices into `classes`.
    confidence: (images,), 0 to 1, shown in percent. Titles are green with a tick where right, red
    with a cross where wrong.
    """
    columns = min(2, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    figure = Figure(figsize=(_WIDTH, _ROW * rows), dpi=_DPI)
    names = [_fitted(name, 9, _NAME) for name in classes]
    # one for all, in inches from the top left: each Axes of its own takes as long as all else here
    axes = figure.add_axes((0, 0, 1, 1))
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        middle, top = _WIDTH * (column + 0.5) / columns, _ROW * row + _TITLE
        box = (middle - _IMAGE / 2, middle + _IMAGE / 2, top + _IMAGE, top)
        axes.imshow(image, cmap="Greys", vmin=0, vmax=255, extent=box)
        axes.add_patch(Rectangle((box[0], top), _IMAGE, _IMAGE, fill=False, linewidth=0.8))
        right = predicted[index] == labels[index]
        axes.text(
            middle,
            top - 0.06,
            f"{'✓' if right else '✗'} {names[predicted[index]]}, {confidence[index]:.1%}\n"
            f"(label: {names[labels[index]]})",
            color=_RIGHT if right else _WRONG,
            fontsize=9,
            horizontalalignment="center",
            verticalalignment="bottom",
        )
    axes.set(xlim=(0, _WIDTH), ylim=(_ROW * rows, 0))
    axes.set_axis_off()
    return _render(figure)


@_same_everywhere
def class_grid(pixels: Pixels, labels: Labels, classes: Sequence[str], columns: int) -> Pixels:
    """Draw a row of images a class, the first `columns` of each in the order given.

    pixels: uint8 (images, height, width). labels: (images,), indices into `classes`.
    """
    _, height, width = pixels.shape
    canvas = np.zeros((len(classes) * height, columns * width), np.uint8)
    for row in range(len(classes)):
        for column, image in enumerate(pixels[labels == row][:columns]):
            canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    figure = _figure(height=0.25 * len(classes))
    axes = figure.add_subplot(xticks=[])
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, extent=(0, columns, len(classes), 0))
    axes.set_yticks(np.arange(len(classes)) + 0.5, _labels(classes, 8))
    axes.tick_params(length=0, labelsize=8)
    return _render(figure)


@_same_everywhere
def class_balance(train: Labels, test: Labels, classes: Sequence[str]) -> Pixels:
    """Draw how many images of each class there are; train and test: labels (images,)."""
    # the legend and the axis, and the same for each class
    figure = _figure(height=0.9 + 0.25 * len(classes))
    axes = figure.add_subplot(xlabel="images")
    places = np.arange(len(classes))
    for offset, name, labels, colour in ((-0.2, "train", train, _BLUE), (0.2, "test", test, _ORANGE)):
        counts = np.bincount(labels, minlength=len(classes))
        bars = axes.barh(places + offset, counts, 0.4, label=name, color=colour)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    axes.set_yticks(places, _labels(classes, 8))
    axes.invert_yaxis()
    axes.margins(x=0.15, y=0.02)
    axes.tick_params(labelsize=8)
    above = 1 + 1.3 / len(classes)  # in heights of the axes
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, above), ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return _render(figure)


@_same_everywhere
def confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> Pixels:
    """Draw a confusion matrix, int64 (classes, classes), rows by label and columns by prediction.

    A cell's shade is its share of the row, so that classes of different sizes compare. With more than ten
    classes there are no numbers in the cells, and with many the figure grows in width, too.
    """
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    names = _labels(classes, 7)
    beside = _BESIDE + max(_width(name, 7) for name in names)
    grown = max(0.0, len(classes) * _CELLS[len(classes) > _NUMBERED] + beside - _WIDTH)
    figure = _figure(height=3.6 + grown)
    figure.set_figwidth(_WIDTH + grown)
    axes = figure.add_subplot(xlabel="predicted", ylabel="label")
    axes.set_title(_fitted(title, 8, _WIDTH + grown - beside), fontsize=8)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(np.arange(len(classes)), names, rotation=90)
    axes.set_yticks(np.arange(len(classes)), names)
    axes.tick_params(labelsize=7)
    if len(classes) > _NUMBERED:
        return _render(figure)
    for row, column in np.ndindex(*counts.shape):
        shade = "black" if shares[row, column] >= _LIGHT else "white"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=7)
    return _render(figure)


@_same_everywhere
def mistakes(
    pixels: Pixels,
    labels: Labels,
    predicted: Labels,
    confidence: npt.NDArray[np.floating],
    classes: Sequence[str],
    title: str,
) -> Pixels:
    """Draw wrong images six in a row, each under its label, and what the net takes it for how surely.

    pixels: uint8 (images, 28, 28); there may be none. labels, predicted: (images,), indices into
    `classes`. confidence: (images,), 0 to 1, shown in percent.
    """
    rows = max(1, math.ceil(len(pixels) / _COLUMNS))
    width, height = _WIDTH * _DPI, _HEADING + _MISTAKE * rows
    figure = Figure(figsize=(_WIDTH, height / _DPI), dpi=_DPI)
    heading = "most confident mistakes: label ↓ predicted" if len(pixels) else "no mistakes"
    figure.text(0.5, 1 - 12 / height, f"{heading}\n{title}", fontsize=8, ha="center", va="top")
    names = [_shortened(name, width / _COLUMNS - 4) for name in classes]
    places = [divmod(index, _COLUMNS) for index in range(len(pixels))]
    for index, (row, column) in enumerate(places):
        words = f"{names[labels[index]]}\n↓ {confidence[index]:.1%}\n{names[predicted[index]]}"
        x, y = (column + 0.5) / _COLUMNS, 1 - (_HEADING + _MISTAKE * row + _LINES - 6) / height
        figure.text(x, y, words, fontsize=_SMALL, ha="center", va="bottom", parse_math=False)
    picture = _render(figure)
    # each pixel of an image is a square of the figure's: matplotlib would take longer and blur them
    large = 255 - pixels.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)
    for image, (row, column) in zip(large, places, strict=True):
        top = _HEADING + _MISTAKE * row + _LINES
        left = round(width * (column + 0.5) / _COLUMNS - image.shape[1] / 2)
        picture[top : top + image.shape[0], left : left + image.shape[1]] = image[:, :, np.newaxis]
    return picture


@_same_everywhere
def reliability(
    edges: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    accuracy: npt.NDArray[np.float64],
    error: float,
    title: str,
) -> Pixels:
    """Draw a reliability diagram, and how many images are in each of its bins.

    edges: float64 (bins + 1,), of the bins of confidence, 0 to 1. counts: int64 (bins,), images.
    accuracy: float64 (bins,), 0 to 1. error: the expected calibration error, 0 to 1.
    """
    figure = _figure(height=3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    above.set_title(f"expected calibration error {error:.4f}\n{title}", fontsize=8)
    for axes, heights, colour in ((above, counts, _ORANGE), (below, accuracy, _BLUE)):
        axes.bar(
            edges[:-1], heights, np.diff(edges), align="edge", color=colour, edgecolor="black", linewidth=0.5
        )
        axes.tick_params(labelsize=_SMALL)
        axes.spines[["top", "right"]].set_visible(False)
    above.set_ylabel("images", fontsize=8)
    above.yaxis.set_major_formatter("{x:,.0f}")
    below.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="accuracy = confidence")
    below.set(xlim=(0, 1), ylim=(0, 1))
    below.set_xlabel("confidence", fontsize=8)
    below.set_ylabel("accuracy", fontsize=8)
    below.legend(loc="upper left", frameon=False, fontsize=8)
    return _render(figure)


def _shortened(name: str, width: float) -> str:
    """Cut `name` so that in small text it takes no more than `width` pixels."""
    renderer, font = RendererAgg(1, 1, _DPI), FontProperties(size=_SMALL)
    kept = name
    while len(kept) > 1 and renderer.get_text_width_height_descent(kept, font, ismath=False)[0] > width:
        kept = f"{kept.rstrip('…')[:-1]}…"
    return kept


def _figure(height: float) -> Figure:
    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained")


def _render(figure: Figure) -> Pixels:
    """Draw `figure`, uint8 (height, width, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # with few classes, or long names, the first layout may leave something out
    if figure.get_layout_engine() and _cuts(figure):
        for _ in range(_LAYOUTS):
            canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _cuts(figure: Figure) -> bool:
    """Say whether anything drawn reaches over the edge of the figure."""
    left, lower, right, upper = figure.get_tightbbox().extents  # inches
    width, height = figure.get_size_inches()
    return bool(min(left, lower, width - right, height - upper) < 0)


def _labels(classes: Sequence[str], points: float) -> list[str]:
    return [_fitted(name, points, _LABEL) for name in classes]


@lru_cache(maxsize=1000)
def _fitted(text: str, points: float, inches: float) -> str:
    """Cut a text that is wider than `inches` in a font of `points`, and end it in three dots."""
    if _width(text, points) <= inches:
        return text
    cut = max(
        length for length in range(len(text)) if not length or _width(f"{text[:length]}…", points) <= inches
    )
    return f"{text[:cut].rstrip()}…"


def _width(text: str, points: float) -> float:
    """Return the width of a text in inches."""
    font = FontProperties(size=points)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72
