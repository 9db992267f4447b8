"""Figures of the data set, and of what a net in training makes of it."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fashionboard.base import clock
from fashionboard.figures import canvas
from fashionboard.figures.canvas import Labels, Pixels

# inches in `predictions`: a row, the title in it, the image under that, a class's name in a title
_ROW, _TITLE, _IMAGE, _NAME = 2.1, 0.46, 1.58, 0.95
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
) -> Pixels:
    """Draw images, each under what the net takes it for: the tutorial's `plot_classes_preds`.

    pixels: uint8 (images, height, width). labels, predicted: (images,), indices into `classes`.
    confidence: (images,), 0 to 1, shown in percent. Titles are green with a tick where right, red
    with a cross where wrong.
    """
    columns = min(2, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    figure = Figure(figsize=(canvas.WIDTH, _ROW * rows), dpi=canvas.DPI)
    names = [canvas.fitted(name, 9, _NAME) for name in classes]
    # one for all, in inches from the top left: each Axes of its own takes as long as all else here
    axes = figure.add_axes((0, 0, 1, 1))
    for index, image in enumerate(pixels):
        row, column = divmod(index, columns)
        middle, top = canvas.WIDTH * (column + 0.5) / columns, _ROW * row + _TITLE
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
    axes.set(xlim=(0, canvas.WIDTH), ylim=(_ROW * rows, 0))
    axes.set_axis_off()
    return canvas.render(figure)


@canvas.same_everywhere
@clock.part("figures")
def class_grid(pixels: Pixels, labels: Labels, classes: Sequence[str], columns: int) -> Pixels:
    """Draw a row of images a class, the first `columns` of each in the order given.

    pixels: uint8 (images, height, width). labels: (images,), indices into `classes`.
    """
    _, height, width = pixels.shape
    sheet = np.zeros((len(classes) * height, columns * width), np.uint8)
    for row in range(len(classes)):
        for column, image in enumerate(pixels[labels == row][:columns]):
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    figure = canvas.figure(height=0.25 * len(classes))
    axes = figure.add_subplot(xticks=[])
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, extent=(0, columns, len(classes), 0))
    axes.set_yticks(np.arange(len(classes)) + 0.5, canvas.labels(classes, 8))
    axes.tick_params(length=0, labelsize=8)
    return canvas.render(figure)


@canvas.same_everywhere
@clock.part("figures")
def class_balance(train: Labels, test: Labels, classes: Sequence[str]) -> Pixels:
    """Draw how many images of each class there are; train and test: labels (images,)."""
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
    axes.set_yticks(places, canvas.labels(classes, 8))
    axes.invert_yaxis()
    axes.margins(x=0.15, y=0.02)
    axes.tick_params(labelsize=8)
    above = 1 + 1.3 / len(classes)  # in heights of the axes
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, above), ncols=2, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return canvas.render(figure)
