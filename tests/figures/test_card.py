from dataclasses import replace

import numpy as np
import pytest

from fashionboard.data.dataset import Description, Images
from fashionboard.figures import card
from fashionboard.sources import download, drawn
from tests.support import rendered

# what tables are made of
TAGS = {"table", "thead", "tbody", "tr", "th", "td", "strong", "code"}
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


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), "28 x 28 pixels, 256 levels of grey"),
        ((64, 64, 3), "64 x 64 pixels, colour"),
        ((224, 224), "224 x 224 pixels, 256 levels of grey"),
    ],
)
def test_the_card_gives_size_mean_and_deviation_of_any_images(shape: tuple[int, ...], expected: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 200, (30, *shape), np.uint8)
    images = Images(pixels, np.zeros(30, np.uint8))
    text = card.markdown(drawn.DESCRIPTION, images, images)
    assert f"| **size** | {expected} |" in text
    assert f"| **pixel mean** | {(pixels / 255).mean():.4f} |" in text
    assert f"| **pixel standard deviation** | {(pixels / 255).std():.4f} |" in text


def test_the_card_gives_the_size_of_the_originals_where_there_are_any(noise: Images) -> None:
    assert "originals" not in card.markdown(drawn.DESCRIPTION, noise, noise)
    about = replace(drawn.DESCRIPTION, originals="30 x 30 to 90 x 90 pixels")
    assert "| **originals** | 30 x 30 to 90 x 90 pixels |" in card.markdown(about, noise, noise)


def labelled(*counts: int) -> Images:
    """So many images of each class, no two of which are equal."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    return Images(np.arange(len(labels) * 4, dtype=np.uint8).reshape(-1, 2, 2), labels)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((3, 3, 3), "3 training images of each class"),
        ((2, 9, 3), "9 training images of b|, 2 of a: 4.5 to 1"),
        ((2, 9, 0), "9 training images of b|, 0 of c"),
    ],
)
def test_the_card_counts_each_class_and_compares_the_largest_with_the_smallest(
    counts: tuple[int, ...], expected: str
) -> None:
    about = replace(drawn.DESCRIPTION, classes=("a", "b|", "c"))
    _, tags, cells = rendered.read(card.markdown(about, labelled(*counts), labelled(1, 0, 2)))
    assert cells[cells.index("balance") + 1] == expected
    first, second, third = map(str, counts)
    assert cells[-9:] == ["a", first, "1", "b|", second, "0", "c", third, "2"]
    assert tags == TAGS


def test_the_card_counts_images_that_are_there_again() -> None:
    train, test = labelled(3, 3), labelled(2, 2)
    twice = Images(np.concatenate([train.pixels, train.pixels[:2]]), np.append(train.labels, [1, 0]))
    _, _, cells = rendered.read(card.markdown(drawn.DESCRIPTION, twice, test))
    assert cells[cells.index("copies") + 1] == (
        "2 training images and 0 test images are there a second time or more, "
        "4 test images are training images, too"
    )


def test_a_bar_in_a_name_does_not_end_a_cell(noise: Images) -> None:
    about = replace(drawn.DESCRIPTION, classes=("a|b", *drawn.DESCRIPTION.classes[1:]))
    text = card.markdown(about, noise, noise)
    assert r"| **classes** | a\|b, Trouser, " in text and r"| a\|b | " in text


@pytest.mark.parametrize("level", [0, 255])
def test_a_single_level_has_no_deviation(level: int) -> None:
    flat = Images(np.full((2, 3, 3), level, np.uint8), np.zeros(2, np.uint8))
    assert "| **pixel standard deviation** | 0.0000 |" in card.markdown(drawn.DESCRIPTION, flat, flat)


@pytest.mark.parametrize("name", HOSTILE)
def test_tensorboard_shows_a_class_by_its_own_name(noise: Images, name: str) -> None:
    images = Images(noise.pixels, noise.labels % 3)
    text = card.markdown(replace(drawn.DESCRIPTION, classes=("cat", name, "dog")), images, images)
    _, tags, cells = rendered.read(text)
    assert tags == TAGS
    assert cells[cells.index("classes") + 1] == f"cat, {name}, dog"
    assert cells[-9::3] == ["cat", name, "dog"]


@pytest.mark.parametrize("name", [each for each in HOSTILE if "`" not in each])
def test_tensorboard_shows_a_folder_by_its_own_name(noise: Images, name: str) -> None:
    """One with ` is refused when it is read."""
    about = replace(drawn.DESCRIPTION, name=f"idx:{name}", title=f"{name}, a data set", source=name)
    _, tags, cells = rendered.read(card.markdown(about, noise, noise))
    assert tags == TAGS
    assert cells[1] == f"{name}, a data set (idx:{name})"
    assert cells[cells.index("source") + 1] == name


@pytest.mark.parametrize("about", [download.DESCRIPTION, drawn.DESCRIPTION])
def test_common_names_are_written_as_they_are(noise: Images, about: Description) -> None:
    lines = card.markdown(about, noise, noise).splitlines()
    assert lines[2] == f"| **data set** | {about.title} (`{about.name}`) |"
    assert lines[8] == f"| **classes** | {', '.join(about.classes)} |"
    assert lines[11:13] == [f"| **source** | {about.source} |", f"| **licence** | {about.licence} |"]
    counts = np.bincount(noise.labels, minlength=10)
    assert lines[-10:] == [f"| {name} | {n} | {n} |" for name, n in zip(about.classes, counts, strict=True)]
