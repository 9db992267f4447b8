from dataclasses import replace

import numpy as np
import pytest

from fashionboard.data.dataset import Description, Images
from fashionboard.figures import card
from fashionboard.sources import download, drawn
from tests.support import rendered

HOSTILE = (
    *(r"a\|b", "a|b", "**b**", "__b__", "*b*", "a_b_c", "![i](http://x.org/i.png)", "[t](http://x.org)"),
    *(
        "<b>",
        "<script>alert(1)</script>",
        "<http://x.org>",
        "<!-- c -->",
        "`c`",
        "``",
        "```",
        "\\",
        "a\\",
        "&lt;",
    ),
    *(
        "&#42;",
        "&copy;",
        "&",
        "# h",
        "- x",
        "+ x",
        "1. x",
        "> q",
        "---",
        "| --- | --- |",
        "[x]: http://x.org",
    ),
    *("~~s~~", "$x$", "{a}", "a  b", "a\u00a0b", "می\u200cخواهم", "👩\u200d🚀"),
)


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


@pytest.mark.parametrize("name", HOSTILE)
def test_tensorboard_shows_a_class_by_its_own_name(noise: Images, name: str) -> None:
    text = card.markdown(replace(drawn.DESCRIPTION, classes=("cat", name, "dog")), noise, noise)
    _, tags, cells = rendered.read(text)
    assert tags == {"table", "thead", "tbody", "tr", "th", "td", "strong", "code"}
    assert cells[cells.index("classes") + 1] == f"cat, {name}, dog"


@pytest.mark.parametrize("name", [each for each in HOSTILE if "`" not in each])
def test_tensorboard_shows_a_folder_by_its_own_name(noise: Images, name: str) -> None:
    """One with ` is refused when it is read."""
    about = replace(drawn.DESCRIPTION, name=f"idx:{name}", title=f"{name}, a data set", source=name)
    _, tags, cells = rendered.read(card.markdown(about, noise, noise))
    assert tags == {"table", "thead", "tbody", "tr", "th", "td", "strong", "code"}
    assert cells[1] == f"{name}, a data set (idx:{name})"
    assert cells[cells.index("source") + 1] == name


@pytest.mark.parametrize("about", [download.DESCRIPTION, drawn.DESCRIPTION])
def test_common_names_are_written_as_they_are(noise: Images, about: Description) -> None:
    lines = card.markdown(about, noise, noise).splitlines()
    assert lines[2] == f"| **data set** | {about.title} (`{about.name}`) |"
    assert lines[8:] == [
        f"| **classes** | {', '.join(about.classes)} |",
        f"| **source** | {about.source} |",
        f"| **licence** | {about.licence} |",
    ]
