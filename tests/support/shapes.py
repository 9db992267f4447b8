"""Pictures of shapes in class folders: a data set of somebody's own that takes little to learn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

# from -1 to 1, x runs right and y down; None is a circle
_CROSS = ((-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3))
_OUTLINES: tuple[tuple[tuple[float, float], ...] | None, ...] = (
    None,
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1), (1, 1), (-1, 1)),
    (*_CROSS, *((-x, -y) for x, y in _CROSS)),
    ((0, -1), (0.45, 0), (0, 1), (-0.45, 0)),
)


def write(folder: Path, classes: Sequence[str], each: int, seed: int = 0) -> None:
    """Write <folder>/<class>/<n>.png, n from 0000 on: `each` colour pictures of a shape for each class.

    Class i has shape i of up to 5: circle, square, triangle, cross, diamond. Size (30 to 90 pixels an edge),
    place and both colours are drawn at random, the shape lighter than the background.
    """
    for index, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([seed, index])
        for number in range(each):
            draw(index, generator).save(folder / name / f"{number:04}.png")


def draw(index: int, generator: np.random.Generator) -> Image.Image:
    """Return one picture of shape `index`, of mode RGB."""
    size = generator.integers(30, 91, 2)
    dark, light = (tuple(generator.integers(low, low + 100, 3).tolist()) for low in (0, 150))
    picture = Image.new("RGB", (int(size[0]), int(size[1])), dark)
    radius = size.min() * generator.uniform(0.3, 0.45)
    centre = size / 2 + generator.uniform(-1, 1, 2) * (size.min() / 2 - radius)
    pen, outline = ImageDraw.Draw(picture), _OUTLINES[index]
    if outline is None:
        pen.ellipse((*(centre - radius).tolist(), *(centre + radius).tolist()), fill=light)
    else:
        pen.polygon([(centre[0] + radius * x, centre[1] + radius * y) for x, y in outline], fill=light)
    return picture
