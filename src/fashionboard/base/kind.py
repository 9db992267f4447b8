"""What the images of a data set are like, as everything that shows or learns them must know."""

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

Colour = Literal["grey", "rgb"]
# how a picture becomes one: as the authors of Fashion-MNIST made theirs, or simply made square
Fit = Literal["garment", "crop", "pad", "stretch"]
# pixels of an edge: smaller ones leave nothing of the tutorial's net, larger ones are slow without a GPU
SIZES = range(28, 224 + 1)


@dataclass(frozen=True)
class Kind:
    """What all images of a data set have in common: by default, what those of Fashion-MNIST have.

    size: pixels of an edge; images are square. colour: grey, 0 is black, or red, green and blue. fit: how a
    picture of one's own becomes such an image.
    """

    size: int = 28
    colour: Colour = "grey"
    fit: Fit = "garment"

    @property
    def channels(self) -> int:
        """How many values a pixel has: 1 or 3."""
        return 1 if self.colour == "grey" else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image: (size, size), or (size, size, 3) in colour."""
        return (self.size, self.size) if self.colour == "grey" else (self.size, self.size, 3)

    @property
    def values(self) -> int:
        """How many numbers an image has."""
        return math.prod(self.shape)

    @property
    def negative(self) -> bool:
        """Whether people see an image as it was with black and white exchanged, as on the shop's page."""
        return self.fit == "garment"


FASHION_MNIST = Kind()


def told(content: object) -> Kind:
    """Return the kind that a file tells of: a dictionary with its fields, as JSON has them.

    Raises:
        ValueError: it is none of those that params.yaml allows, nor Fashion-MNIST's.
    """
    if not isinstance(content, dict) or set(content) != {field.name for field in fields(Kind)}:
        raise ValueError("other fields")
    size, known = content["size"], content["colour"] in get_args(Colour) and content["fit"] in get_args(Fit)
    if type(size) is not int or size not in SIZES or not known:
        raise ValueError("other values")
    kind = Kind(**content)
    if kind.negative and kind != FASHION_MNIST:
        raise ValueError("garments of another size or colour")
    return kind
