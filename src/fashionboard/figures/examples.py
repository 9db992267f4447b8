"""Figures of the data set, and of what a net in training makes of it."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from fashionboard.base import clock
from fashionboard.base.kind import FASHION_MNIST
from fashionboard.data.dataset import Images
from fashionboard.events import images
from fashionboard.figures import canvas, fonts
from fashionboard.figures.canvas import Labels, Pixels

# inches in `predictions`: a row, the title in it, the image under that, a class's name in a title
_ROW, _TITLE, _IMAGE, _NAME = 2.1, 0.46, 1.58, 0.95
# an image's edge in pixels up to which its pixels are drawn as squares, as those of Fashion-MNIST are
_SQUARES = FASHION_MNIST.size
# inches a row of `class_grid`
_CLASS = 0.25
# pixels in `unusual`: images in a row, a heading, a row, the name in it, the image under that
_COLUMNS, _HEADING, _UNUSUAL, _CAPTION, _EDGE = 6, 44, 160, 34, 112
# at least 4.5 : 1 against white, as WCAG 2.2 asks of text (criterion 1.4.3); matplotlib's "red" has 4.0
_RIGHT, _WRONG = "green", "#c00000"


@canvas.same_everywhere
@clock.part("figures")
def predictions(
    pixels: Pixels,
    labels: Labels,
    predicted: Labels,
    confidence: npt.NDArray[np.floating],
    classes: Sequence[str],
    negative: bool = True,
) -> Pixels:
    """Draw images, each under what the net takes it for: the tutorial's `plot_classes_preds`.

    pixels: uint8 (images, size, size) or (images, size, size, 3). labels, predicted: (images,), indices into
    `classes`. confidence: (images,), 0 to 1, shown in percent. negative: whether grey images are shown with
    black and white exchanged, see `Kind.negative`; those in colour stay as they are. Titles are green with a
    tick where right, red with a cross where wrong.

    Raises:
        DataError: no font has a letter of a name, see `fonts.use`.
    """
    fonts.use(classes)
    columns = min(2, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    figure = Figure(figsize=(canvas.WIDTH, _ROW * rows), dpi=canvas.DPI)
    names = [fonts.isolated(canvas.fitted(name, 9, _NAME)) for name in classes]
    large = max(pixels.shape[1:3]) > _SQUARES
    # scaled to the figure's own pixels, since matplotlib would take every third or fourth
    sized = images.scaled(pixels, round(_IMAGE * canvas.DPI)) if large else pixels
    # one for all, in inches from the top left: each Axes of its own takes as long as all else here
    axes = figure.add_axes((0, 0, 1, 1))
    for index, image in enumerate(sized):
        row, column = divmod(index, columns)
        middle, top = canvas.WIDTH * (column + 0.5) / columns, _ROW * row + _TITLE
        box = (middle - _IMAGE / 2, middle + _IMAGE / 2, top + _IMAGE, top)
        axes.imshow(image, cmap="Greys" if negative else "gray", vmin=0, vmax=255, extent=box)
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
    axes.set(xlim=(0, canvas.WIDTH), ylim=(_ROW * rows, 0))
    axes.set_axis_off()
    return canvas.render(figure)


@canvas.same_everywhere
@clock.part("figures")
def class_grid(pixels: Pixels, labels: Labels, classes: Sequence[str], columns: int) -> Pixels:
    """Draw a row of images a class, the first `columns` of each in the order given.

    pixels: uint8 (images, size, size) or (images, size, size, 3), shown as they are. labels: (images,),
    indices into `classes`.

    Raises:
        DataError: no font has a letter of a name, see `fonts.use`.
    """
    fonts.use(classes)
    figure = canvas.figure(height=_CLASS * len(classes))
    axes = figure.add_subplot(xticks=[])
    sheet = _sheet(pixels, labels, len(classes), columns)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, extent=(0, columns, len(classes), 0))
    axes.set_yticks(np.arange(len(classes)) + 0.5, canvas.labels(classes, 8))
    axes.tick_params(length=0, labelsize=8)
    return canvas.render(figure)


def _sheet(pixels: Pixels, labels: Labels, classes: int, columns: int) -> Pixels:
    """Arrange images for `class_grid`; large ones are scaled, class by class, to what it has room for."""
    room = min(round(_CLASS * canvas.DPI), round(canvas.WIDTH * canvas.DPI) // columns)
    small = images.thumbnails(pixels[:1], max(_SQUARES, room))
    _, height, width, *channels = small.shape
    sheet = np.zeros((classes * height, columns * width, *channels), np.uint8)
    for row in range(classes):
        of_class = images.thumbnails(pixels[np.flatnonzero(labels == row)[:columns]], max(height, width))
        for column, image in enumerate(of_class):
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    return sheet


@canvas.same_everywhere
@clock.part("figures")
def unusual(darkest: Images, most_uniform: Images, classes: Sequence[str]) -> Pixels:
    """Draw images that may be no good pictures of anything, each under its class: see `survey.extremes`.

    darkest, most_uniform: some images, shown as they are, six in a row. classes: what their labels stand for.

    Raises:
        DataError: no font has a letter of a name, see `fonts.use`.
    """
    fonts.use(classes)
    groups = (("darkest", darkest), ("most uniform", most_uniform))
    rows = [math.ceil(len(group) / _COLUMNS) for _, group in groups]
    width, height = round(canvas.WIDTH * canvas.DPI), len(groups) * _HEADING + sum(rows) * _UNUSUAL
    figure = Figure(figsize=(canvas.WIDTH, height / canvas.DPI), dpi=canvas.DPI)
    room = (width / _COLUMNS - 4) / canvas.DPI
    top, places = 0, []
    for (heading, group), taken in zip(groups, rows, strict=True):
        figure.text(0.5, 1 - (top + 12) / height, heading, fontsize=8, ha="center", va="top")
        top += _HEADING
        for index, label in enumerate(group.labels):
            row, column = divmod(index, _COLUMNS)
            x, under = (column + 0.5) / _COLUMNS, top + row * _UNUSUAL + _CAPTION
            name = canvas.fitted(classes[label], canvas.SMALLEST, room)
            figure.text(x, 1 - (under - 6) / height, name, fontsize=canvas.SMALLEST, ha="center", va="bottom")
            places.append((under, round(x * width - _EDGE / 2)))
        top += taken * _UNUSUAL
    picture = canvas.render(figure)
    shown = [*canvas.shown(darkest.pixels, _EDGE, False), *canvas.shown(most_uniform.pixels, _EDGE, False)]
    canvas.paste(picture, shown, places)
    return picture


@canvas.same_everywhere
@clock.part("figures")
def class_balance(train: Labels, test: Labels, classes: Sequence[str]) -> Pixels:
    """Draw how many images of each class there are; train and test: labels (images,).

    Raises:
        DataError: no font has a letter of a name, see `fonts.use`.
    """
    fonts.use(classes)
    # the legend and the axis, and the same for each class
    figure = canvas.figure(height=0.9 + 0.25 * len(classes))
    axes = figure.add_subplot(xlabel="images")
    places = np.arange(len(classes))
    for offset, name, labels, colour in (
        (-0.2, "train", train, canvas.BLUE),
        (0.2, "test", test, canvas.ORANGE),
    ):
        counts = np.bincount(labels, minlength=len(classes))
        bars = axes.barh(places + offset, counts, 0.4, label=name, color=colour)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=7)
    # matplotlib's own places, but none between two whole numbers
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.set_yticks(places, canvas.labels(classes, 8))
    axes.invert_yaxis()
    axes.margins(x=0.15, y=0.02)
    axes.tick_params(labelsize=8)
    above = 1 + 1.3 / len(classes)  # in heights of the axes
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, above), ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas.render(figure)
