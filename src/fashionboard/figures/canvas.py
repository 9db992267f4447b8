"""What all figures have in common: size, fonts, colours, and how they become pixels.

No pyplot: it keeps figures in a global list and picks a window system.
"""

import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from fashionboard.events import images
from fashionboard.figures import fonts


@contextmanager
def _same_everywhere() -> Iterator[None]:
    """Draw as if nobody had set anything: no matplotlibrc, no notebook; a $ is no formula."""
    with style.context(["default", {"text.parse_math": False}]), warnings.catch_warnings():
        # what is no letter, as a tab in a folder's name, is drawn as a box, which is seen
        warnings.filterwarnings("ignore", r"Glyph \d+ \([\x00-\x1f\x7f-\x9f]\) missing", UserWarning)
        yield


same_everywhere = _same_everywhere()

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]

# TensorBoard shows images 350 pixels wide: text is sized for that, from 7 points, and drawn twice as fine
WIDTH = 3.5  # inches
DPI = 200
SMALLEST = 7  # points: the smallest text that is legible there
# blue and orange of Okabe and Ito, "Color Universal Design", which colour-blind readers can tell apart
BLUE, ORANGE = "#0072b2", "#e69f00"
# inches for a class's name beside an axis
_LABEL = 1.0
# how often a layout is made again where it is not right at once: each comes closer
_LAYOUTS = 4


def figure(height: float) -> Figure:
    """Return an empty figure, `height` inches high, that lays out what is put into it."""
    return Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")


def render(figure: Figure) -> Pixels:
    """Draw `figure`, uint8 (height, width, 3)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # with few classes, or long names, the first layout may leave something out
    if figure.get_layout_engine() and _cuts(figure):
        for _ in range(_LAYOUTS):
            canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def shown(pixels: Pixels, edge: int, negative: bool) -> Pixels:
    """Return images as people see them, in squares of `edge` pixels a side.

    pixels: uint8 (images, height, width), or (images, height, width, 3) in colour. negative: whether black
    and white are exchanged, as those of Fashion-MNIST are (see `Kind.negative`); images in colour stay as
    they are. Returns uint8 (images, edge, edge, 3) where the images are square; see `images.scaled`.
    """
    sized = images.scaled(pixels, edge)
    if sized.ndim == 4:
        return sized
    return np.repeat((255 - sized if negative else sized)[..., np.newaxis], 3, axis=3)


def paste(picture: Pixels, squares: Iterable[Pixels], places: Iterable[tuple[int, int]]) -> None:
    """Put images into a picture, uint8 (height, width, 3) each, at the pixels (top, left) of `places`.

    Their pixels are whole ones of the picture: matplotlib would take longer and blur them.
    """
    for image, (top, left) in zip(squares, places, strict=True):
        picture[top : top + image.shape[0], left : left + image.shape[1]] = image


def labels(classes: Sequence[str], points: float) -> list[str]:
    """Return the names of `classes` as they fit beside an axis in a font of `points`."""
    return [fitted(name, points, _LABEL) for name in classes]


def fitted(text: str, points: float, inches: float) -> str:
    """Cut a text that is wider than `inches` in a font of `points`, and end it in three dots.

    It is not cut between a letter and a mark on it.
    """
    return _fitted(text, points, inches, fonts.families())


@lru_cache(maxsize=1000)
def _fitted(text: str, points: float, inches: float, families: tuple[str, ...]) -> str:
    """families: what the result depends on besides, those fonts that are in use."""
    if width(text, points) <= inches:
        return text
    cut = max(
        length
        for length, follows in enumerate(text)
        if not length
        or (
            not unicodedata.category(follows).startswith("M") and width(f"{text[:length]}…", points) <= inches
        )
    )
    return f"{text[:cut].rstrip()}…"


def width(text: str, points: float) -> float:
    """Return the width of a text in inches, in the fonts that are in use."""
    font = FontProperties(size=points)
    wide, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(wide) / 72


def _cuts(figure: Figure) -> bool:
    """Say whether anything drawn reaches over the edge of the figure."""
    left, lower, right, upper = figure.get_tightbbox().extents  # inches
    width, height = figure.get_size_inches()
    return bool(min(left, lower, width - right, height - upper) < 0)
