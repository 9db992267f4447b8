"""What the images of a data set are like, as everything that shows or learns them must know."""

import math
from dataclasses import dataclass
from typing import Literal

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
