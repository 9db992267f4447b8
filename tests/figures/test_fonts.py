import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from matplotlib import font_manager, rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.textpath import text_to_path

from fashionboard.base.errors import DataError
from fashionboard.data.dataset import CLASSES, Images
from fashionboard.figures import canvas, diagrams, examples, fonts
from tests.support import lettering
from tests.support.drawn_figures import texts

DEFAULT = fontManager.findfont(FontProperties(family=["DejaVu Sans"]))
KOREAN, HINDI = "고양이", "बिल्ली"


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """matplotlib as the figures have it, and nothing that was found before."""
    fonts._choose.cache_clear()
    with canvas._same_everywhere():
        yield
    fonts._choose.cache_clear()


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of all the fonts that this machine has."""
    folder = tmp_path / "fonts"
    folder.mkdir()

    def listed() -> list[str]:
        found = sorted(map(str, folder.iterdir()))
        random.Random(len(found)).shuffle(found)
        return found

    monkeypatch.setattr(font_manager, "findSystemFonts", listed)
    monkeypatch.delenv(fonts.VARIABLE, raising=False)
    return folder


def files() -> list[str]:
    """Return the names of the files in which matplotlib looks for letters now, one after another."""
    return [Path(fontManager.findfont(FontProperties(family=[name]))).name for name in fonts.families()]


def test_names_in_the_default_fonts_letters_need_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    before = examples.class_balance(np.arange(10), np.arange(10), CLASSES)
    monkeypatch.setenv(fonts.VARIABLE, "no such file")
    monkeypatch.setattr(font_manager, "findSystemFonts", None)
    fonts.use(
        [*CLASSES, "naïve", "кот", "γάτα", "قطة", "חתול", "می\u200cخواهم", "New\u00a0York", "❤\ufe0f"],
        "a\u3000b\U000e0100",
    )
    assert fonts.families() == ("sans-serif",)
    assert np.array_equal(before, examples.class_balance(np.arange(10), np.arange(10), CLASSES))


def test_letters_are_those_that_fonttools_finds_in_the_default_font(system: Path) -> None:
    had = TTFont(DEFAULT).getBestCmap()
    letters = [chr(code) for code in range(0x3100) if unicodedata.category(chr(code))[0] in "LMN"]
    asked = random.Random(0).sample(letters, 1000)
    refused = set()
    for letter in asked:
        try:
            fonts.use([letter])
        except DataError:
            refused.add(letter)
    variants = {letter for letter in asked if "VARIATION SELECTOR" in unicodedata.name(letter)}
    assert refused == {letter for letter in asked if ord(letter) not in had} - variants
    assert 100 < len(refused) < 900


def test_other_letters_come_from_a_font_of_the_system_after_the_default_one(system: Path) -> None:
    lettering.font(system / "one.ttf", KOREAN)
    fonts.use(["cat", KOREAN])
    assert files() == ["DejaVuSans.ttf", "one.ttf"]


def test_the_font_that_is_named_comes_before_the_systems(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lettering.font(system / "one.ttf", KOREAN + HINDI)
    monkeypatch.setenv(fonts.VARIABLE, str(lettering.font(tmp_path / "own.ttf", "고")))
    fonts.use([KOREAN])
    assert files() == ["DejaVuSans.ttf", "own.ttf", "one.ttf"]
    rcParams["font.family"] = ["sans-serif"]
    fonts.use([HINDI])
    assert files() == ["DejaVuSans.ttf", "one.ttf"]


def test_few_fonts_are_taken_that_have_all(system: Path) -> None:
    lettering.font(system / "a.ttf", KOREAN)
    lettering.font(system / "b.ttf", HINDI)
    lettering.font(system / "c.ttf", KOREAN + HINDI[:3])
    fonts.use([KOREAN], HINDI)
    assert files() == ["DejaVuSans.ttf", "c.ttf", "b.ttf"]


def test_plain_fonts_come_first_and_then_the_order_is_that_of_the_files_names(system: Path) -> None:
    made = (
        ("a.ttf", "Test", "Bold"),
        ("b.ttf", "Test Mono", "Regular"),
        ("d.ttf", "Test", "Regular"),
        ("c.ttf", "Other", "Regular"),
    )
    for name, family, style in made:
        lettering.font(system / name, KOREAN, family, style)
    for expected in ("c.ttf", "d.ttf", "b.ttf", "a.ttf"):
        fonts._choose.cache_clear()
        rcParams["font.family"] = ["sans-serif"]
        fonts.use([KOREAN])
        assert files() == ["DejaVuSans.ttf", expected]
        (system / expected).unlink()


def test_fonts_with_placeholders_or_without_outlines_have_no_letters(system: Path) -> None:
    lettering.font(system / "a.ttf", KOREAN, "Last Resort High-Efficiency")
    lettering.font(system / "LastResort.otf", KOREAN, ".Test")
    lettering.font(system / "blank.ttf", KOREAN, "Adobe Blank")
    lettering.font(system / "coloured.ttf", KOREAN, "Test", width=0)
    (system / "damaged.ttf").write_bytes(b"no font")
    with pytest.raises(DataError, match="found none with 고 양 이;"):
        fonts.use([KOREAN])
    lettering.font(system / "z.ttf", KOREAN)
    fonts._choose.cache_clear()
    fonts.use([KOREAN])
    assert files() == ["DejaVuSans.ttf", "z.ttf"]


def test_the_error_says_which_letters_of_what_are_missing_and_what_to_do(system: Path) -> None:
    lettering.font(system / "one.ttf", "고")
    advice = "install one (such as Noto Sans CJK) or name one by $FASHIONBOARD_FONT=FILE"
    with pytest.raises(DataError) as caught:
        fonts.use(["cat", "고양이 양"], "all of 고")
    expected = "expected a font with the letters of class 고양이 양, found none with 양 이; "
    assert str(caught.value) == expected + advice
    with pytest.raises(DataError) as caught:
        fonts.use(["고"], "the 5 test images of 猫")
    expected = "expected a font with the letters of the 5 test images of 猫, found none with 猫; "
    assert str(caught.value) == expected + advice
    assert fonts.families() == ("sans-serif",)


@pytest.mark.parametrize("content", [None, b"no font"])
def test_a_named_file_that_is_no_font_is_refused_where_one_is_needed(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    named = tmp_path / "own.ttf"
    if content:
        named.write_bytes(content)
    monkeypatch.setenv(fonts.VARIABLE, str(named))
    with pytest.raises(DataError, match=r"^expected the file of a font in \$FASHIONBOARD_FONT, found .*own"):
        fonts.use([KOREAN])


@pytest.mark.parametrize("name", ["confusion", "reliability", "mistakes", "predictions", "class_grid"])
def test_a_figures_letters_are_drawn_by_the_font_that_has_them(
    images: Images, system: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A warning that a letter is missing would fail the test."""
    pixels, labels, confidence = images.pixels[:2], np.arange(2), np.ones(2)
    names = (KOREAN, HINDI)

    def draw() -> canvas.Pixels:
        fonts._choose.cache_clear()
        match name:
            case "confusion":
                return diagrams.confusion(np.eye(2, dtype=np.int64), names, "猫")
            case "reliability":
                return diagrams.reliability(np.array([0, 1.0]), np.arange(1), np.zeros(1), 0, "猫")
            case "mistakes":
                return diagrams.mistakes(pixels, labels, labels[::-1], confidence, names, "猫")
            case "predictions":
                return examples.predictions(pixels, labels, labels, confidence, names)
            case _:
                return examples.class_grid(pixels, labels, names, 1)

    with pytest.raises(DataError, match="expected a font"):
        draw()
    lettering.font(system / "one.ttf", f"{KOREAN}{HINDI}猫", width=900)
    wide = draw()
    assert np.array_equal(wide, draw())
    (system / "one.ttf").rename(system / "two.ttf")
    lettering.font(system / "two.ttf", f"{KOREAN}{HINDI}猫", width=500)
    narrow = draw()
    assert wide.shape[1] == narrow.shape[1] == 700 and not np.array_equal(wide, narrow)


