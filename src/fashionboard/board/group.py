"""What a name on the board stands for, and where its files go."""

import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from fashionboard.repository import names
from fashionboard.repository.commits import Commit
from fashionboard.repository.names import clean
from fashionboard.repository.times import Times

T = TypeVar("T")
State = Literal["workspace", "commit", "experiment", "running", "failed", "killed"]
Value = bool | float | str
# parts of a value that is shown
_MANY = 10_000
# YAML 1.1 does not know it for a number, so DVC may have recorded it as a text
_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


@dataclass(frozen=True)
class Group:
    """The runs of one revision or running experiment.

    revision: the commit's short name, or that of the commit it started from. files: the existing
    files by their paths in the view. missing: outputs whose files, or list of files, are not in the
    cache. parameters, metrics: those that DVC tracks, by flattened name. answers: of those missing that
    the remote was asked for, why they could not be brought; "" if it has them not. commit: who made it
    and what they said, if it is one. times: how long its stages took,
    by folder in the view, as far as that is known and they have ended. setting: a digest that repeats
    of one setting share, "" if it can have none.
    """

    name: str
    revision: str
    state: State
    files: Mapping[str, Path] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    commit: Commit | None = None
    times: Mapping[str, Times] = field(default_factory=dict)
    setting: str = ""

    @property
    def stages(self) -> list[str]:
        """The folders that hold event files: stages, or outputs of stages."""
        return sorted({posixpath.dirname(path) for path in self.files if is_events(path)})

    @property
    def size(self) -> int:
        """Return the sum of the files' sizes in bytes; a file that has just gone counts as none."""
        total = 0
        for path in self.files.values():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total


def is_events(path: str) -> bool:
    """Tell whether TensorBoard takes the file for one of events."""
    return "tfevents" in posixpath.basename(path)


def arrange(stage: str, outputs: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Return what belongs into the view of a stage, by its path there.

    outputs: by path, the files of each, by path, with anything that stands for their bytes. A folder
    that holds an event file is shown whole. One such output is `<stage>/...`; several are
    `<stage>/<output>/...`.
    """
    places: dict[str, dict[str, T]] = {}
    for output, files in outputs.items():
        for path, content in files.items():
            place = output if path != output else posixpath.dirname(output)
            places.setdefault(place, {})[path] = content
    shown = {place: files for place, files in places.items() if any(map(is_events, files))}
    # the folder above is the board's own
    stage = clean(stage) or "-"
    found: dict[str, T] = {}
    for place, files in shown.items():
        folder = stage if len(shown) == 1 else f"{stage}/{place}"
        inner: dict[str, T] = {}
        for path, content in files.items():
            name = clean(f"{folder}/{posixpath.relpath(path, place or '.')}")
            # names may be alike once they are clean
            number = 1
            while inner.get(name if number == 1 else f"{name}~{number}", content) != content:
                number += 1
            inner[name if number == 1 else f"{name}~{number}"] = content
        merge(found, inner)
    return found


def merge(into: dict[str, T], files: Mapping[str, T]) -> None:
    """Add files by path; where a path is taken by another one, all go to a folder `<first>~2` or so."""
    number = 1
    moved = dict(files)
    while any(into.get(path, content) != content for path, content in moved.items()):
        number += 1
        parts = {path: path.partition("/") for path in files}
        moved = {f"{first}~{number}/{rest}": files[path] for path, (first, _, rest) in parts.items()}
    into.update(moved)


def parameters(values: Mapping[str, object]) -> dict[str, Value]:
    """Return parameters as TensorBoard can show them: bool, float, or else a text.

    Texts such as "1e-05" become numbers; what is not finite a text, since JSON has no such numbers, and so
    does an integer that float64 does not hold.
    """
    return {_plain(name): _value(value) for name, value in values.items()}


def _value(value: object) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < names.LONGEST and _EXPONENT.fullmatch(value):
        value = float(value)
    number = _finite(value)
    if number is not None and number == value:
        return number
    if value is None:
        return "null"
    return _plain(str(value)) if _size(value) < _MANY else "..."


def _plain(text: str) -> str:
    """Replace halves of characters, which JSON may hold and UTF-8 does not."""
    return text.encode(errors="replace").decode()


def _size(value: object) -> int:
    """Count what a nested value is written with, as far as `_MANY`; aliases are written out each time."""
    pending, size = [value], 0
    while pending and size < _MANY:
        each = pending.pop()
        size += 1
        if isinstance(each, dict):
            pending += [*each.keys(), *each.values()][:_MANY]
        elif isinstance(each, list | tuple | set):
            pending += list(each)[:_MANY]
    return size


def metrics(values: Mapping[str, object]) -> dict[str, float]:
    """Return the metrics that are finite numbers."""
    numbers = {_plain(name): _finite(value) for name, value in values.items() if not isinstance(value, bool)}
    return {name: number for name, number in numbers.items() if number is not None}


def _finite(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
