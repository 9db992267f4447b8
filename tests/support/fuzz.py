"""Damaged files: each made of a good one by a few changes that a seed decides."""

import random
import re
from collections.abc import Sequence

# a value in YAML or JSON
_VALUE = re.compile(rb"(?<=: )[^\n,}\]]+")
# numbers at the ends of their ranges, as headers hold them
_ENDS = [
    value.to_bytes(size, order, signed=False)
    for size in (1, 2, 4, 8)
    for value in (0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ("big", "little")
]


def damaged(content: bytes, seed: str, pieces: Sequence[bytes] = ()) -> bytes:
    """Return `content` with one to four changes: cut, doubled, moved, overwritten or filled in somewhere.

    pieces: what is filled in beside random bytes, such as words of the format, or put in a value's place.
    """
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 4)):
        content = _change(content, draw, pieces)
    return content


def _change(content: bytes, draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    values = list(_VALUE.finditer(content)) if pieces and draw.random() < 0.5 else []
    if values:
        place = draw.choice(values)
        return content[: place.start()] + draw.choice(pieces) + content[place.end() :]
    # headers are where a change tells most
    end = len(content) if draw.random() < 0.5 else min(len(content), 64)
    start = draw.randint(0, end)
    stop = min(len(content), start + draw.choice((1, 2, 4, 8, draw.randint(0, 4096))))
    kind = draw.choice(("cut", "double", "drop", "flip", "number", "noise", "piece", "piece"))
    if kind == "cut":
        return content[:start]
    if kind == "double":
        return content[:stop] + content[start:]
    if kind == "drop":
        return content[:start] + content[stop:]
    if kind == "flip" and start < len(content):
        return content[:start] + bytes([content[start] ^ 1 << draw.randrange(8)]) + content[start + 1 :]
    new = draw.randbytes(draw.randint(1, 16)) if kind == "noise" else draw.choice([*pieces, *_ENDS])
    return content[:start] + new + content[start + draw.choice((0, len(new))) :]
