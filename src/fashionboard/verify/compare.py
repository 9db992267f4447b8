"""What differs between two versions of an output, in words."""

import contextlib
import hashlib
import json
import math
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from fashionboard.base.errors import DataError, reason
from fashionboard.repository.cache import Cache, is_digest

_BYTES = "the bytes"
_BRING = "to see which, bring the recorded output here with `dvc pull`"
_FETCH = "bring it back with `dvc fetch`"


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what it is and, where it is a number or a tensor, the largest difference."""

    what: str
    size: float | None = None

    def __str__(self) -> str:
        return self.what if self.size is None else f"{self.what} by {self.size:.3g}"


def output(
    path: str, expected: tuple[Cache, str | None], found: tuple[Cache, str | None]
) -> list[Difference]:
    """Compare the recorded version of an output with a new one.

    expected, found: the cache that holds each, and its md5, None where there is none.
    """
    cache, before = expected
    new_cache, after = found
    if before == after:
        return []
    if before is None or after is None:
        return [Difference("recorded, not written" if before else "written, not recorded")]
    if before.endswith(".dir") and (fault := _fault(cache, before, "the recorded list of files")):
        return [fault]
    try:
        one, other = _by_kind(cache.entries(path, before)), _by_kind(new_cache.entries(path, after))
    except DataError:  # the list is as it was recorded, but none
        return [Difference(_BYTES)]
    if one is None or other is None:
        return [Difference(f"{_BYTES}; {_BRING}")]
    differences = []
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            differences.append(Difference(f"{name} is {'recorded, not written' if name in one else 'new'}"))
        elif one[name] != other[name]:
            differences += _object(path, name, (cache, one[name]), (new_cache, other[name]))
    return differences or [Difference("the names or the order of its files")]


def _object(path: str, name: str, expected: tuple[Cache, str], found: tuple[Cache, str]) -> list[Difference]:
    """Compare the file `name` of the output `path`, both as paths in the repository."""
    within = "" if name == path else posixpath.relpath(name, path)
    if fault := _fault(*expected, f"the recorded {within or 'one'}"):
        return [fault]
    the_bytes = f"{_BYTES} of {within}" if within else _BYTES
    before, after = expected[0].find(expected[1]), found[0].find(found[1])
    if before is None or after is None:
        return [Difference(f"{the_bytes}; {_BRING}")]
    differences = files(before, after, name)
    return [Difference(the_bytes)] if differences == [Difference(_BYTES)] else differences


def _fault(cache: Cache, md5: str, called: str) -> Difference | None:
    """Say what is wrong with an object of a cache; None if it is whole, or not there."""
    if not is_digest(md5):
        return None
    place = cache.place(md5)
    try:
        found = cache.find(md5)
        if found is None:
            if not os.path.lexists(place):
                return None
            return Difference(f"{called} is no file in DVC's cache; remove {place}, and {_FETCH}")
        content = found.read_bytes()
    except PermissionError as error:
        return Difference(f"{called} cannot be read ({reason(error)}); give access")
    except OSError as error:
        return Difference(f"{called} cannot be read ({reason(error)}); remove {place}, and {_FETCH}")
    # DVC 2 took the line ends of a text for those of Unix
    if md5[:32] in map(_md5, (content, content.replace(b"\r\n", b"\n"))):
        return None
    return Difference(f"{called} is damaged in DVC's cache; remove {found}, and {_FETCH}")


def is_held(cache: Cache, md5: str) -> bool:
    """Tell whether an object is in a cache, whole or not; yes where that cannot be seen."""
    try:
        return cache.find(md5) is not None or (is_digest(md5) and os.path.lexists(cache.place(md5)))
    except PermissionError:
        return True


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _by_kind(entries: dict[str, str] | None) -> dict[str, str] | None:
    """Leave the key of the run's inputs out of the names of event files, so that two runs' pair up."""
    return entries and {re.sub(r"(tfevents)\.[0-9a-f]+$", r"\1", name): md5 for name, md5 in entries.items()}


def files(expected: Path, found: Path, name: str) -> list[Difference]:
    """Compare two files; `name`, that of the output, tells of what kind they are.

    Returns an empty list exactly where the bytes are the same.
    """
    if expected.read_bytes() == found.read_bytes():
        return []
    differences: list[Difference] = []
    # what its reader does not understand differs in its bytes, whatever the reader says of it
    with contextlib.suppress(Exception):
        if "tfevents" in name:
            differences = list(_events(expected, found))
        elif name.endswith(".safetensors"):
            differences = list(_tensors(expected, found))
        elif name.endswith(".json"):
            differences = list(_numbers(_flat(expected), _flat(found)))
    return differences or [Difference(_BYTES)]


def _events(expected: Path, found: Path) -> Iterator[Difference]:
    yield from _numbers(_by_tag(expected), _by_tag(found))


def _by_tag(path: Path) -> dict[str, object]:
    """Return what an event file holds, by tag and step: a float for a scalar, else bytes."""
    contents: dict[str, object] = {}
    for record in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            scalar = value.HasField("simple_value")
            content = value.simple_value if scalar else value.SerializeToString(deterministic=True)
            contents[f"tag {value.tag!r} at step {event.step}"] = content
        if event.HasField("graph_def"):
            contents["the graph"] = event.graph_def
    return contents


def _tensors(expected: Path, found: Path) -> Iterator[Difference]:
    with safetensors.safe_open(expected, "np") as one, safetensors.safe_open(found, "np") as other:
        for name in sorted({*one.keys(), *other.keys()}):
            if name not in one.keys() or name not in other.keys():  # noqa: SIM118 - not dicts
                yield Difference(f"tensor {name!r} is in only one")
                continue
            first, second = one.get_tensor(name), other.get_tensor(name)
            if first.shape != second.shape or first.dtype != second.dtype:
                here, there = (f"{each.dtype} {each.shape}" for each in (first, second))
                yield Difference(f"tensor {name!r} is {here} in one, {there} in the other")
            elif first.tobytes() != second.tobytes():
                yield Difference(f"tensor {name!r}", _largest(first, second))


def _largest(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float | None:
    """Return the largest difference of two arrays of the same shape, None if it is no number."""
    with np.errstate(all="ignore"):
        # of unsigned integers a difference can be negative
        size = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
    return size if math.isfinite(size) else None


def _flat(path: Path) -> dict[str, object]:
    """Return the values of nested JSON objects and lists by dotted key."""

    def walk(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict | list):
            children = value.items() if isinstance(value, dict) else enumerate(value)
            for key, child in children:
                yield from walk(f"{prefix}.{key}" if prefix else str(key), child)
        else:
            yield f"metric {prefix}" if prefix else "the value", value

    return dict(walk("", json.loads(path.read_text(encoding="utf-8"))))


def _numbers(expected: dict[str, object], found: dict[str, object]) -> Iterator[Difference]:
    for name in [*expected, *(name for name in found if name not in expected)]:
        if name not in expected or name not in found:
            yield Difference(f"{name} is in only one")
        elif repr(expected[name]) != repr(found[name]):
            yield Difference(name, _distance(expected[name], found[name]))


def _distance(one: object, other: object) -> float | None:
    """Return how far two numbers are apart, None if they are none or their distance is not finite."""
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return None
    try:
        size = abs(float(one) - float(other))
    except OverflowError:
        return None
    return size if math.isfinite(size) else None
