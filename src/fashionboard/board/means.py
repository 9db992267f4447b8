"""Mean, least and most of the curves of repeats, as runs of their own in the view."""

import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashionboard.base import errors
from fashionboard.board import curves
from fashionboard.board.curves import Curve
from fashionboard.board.group import Group, is_events
from fashionboard.board.view import View
from fashionboard.events.writer import EventWriter

_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "least": min,
    "most": max,
}
# what float32 holds, in which event files keep numbers
_LARGEST = 3e38
# of several curves: their tag, a step, and the value of each there
_Point = tuple[str, int, list[float]]


@dataclass(frozen=True)
class _Written:
    """The files of each of some repeats, by their paths in the view, and the event files written of them."""

    files: Sequence[Mapping[str, Path]]
    events: Sequence[Path]


class Means:
    """Writes the runs `<repeats>/mean/<stage>`, `least` and `most` into a view, once a set of repeats."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._written: dict[str, _Written] = {}
        # runs that TensorBoard may still show of other repeats under the same name
        self._left: dict[str, list[str]] = {}
        self._failed: dict[str, str] = {}

    def show(
        self, repeats: Mapping[str, Sequence[str]], groups: Mapping[str, Group], seconds: float = math.inf
    ) -> None:
        """Make the view hold these runs and no others.

        repeats: names of groups by what they are called together. seconds: after which no further set is
        read; the next call goes on.
        """
        began = time.monotonic()
        wanted = {name: [groups[each].files for each in names] for name, names in repeats.items()}
        for name, before in list(self._written.items()):
            if wanted.get(name) != before.files or not all(path.exists() for path in before.events):
                self._drop(name)
        for name, files in wanted.items():
            if time.monotonic() - began > seconds:
                break
            if name not in self._written and not any(map(self._view.leaves, self._left.get(name, ()))):
                self._written[name] = _Written(files, self._try(name, files))
                self._left.pop(name, None)

    @property
    def unread(self) -> list[str]:
        """What has no curves since a file could not be read or written, a line each."""
        return [f"{name}: no curves ({reason})" for name, reason in self._failed.items()]

    def _drop(self, name: str) -> None:
        folder, before = self._view.folder, self._written.pop(name)
        self._left[name] = [path.parent.relative_to(folder).as_posix() for path in before.events]
        self._view.drop(name, self._left[name])
        self._failed.pop(name, None)

    def _try(self, name: str, files: Sequence[Mapping[str, Path]]) -> list[Path]:
        """Return the event files of a set; of one that fails there is none until it is another."""
        try:
            return list(self._write(name, files))
        except OSError as error:
            self._failed[name] = errors.reason(error)
            self._view.drop(name)
            return []

    def _write(self, name: str, files: Sequence[Mapping[str, Path]]) -> Iterator[Path]:
        own = [_own(each, files) for each in files]
        for run, tags in sorted(_together([curves.read(each) for each in own]).items()):
            for what, statistic in _STATISTICS.items():
                with EventWriter(self._view.folder / name / what / run, _digest(own)) as events:
                    for tag, step, values in tags:
                        whole = all(abs(value) < _LARGEST for value in values)
                        events.scalar(tag, statistic(values) if whole else math.nan, step)
                yield events.path


def _own(files: Mapping[str, Path], others: Sequence[Mapping[str, Path]]) -> dict[str, Path]:
    """Return the event files that not all repeats share: the curves of the others do not depend on seeds."""
    return {
        path: file
        for path, file in files.items()
        if is_events(path) and any(each.get(path) != file for each in others)
    }


def _digest(files: Sequence[Mapping[str, Path]]) -> str:
    """Return another one for other repeats: TensorBoard, left open, takes another name for new data."""
    content = ascii([sorted((path, file.as_posix()) for path, file in each.items()) for each in files])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _together(read: Sequence[Mapping[tuple[str, str], Curve]]) -> dict[str, list[_Point]]:
    """Return by run the points of the curves and steps that all repeats have, with the value of each."""
    found: dict[str, list[_Point]] = {}
    for run, tag in sorted(set(read[0]).intersection(*read[1:])):
        each = [repeat[run, tag] for repeat in read]
        for step in sorted(set(each[0]).intersection(*each[1:])):
            found.setdefault(run, []).append((tag, step, [curve[step] for curve in each]))
    return found
