"""Figures of how a trained net does on images that it has not seen."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from fashionboard.base import clock
from fashionboard.figures import canvas, fonts
from fashionboard.figures.canvas import Labels, Pixels

# of `confusion`: the most classes with numbers in the cells; inches a cell needs with one and without;
# inches beside the cells and the names
_NUMBERED, _CELLS, _BESIDE = 10, (0.25, 0.11), 0.3
# the share from which on black digits contrast more with cividis than white ones, and either by 4.5 : 1
_LIGHT = 0.47
# pixels in `mistakes`: the heading, a row, the three lines of text in it, the image under them, which are
# four times the 28 of Fashion-MNIST
_COLUMNS, _HEADING, _MISTAKE, _LINES, _IMAGE = 6, 88, 208, 82, 112


@canvas.same_everywhere
@clock.part("figures")
def confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> Pixels:
    """Draw a confusion matrix, int64 (classes, classes), rows by label and columns by prediction.

    A cell's shade is its share of the row, so that classes of different sizes compare. With more than ten
    classes there are no numbers in the cells, and with many the figure grows in width, too.

    Raises:
        DataError: no font has a letter of a name or of the title, see `fonts.use`.
    """
    fonts.use(classes, title)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    names = canvas.labels(classes, 7)
    beside = _BESIDE + max(canvas.width(name, 7) for name in names)
    grown = max(0.0, len(classes) * _CELLS[len(classes) > _NUMBERED] + beside - canvas.WIDTH)
    figure = canvas.figure(height=3.6 + grown)
    figure.set_figwidth(canvas.WIDTH + grown)
    axes = figure.add_subplot(xlabel="predicted", ylabel="label")
    axes.set_title(canvas.fitted(title, 8, canvas.WIDTH + grown - beside), fontsize=8)
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(np.arange(len(classes)), names, rotation=90)
    axes.set_yticks(np.arange(len(classes)), names)
    axes.tick_params(labelsize=7)
    if len(classes) > _NUMBERED:
        return canvas.render(figure)
    for row, column in np.ndindex(*counts.shape):
        shade = "black" if shares[row, column] >= _LIGHT else "white"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=7)
    return canvas.render(figure)


@canvas.same_everywhere
@clock.part("figures")
def mistakes(
    pixels: Pixels,
    labels: Labels,
    predicted: Labels,
    confidence: npt.NDArray[np.floating],
    classes: Sequence[str],
    title: str,
    negative: bool = True,
) -> Pixels:
    """Draw wrong images six in a row, each under its label, and what the net takes it for how surely.

    pixels: uint8 (images, size, size) or (images, size, size, 3); there may be none. labels, predicted:
    (images,), indices into `classes`. confidence: (images,), 0 to 1, shown in percent. negative: whether
    grey images are shown with black and white exchanged, see `canvas.shown`.

    Raises:
        DataError: no font has a letter of a name or of the title, see `fonts.use`.
    """
    fonts.use(classes, title)
    rows = max(1, math.ceil(len(pixels) / _COLUMNS))
    width, height = canvas.WIDTH * canvas.DPI, _HEADING + _MISTAKE * rows
    figure = Figure(figsize=(canvas.WIDTH, height / canvas.DPI), dpi=canvas.DPI)
    heading = "most confident mistakes: label ↓ predicted" if len(pixels) else "no mistakes"
    figure.text(0.5, 1 - 12 / height, f"{heading}\n{title}", fontsize=8, ha="center", va="top")
    room = (width / _COLUMNS - 4) / canvas.DPI
    names = [canvas.fitted(name, canvas.SMALLEST, room) for name in classes]
    places = [divmod(index, _COLUMNS) for index in range(len(pixels))]
    for index, (row, column) in enumerate(places):
        words = f"{names[labels[index]]}\n↓ {confidence[index]:.1%}\n{names[predicted[index]]}"
        x, y = (column + 0.5) / _COLUMNS, 1 - (_HEADING + _MISTAKE * row + _LINES - 6) / height
        figure.text(x, y, words, fontsize=canvas.SMALLEST, ha="center", va="bottom", parse_math=False)
    picture = canvas.render(figure)
    corners = [
        (_HEADING + _MISTAKE * row + _LINES, round(width * (column + 0.5) / _COLUMNS - _IMAGE / 2))
        for row, column in places
    ]
    canvas.paste(picture, canvas.shown(pixels, _IMAGE, negative), corners)
    return picture


@canvas.same_everywhere
@clock.part("figures")
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

    Raises:
        DataError: no font has a letter of the title, see `fonts.use`.
    """
    fonts.use((), title)
    figure = canvas.figure(height=3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    above.set_title(f"expected calibration error {error:.4f}\n{title}", fontsize=8)
    for axes, heights, colour in ((above, counts, canvas.ORANGE), (below, accuracy, canvas.BLUE)):
        axes.bar(
            edges[:-1], heights, np.diff(edges), align="edge", color=colour, edgecolor="black", linewidth=0.5
        )
        axes.tick_params(labelsize=canvas.SMALLEST)
        axes.spines[["top", "right"]].set_visible(False)
    above.set_ylabel("images", fontsize=8)
    above.yaxis.set_major_formatter("{x:,.0f}")
    below.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="accuracy = confidence")
    below.set(xlim=(0, 1), ylim=(0, 1))
    below.set_xlabel("confidence", fontsize=8)
    below.set_ylabel("accuracy", fontsize=8)
    below.legend(loc="upper left", frameon=False, fontsize=8)
    return canvas.render(figure)
