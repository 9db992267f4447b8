"""Texts in YAML, read as DVC reads them: by ruamel.yaml, which is YAML 1.2.

It is fast on libyaml, which DVC has where ruamel.yaml.clib is installed, and which refuses a colon in a
plain text within brackets. What it refuses is read in Python, as DVC does elsewhere.
libyaml ends the process at a text that is nested too deeply, and a few lines of aliases may stand
for more than any memory: such a text is refused before it is put together.
"""

import re
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fashionboard.base.errors import DataError

_DEEPEST = 200
_MOST = 1_000_000
# characters of what ruamel.yaml says
_LONGEST = 300
# names of values in one file
_MANY = 100_000
# each level has a bracket, a character of indentation, or a mark of its own in front of a line
_INDENTED = re.compile(rf"[ \-?:]{{{_DEEPEST}}}")
# characters of a text that is read in Python, 20 times as slowly
_SLOW = 100_000
# aliases with which a text may begin to grow beyond all measure
_ALIASES = 10
# what reading on in the values of a damaged file may raise
DAMAGED = (
    DataError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
    StopIteration,
)


class _Parsers(threading.local):
    """One of each kind a thread: a parser keeps what it is reading."""

    def __init__(self) -> None:
        self.fast, self.slow = YAML(typ="safe"), YAML(typ="safe", pure=True)


_parsers = _Parsers()


def load(text: str | bytes, fall_back: bool = True) -> Any:
    """Return what a text in YAML 1.2 holds, None for an empty one.

    The same text gives the same object: nobody may change it.
    fall_back: whether what libyaml refuses is read in Python.

    Raises:
        DataError: it is none, is nested too deeply, or its aliases stand for too much.
    """
    try:
        return _load(text if isinstance(text, str) else text.decode(), fall_back)
    except UnicodeDecodeError:
        raise DataError("not valid YAML: not in UTF-8") from None


@lru_cache(maxsize=4096)
def _load(text: str, fall_back: bool) -> Any:
    check(text)
    try:
        try:
            return _parsers.fast.load(text)
        except YAMLError:
            if not fall_back or len(text) > _SLOW:
                raise
            _count(_parsers.slow.parse(text))
            return _parsers.slow.load(text)
    except DataError:
        raise
    except Exception as error:  # there is none that ruamel.yaml may not raise
        found = " ".join(str(error).split()) or type(error).__name__
        found = found if len(found) <= _LONGEST else f"{found[:_LONGEST]} ..."
        raise DataError(f"not valid YAML: {found}") from None


def check(text: str) -> None:
    """Return if a text can be put together, or be refused as none.

    Raises:
        DataError: it is nested too deeply, or its aliases stand for too much.
    """
    brackets = text.count("[") + text.count("{")
    if brackets <= _DEEPEST and text.count("*") < _ALIASES and not _INDENTED.search(text):
        return
    try:
        _count(_parsers.fast.parse(text))
    except (YAMLError, UnicodeEncodeError):
        return  # whoever reads it says so


def _count(events: Iterator[Any]) -> None:
    """Count the values below each collection that is open, with those that aliases stand for.

    events: of a parser, which tells them one by one, without putting them together.
    """
    sizes, anchors, names = [0], dict[str, int](), list[str | None]()
    for event in events:
        kind = type(event).__name__
        if kind in ("SequenceStartEvent", "MappingStartEvent"):
            sizes.append(1)
            names.append(event.anchor)
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            size = sizes.pop()
            sizes[-1] += size
            if name := names.pop():
                anchors[name] = size
        elif kind == "AliasEvent":
            sizes[-1] += anchors.get(event.anchor or "", 1)
        else:
            sizes[-1] += 1
        if len(sizes) > _DEEPEST or sizes[-1] > _MOST:
            raise DataError(
                f"expected at most {_DEEPEST} levels and {_MOST:,} values, found more; write it plainer"
            )


def name(value: object) -> str:
    """Return a value that is a text, not empty, and without a NUL, as names and paths are.

    Raises:
        TypeError: it is anything else.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError("not a text")
    return value


def flat(values: dict[str, Any], prefix: str = "", separator: str = ".") -> dict[str, object]:
    """Return the values of nested dictionaries by joined name, `train.lr`.

    Raises:
        DataError: there are more than 100,000, as a few lines of aliases can make them.
    """
    flattened: dict[str, object] = {}
    seen = 0
    levels = [_below(prefix, values)]
    while levels:
        joined, value = next(levels[-1], (None, None))
        seen += 1
        if seen > _MANY or len(levels) > _DEEPEST:
            raise DataError(f"expected at most {_MANY:,} values in {_DEEPEST} levels, found more")
        if joined is None:
            levels.pop()
        elif isinstance(value, dict):
            levels.append(_below(joined + separator, value))
        else:
            flattened[joined] = value
    return flattened


def _below(start: str, values: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    for name, each in values.items():
        yield f"{start}{name}", each
