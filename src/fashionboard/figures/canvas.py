"""What all figures have in common: size, fonts, colours, and how they become pixels.

No pyplot: it keeps figures in a global list and picks a window system.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path


@contextmanager
def _same_everywhere() -> Iterator[None]:
    """Draw as if nobody had set anything: no matplotlibrc, no notebook; a $ is no formula."""
    with style.context(["default", {"text.parse_math": False}]), warnings.catch_warnings():
        # a letter that the font lacks is drawn as a box, which is seen
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
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


def labels(classes: Sequence[str], points: float) -> list[str]:
    """Return the names of `classes` as they fit beside an axis in a font of `points`."""
    return [fitted(name, points, _LABEL) for name in classes]


@lru_cache(maxsize=1000)
def fitted(text: str, points: float, inches: float) -> str:
    """Cut a text that is wider than `inches` in a font of `points`, and end it in three dots."""
    if width(text, points) <= inches:
        return text
    cut = max(
        length for length in range(len(text)) if not length or width(f"{text[:length]}…", points) <= inches
    )
    return f"{text[:cut].rstrip()}…"


def width(text: str, points: float) -> float:
    """Return the width of a text in inches."""
    font = FontProperties(size=points)
    wide, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(wide) / 72


def _cuts(figure: Figure) -> bool:
    """Say whether anything drawn reaches over the edge of the figure."""
    left, lower, right, upper = figure.get_tightbbox().extents  # inches
    width, height = figure.get_size_inches()
    return bool(min(left, lower, width - right, height - upper) < 0)
