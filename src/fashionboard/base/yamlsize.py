"""Whether a text in YAML is small enough to be put together.

libyaml ends the process at a text that is nested too deeply, and a few lines of aliases may stand
for more than any memory.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fashionboard.base.errors import DataError

_DEEPEST = 200
_MOST = 1_000_000
# each level has a bracket, a character of indentation, or a mark of its own in front of a line
_INDENTED = re.compile(rf"[ \-?:]{{{_DEEPEST}}}")
# aliases with which a text may begin to grow beyond all measure
_ALIASES = 10


def check(text: str) -> None:
    """Return if both PyYAML and ruamel.yaml, with which DVC reads, can put a text together or refuse it.

    Raises:
        DataError: it is nested too deeply, or its aliases stand for too much.
    """
    brackets = text.count("[") + text.count("{")
    if brackets <= _DEEPEST and text.count("*") < _ALIASES and not _INDENTED.search(text):
        return
    # each has a libyaml of its own, which may go on where the other one ends
    for events, error in (
        (yaml.parse(text, yaml.CSafeLoader), yaml.YAMLError),
        (YAML(typ="safe").parse(text), YAMLError),
    ):
        try:
            _count(events)
        except error:
            continue  # whoever reads it says so


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
            raise DataError(f"expected at most {_DEEPEST} levels and {_MOST:,} values, found more")
