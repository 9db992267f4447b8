"""What differs between two versions of an output, in words."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what it is and, where it is a number or a tensor, the largest difference."""

    what: str
    size: float | None = None

    def __str__(self) -> str:
        return self.what if self.size is None else f"{self.what} by {self.size:.3g}"


def files(expected: Path, found: Path, name: str) -> list[Difference]:
    """Compare two files; `name`, that of the output, tells of what kind they are.

    Returns an empty list exactly where the bytes are the same.
    """
    if expected.read_bytes() == found.read_bytes():
        return []
    if "tfevents" in name:
        differences = list(_events(expected, found))
    elif name.endswith(".safetensors"):
        differences = list(_tensors(expected, found))
    elif name.endswith(".json"):
        differences = list(_numbers(_flat(expected), _flat(found)))
    else:
        differences = []
    return differences or [Difference("the bytes")]


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
            if first.shape != second.shape:
                yield Difference(f"tensor {name!r} is {first.shape} in one, {second.shape} in the other")
            elif not np.array_equal(first, second):
                yield Difference(f"tensor {name!r}", float(np.abs(first - second).max()))


def _flat(path: Path) -> dict[str, object]:
    """Return the values of nested JSON objects by dotted key."""

    def walk(prefix: str, value: object) -> Iterator[tuple[str, object]]:
        if isinstance(value, dict):
            for key, child in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, child)
        else:
            yield f"metric {prefix}", value

    return dict(walk("", json.loads(path.read_text(encoding="utf-8"))))


def _numbers(expected: dict[str, object], found: dict[str, object]) -> Iterator[Difference]:
    for name in [*expected, *(name for name in found if name not in expected)]:
        if name not in expected or name not in found:
            yield Difference(f"{name} is in only one")
        elif expected[name] != found[name]:
            one, other = expected[name], found[name]
            numeric = isinstance(one, int | float) and isinstance(other, int | float)
            size = abs(one - other) if numeric else None  # type: ignore[operator]
            yield Difference(name, size if size is None or math.isfinite(size) else None)
