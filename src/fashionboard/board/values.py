"""What files of metrics and parameters say, each in the language that its name stands for, as in DVC."""

import json
import posixpath
import tomllib
import warnings
from collections import Counter
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.serialize import parse_py

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError

# what a damaged file may raise, from being no text to being nested a thousand times
_DAMAGED = (
    DvcException,
    ValueError,
    SyntaxError,
    RecursionError,
    MemoryError,
    TypeError,
    LookupError,
    AttributeError,
)


def read(path: str, content: bytes) -> dict[str, Any]:
    """Return the values of a file by name, nested as there; none if it holds something else than names.

    Raises:
        DataError: it is not what its name says: TOML, JSON, Python (which is not run), or else YAML.
    """
    kind = posixpath.splitext(path)[1].lower()
    try:
        found: object
        if kind == ".toml":
            found = tomllib.loads(content.decode())
        elif kind == ".py":
            with warnings.catch_warnings():
                # of an escape such as \d in somebody's file
                warnings.simplefilter("ignore")
                found = parse_py(content.decode(), path)
        else:
            found = json.loads(content) if kind == ".json" else yamltext.load(content)
    except _DAMAGED:
        raise DataError(f"{path}: expected metrics or parameters, found something else") from None
    return found if isinstance(found, dict) else {}


def merged(numbers: dict[str, dict[str, float]]) -> dict[str, float]:
    """Put the metrics of several files together; a name that is in two of them bears its file."""
    files = Counter(name for each in numbers.values() for name in each)
    return {
        name if files[name] == 1 else f"{path}:{name}": number
        for path, each in numbers.items()
        for name, number in each.items()
    }
