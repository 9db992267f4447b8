"""The scalars of every run of a view as one table."""

import csv
import hashlib
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from google.protobuf.message import DecodeError
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.scalar import metadata
from tensorboard.util import tensor_util

from fashionboard.base import outputs
from fashionboard.base.errors import BoardError, visible
from fashionboard.board.group import Group, is_events

_MD5 = re.compile(r"[0-9a-f]{32}")
_HEADER = ("run", "stage", "tag", "step", "value")


def export_scalars(groups: Iterable[Group], path: Path, fast: bool = True) -> int:
    """Write run, stage, tag, step and value of each scalar as CSV; return how many.

    The value is the float32 of the event file, written so that it reads as the same float32.
    fast: where a run went back to an earlier step, drop what TensorBoard's fast loader drops; else what its
    slower one does.

    Raises:
        BoardError: the file cannot be written.
    """
    rows = list(_rows(groups, fast))
    try:
        if path.exists() and not path.is_file():
            # a device or a pipe is written to, never replaced
            with path.open("w", encoding="utf-8", newline="") as stream:
                _write(rows, stream)
        else:
            outputs.write_csv(path.resolve(), _HEADER, rows)
    except OSError as error:
        raise BoardError(f"{path}: expected to write a file, found: {error.strerror}; name another") from None
    return len(rows)


def write_scalars(groups: Iterable[Group], stream: TextIO, fast: bool = True) -> None:
    """Write the same to an open stream; for a terminal with the codes of what it may act on."""
    _write(_rows(groups, fast), stream)


def _write(rows: Iterable[tuple[object, ...]], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_HEADER)
    if stream.isatty():
        rows = (tuple(visible(str(each)) for each in row) for row in rows)
    writer.writerows(rows)


def _rows(groups: Iterable[Group], fast: bool) -> Iterator[tuple[object, ...]]:
    for group in groups:
        runs: dict[str, Points] = {}
        for name, target in sorted(group.files.items()):
            if is_events(name):
                points = runs.setdefault(posixpath.dirname(name), Points(fast))
                _read(visible(f"{group.name}: {name}"), target, points)
        for run, points in runs.items():
            for tag, each in points.by_tag.items():
                yield from ((group.name, run, tag, step, value) for step, value in each)


def _read(name: str, path: Path, points: "Points") -> None:
    try:
        if not _is_whole(path):
            print(f"{name} is damaged in the cache; it is not exported", file=sys.stderr)
            return
        for event in EventFileLoader(str(path)).Load():
            points.add(event)
    except (DecodeError, ValueError, TypeError, MemoryError, OSError):
        print(f"{name} is damaged; what comes before is exported", file=sys.stderr)


def _is_whole(path: Path) -> bool:
    """Tell whether an object of DVC's cache has the bytes that it is named by; any other file is."""
    md5 = path.parent.name + path.name
    if not _MD5.fullmatch(md5):
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == md5


class Points:
    """The scalars of a run as TensorBoard shows them, from its event files in the order of their names.

    by_tag: step and value of each point. A run that was stopped and went on writes steps again. Measured on
    TensorBoard 2.21: its fast loader drops, of a tag, the points from the step on that is added to it; its
    slower one those of all tags from the step of a session's start on, if it is not the first.
    """

    def __init__(self, fast: bool) -> None:
        self.by_tag: dict[str, list[tuple[int, str]]] = {}
        self._fast = fast
        self._begun = False
        self._plugins: dict[str, str] = {}

    def add(self, event: Event) -> None:
        """Add the scalars of an event, of the old form and of the new."""
        if not self._fast and event.session_log.status == SessionLog.START:
            if self._begun:
                for tag, each in self.by_tag.items():
                    self.by_tag[tag] = [point for point in each if point[0] < event.step]
            self._begun = True
        for value in event.summary.value:
            # only the first value of a tag has to say what it is for
            plugin = self._plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            if plugin == metadata.PLUGIN_NAME:
                points = self.by_tag.setdefault(value.tag, [])
                while self._fast and points and points[-1][0] >= event.step:
                    points.pop()
                points.append((event.step, str(tensor_util.make_ndarray(value.tensor)[()])))
