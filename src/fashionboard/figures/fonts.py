"""The fonts of figures: DejaVu Sans, and where it lacks letters of a name, fonts that have them.

DejaVu Sans comes with matplotlib and covers the European alphabets, Arabic and Hebrew. Where all that a
figure names is written in its letters, no other font is looked for, and the figure's bytes are the same
everywhere. Other letters come from a font of the machine's own, so the bytes of a figure with such names are
the same only where the same fonts are installed. On one machine the choice is always the same.

matplotlib 3.11 and later also joins letters, as Arabic and Devanagari do, and writes from right to left.
"""

import os
import re
import unicodedata
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from matplotlib import font_manager, rcParams
from matplotlib.font_manager import FontEntry, FontProperties, fontManager
from matplotlib.ft2font import FT2Font, LoadFlags

from fashionboard.base.errors import DataError

DEFAULT = "DejaVu Sans"
# of the environment: the path of a font's file that comes before those of the system
VARIABLE = "FASHIONBOARD_FONT"
# fonts that have the same picture for many letters, or an empty one
_PLACEHOLDERS = re.compile(r"last\W*resort|adobe\W*(blank|notdef)|bmp\W*fallback", re.IGNORECASE)
_PLAIN = {"regular", "normal", "book", "roman"}
_OTHER = re.compile(r"(?<!sans )serif|mono|symbol|music", re.IGNORECASE)
# unicode's categories of what is not seen: controls, formats, and spaces of every width
_UNSEEN = {"Cc", "Cf", "Zl", "Zp", "Zs"}
# first strong isolate and pop directional isolate: Unicode Standard Annex #9, section 2.4
_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = {"R", "AL"}


def use(classes: Iterable[str], *texts: str) -> None:
    """Choose fonts with all letters of the names of `classes`, and of other `texts` that a figure shows.

    They are matplotlib's from now on, until its settings are put back, which `canvas.same_everywhere` does.
    A sign that no font has, as an emoji may be, is drawn as a box: it belongs to no script.

    Raises:
        DataError: no font has a letter; or another font than DejaVu Sans is needed, and $FASHIONBOARD_FONT
            is set, but names none.
    """
    named = [(f"class {name}", name) for name in classes] + [(text, text) for text in texts]
    missing = "".join(sorted({letter for _, text in named for letter in _missing(text)}))
    if not missing:
        return
    files, without = _choose(missing, os.environ.get(VARIABLE, ""))
    for what, text in named:
        if letters := [letter for letter in dict.fromkeys(text) if letter in without and _written(letter)]:
            raise DataError(
                f"expected a font with the letters of {what}, found none with {' '.join(letters)}; install "
                f"one (such as Noto Sans CJK) or name one by ${VARIABLE}=FILE"
            )
    rcParams["font.family"] = [DEFAULT, *map(_family, files)]
    for sign in without:
        warnings.filterwarnings("ignore", rf"Glyph {ord(sign)} \(.* missing from font", UserWarning)


def families() -> tuple[str, ...]:
    """Return the names of the fonts in which matplotlib now looks for a letter, one after another."""
    return tuple(rcParams["font.family"])


def isolated(text: str) -> str:
    """Return a name so that in a line it moves nothing that stands around it.

    Only names with letters that are written from right to left would, and only those are changed.
    """
    if any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return f"{_ISOLATE}{text}{_END}"
    return text


def _missing(text: str) -> list[str]:
    """Return the letters of a text that are seen, and that the default font lacks."""
    return [letter for letter in text if ord(letter) not in _default_letters() and _seen(letter)]


@lru_cache(maxsize=1)
def _default_letters() -> frozenset[int]:
    return frozenset(FT2Font(fontManager.findfont(FontProperties(family=[DEFAULT]))).get_charmap())


def _written(letter: str) -> bool:
    """Say whether a character is written text: a letter, a mark on one, a digit, or one for private use."""
    return unicodedata.category(letter)[0] in "LMN" or unicodedata.category(letter) == "Co"


def _seen(letter: str) -> bool:
    """Say whether a character is drawn; a variation selector only changes the one before it."""
    name = unicodedata.name(letter, "")
    return unicodedata.category(letter) not in _UNSEEN and "VARIATION SELECTOR" not in name


@lru_cache(maxsize=100)
def _choose(letters: str, own: str) -> tuple[tuple[str, ...], str]:
    """Return the files of few fonts that have `letters`, and those letters that no font has.

    own: the path of a font that comes first if it has any of them; or empty.

    Raises:
        DataError: `own` is no font.
    """
    left, files = set(letters), list[str]()
    if own:
        left -= _has(_own(own), letters)
        if len(left) < len(letters):
            files.append(own)
    system = _system("".join(left)) if left else []
    while left and system:
        # the font that has most of them, the first among equals
        path, had = max(system, key=lambda each: len(left & each[1]))
        if not left & had:
            break
        files.append(path)
        left -= had
    return tuple(files), "".join(sorted(left))


def _own(path: str) -> FT2Font:
    if font := _font(path):
        return font
    raise DataError(
        f"expected the file of a font in ${VARIABLE}, found {path}; name a .ttf, .otf or .ttc file"
    )


def _system(letters: str) -> list[tuple[str, set[str]]]:
    """Return the files of the system's fonts, each with those of `letters` that it has.

    Plain fonts without serifs come first; then the order is that of the files' names.
    """
    found = []
    for path in font_manager.findSystemFonts():
        # one open at a time: there may be more fonts than a process may open files
        font = _font(path)
        if font and not _PLACEHOLDERS.search(f"{font.family_name} {Path(path).name}"):
            plain = font.style_name.lower() in _PLAIN, not _OTHER.search(font.family_name)
            found.append(((not plain[0], not plain[1], Path(path).name, path), _has(font, letters)))
    return [(order[-1], had) for order, had in sorted(found, key=lambda each: each[0])]


def _font(path: str) -> FT2Font | None:
    """Open the first font in a file; None where it holds none, or one of pixels, which has one size."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return None
    return font if font.scalable else None


def _has(font: FT2Font, letters: str) -> set[str]:
    """Return those of `letters` that a font draws: fonts of coloured pictures have some without outlines."""
    return {
        letter
        for letter in letters
        if font.get_char_index(ord(letter)) and any(font.load_char(ord(letter), LoadFlags.NO_SCALE).bbox)
    }


def _family(path: str) -> str:
    """Return a name by which matplotlib knows the font in a file, and no other font."""
    name = f"letters of {path}"
    if not any(entry.name == name for entry in fontManager.ttflist):
        fontManager.ttflist.append(FontEntry(fname=path, name=name, weight=400, size="scalable"))
    return name