def test_a_text_is_measured_and_cut_in_the_fonts_that_draw_it(system: Path) -> None:
    lettering.font(system / "one.ttf", KOREAN, width=900)
    fonts.use([KOREAN])
    assert canvas.width(KOREAN, 10) == pytest.approx(3 * 0.9 * 10 / 72, rel=0.02)
    wide = canvas.fitted(KOREAN * 6, 10, 1)
    lettering.font(system / "two.ttf", KOREAN, width=450)
    (system / "one.ttf").unlink()
    fonts._choose.cache_clear()
    fonts.use([KOREAN])
    narrow = canvas.fitted(KOREAN * 6, 10, 1)
    assert wide.endswith("…") and len(wide) == 7  # six of them, and the dots
    assert narrow.endswith("…") and len(narrow) == 14


def test_a_mark_is_not_cut_off_its_letter(system: Path) -> None:
    lettering.font(system / "one.ttf", "का")
    whole = "का" * 40
    fonts.use([whole])
    lengths = {len(canvas.fitted(whole, 8, inches / 50)) for inches in range(5, 50)}
    assert len(lengths) > 3 and all(length % 2 for length in lengths)


def test_a_name_from_right_to_left_moves_nothing_around_it(images: Images, drawn_as: list[Figure]) -> None:
    """Where letters come to lie is told by libraqm, through matplotlib."""
    labels = np.zeros(1, np.int64)
    examples.predictions(images.pixels[:1], labels, labels, np.ones(1), ["قطة"])
    (title,) = texts(drawn_as[0])
    font = get_font(DEFAULT)
    for line, first, last in zip(title.get_text().split("\n"), "✓(", "%)", strict=True):
        placed, _, _ = text_to_path.get_glyphs_with_font(font, line)
        ordered = [name for name, x, *_ in sorted(placed, key=lambda each: each[1])]
        assert ordered[0].endswith(f"-{font.get_char_index(ord(first)):x}")
        assert ordered[-1].endswith(f"-{font.get_char_index(ord(last)):x}")


def test_names_from_left_to_right_are_left_as_they_are() -> None:
    assert [fonts.isolated(name) for name in ("cat", KOREAN, HINDI)] == ["cat", KOREAN, HINDI]
