"""Arrays in, figures out: everything that is drawn with matplotlib.

No pyplot: it keeps figures in a global list and picks a window system.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]

# a person's own matplotlibrc must not change what is drawn
matplotlib.rcdefaults()

_DPI = 100
# blue and orange of Okabe and Ito, "Color Universal Design", which colour-blind readers can tell apart
_BLUE, _ORANGE = "#0072b2", "#e69f00"
_RIGHT, _WRONG = "green", "red"


def predictions(
    pixels: Pixels,
    labels: Labels,
    predicted: Labels,
    confidence: npt.NDArray[np.floating],
    classes: Sequence[str],
) -> Pixels:
    """Draw images in a row, each under what the net takes it for: the tutorial's `plot_classes_preds`.

    pixels: uint8 (images, height, width). labels, predicted: (images,), indices into `classes`.
    confidence: (images,), 0 to 1, shown in percent. Titles are green with a tick where right, red
    with a cross where wrong.
    """
    figure = _figure(2.6 * len(pixels), 3.2)
    for column, image in enumerate(pixels, start=1):
        right = predicted[column - 1] == labels[column - 1]
        axes = figure.add_subplot(1, len(pixels), column, xticks=[], yticks=[])
        axes.imshow(image, cmap="Greys", vmin=0, vmax=255)
        axes.set_title(
            f"{'✓' if right else '✗'} {classes[predicted[column - 1]]}, {confidence[column - 1]:.1%}\n"
            f"(label: {classes[labels[column - 1]]})",
            color=_RIGHT if right else _WRONG,
            fontsize=11,
        )
    return _render(figure)


def class_grid(pixels: Pixels, labels: Labels, classes: Sequence[str], columns: int) -> Pixels:
    """Draw a row of images a class, the first `columns` of each in the order given.

    pixels: uint8 (images, height, width). labels: (images,), indices into `classes`.
    """
    _, height, width = pixels.shape
    canvas = np.zeros((len(classes) * height, columns * width), np.uint8)
    for row in range(len(classes)):
        for column, image in enumerate(pixels[labels == row][:columns]):
            canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    figure = _figure(1 + 0.5 * columns, 0.5 * len(classes))
    axes = figure.add_subplot(xticks=[])
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255, extent=(0, columns, len(classes), 0))
    axes.set_yticks(np.arange(len(classes)) + 0.5, classes)
    axes.tick_params(length=0)
    return _render(figure)


def class_balance(train: Labels, test: Labels, classes: Sequence[str]) -> Pixels:
    """Draw how many images of each class there are; train and test: labels (images,)."""
    figure = _figure(7, 4)
    axes = figure.add_subplot(xlabel="images")
    places = np.arange(len(classes))
    for offset, name, labels, colour in ((-0.2, "train", train, _BLUE), (0.2, "test", test, _ORANGE)):
        counts = np.bincount(labels, minlength=len(classes))
        bars = axes.barh(places + offset, counts, 0.4, label=name, color=colour)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.set_yticks(places, classes)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _render(figure)


def confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> Pixels:
    """Draw a confusion matrix, int64 (classes, classes), rows by label and columns by prediction.

    A cell's shade is its share of the row, so that classes of different sizes compare.
    """
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure = _figure(7.5, 7)
    axes = figure.add_subplot(xlabel="predicted", ylabel="label", title=title)
    picture = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(np.arange(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(np.arange(len(classes)), classes)
    for row, column in np.ndindex(*counts.shape):
        shade = "black" if shares[row, column] > 0.5 else "white"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=shade, fontsize=8)
    figure.colorbar(picture, ax=axes, label="share of the label's images", shrink=0.8)
    return _render(figure)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _render(figure: Figure) -> Pixels:
    """Draw `figure`, uint8 (height, width, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
