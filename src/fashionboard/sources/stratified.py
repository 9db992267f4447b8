"""Images divided into those to train and those to test with: the same share of each class to test."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fashionboard.base.errors import DataError


def choose(
    labels: npt.NDArray[np.uint8], contents: Sequence[bytes], classes: Sequence[str], share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which images are to test with, bool (images,).

    Images of the same content go the same way, also those of different classes: what is tested was never
    trained with. Of each class, round(share * n) of its n different contents are to test with, at least one
    and not all; with contents that several classes share it may be more, or fewer.

    labels: uint8 (images,), indices into `classes`. contents: of each image, the same for the same content.
    share: between 0 and 1. seed: each class draws from a generator of its own, by this and its index.

    Raises:
        DataError: a class has not one content for each side.
    """
    numbers: dict[bytes, int] = {}
    # by first appearance
    content = np.array([numbers.setdefault(each, len(numbers)) for each in contents])
    decided, to_test = np.zeros((2, len(numbers)), np.bool_)
    for label, name in enumerate(classes):
        own = np.unique(content[labels == label])
        wanted = min(max(round(share * len(own)), 1), len(own) - 1)
        shuffled = np.random.default_rng([seed, label]).permutation(own)
        # another class may have decided on some
        free = shuffled[~decided[shuffled]]
        chosen = free[: max(wanted - np.count_nonzero(to_test[own]), 0)]
        decided[own], to_test[chosen] = True, True
        if to_test[own].all() or not to_test[own].any():
            found = f"{len(own):,}" + (" that are in other classes, too" if len(own) > 1 else "")
            raise DataError(
                f"class {name!r}: expected different pictures to train and to test with, found {found}; add "
                "some, or divide them yourself into train and test"
            )
    chosen_images: npt.NDArray[np.bool_] = to_test[content]
    return chosen_images
