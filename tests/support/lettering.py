"""Fonts made for a test, with the letters that it asks for and no others."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]

_EM = 1000


def font(path: Path, letters: str, family: str = "Test", style: str = "Regular", width: int = 900) -> Path:
    """Write a font whose letters are triangles, `width` thousandths of an em wide; 0 leaves them empty."""
    names = {ord(letter): f"uni{ord(letter):04X}" for letter in letters}
    pen, empty = TTGlyphPen(None), TTGlyphPen(None).glyph()
    pen.moveTo((0, 0))
    pen.lineTo((width, 0))
    pen.lineTo((width, 700))
    pen.closePath()
    triangle = pen.glyph() if width else empty
    order = [".notdef", *names.values()]
    builder = FontBuilder(_EM, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: empty if name == ".notdef" else triangle for name in order})
    builder.setupHorizontalMetrics(dict.fromkeys(order, (width or _EM, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": style})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path
