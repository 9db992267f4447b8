from dataclasses import replace

import numpy as np
import pytest

from fashionboard import card, drawn
from fashionboard.dataset import Images


def test_the_card_gives_counts_mean_and_deviation(noise: Images) -> None:
    text = card.markdown(drawn.DESCRIPTION, noise, noise)
    scaled = noise.pixels / 255
    assert f"| **pixel mean** | {scaled.mean():.4f} |" in text
    assert f"| **pixel standard deviation** | {scaled.std():.4f} |" in text
    assert "| **training images** | 11 |" in text
    assert "| **size** | 4 x 5 pixels" in text
    assert "`drawn`" in text and "MIT" in text


def test_a_bar_in_a_name_does_not_end_a_cell(noise: Images) -> None:
    text = card.markdown(replace(drawn.DESCRIPTION, classes=("a|b", "c")), noise, noise)
    assert r"| **classes** | a\|b, c |" in text


@pytest.mark.parametrize("level", [0, 255])
def test_a_single_level_has_no_deviation(level: int) -> None:
    flat = Images(np.full((2, 3, 3), level, np.uint8), np.zeros(2, np.uint8))
    assert "| **pixel standard deviation** | 0.0000 |" in card.markdown(drawn.DESCRIPTION, flat, flat)
