"""The scalars of every run of a view as one table."""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from google.protobuf.message import DecodeError
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.scalar import metadata
from tensorboard.util import tensor_util

from fashionboard import outputs
from fashionboard.board.group import Group, is_events
from fashionboard.errors import BoardError, visible

_HEADER = ("run", "stage", "tag", "step", "value")


def export_scalars(groups: Iterable[Group], path: Path) -> int:
    """Write run, stage, tag, step and value of each scalar as CSV; return how many.

    The value is the float32 of the event file, written so that it reads as the same float32.

    Raises:
        BoardError: the file cannot be written.
    """
    rows = list(_rows(groups))
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


def write_scalars(groups: Iterable[Group], stream: TextIO) -> None:
    """Write the same to an open stream; for a terminal with the codes of what it may act on."""
    _write(_rows(groups), stream)


def _write(rows: Iterable[tuple[object, ...]], stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_HEADER)
    if stream.isatty():
        rows = (tuple(visible(str(each)) for each in row) for row in rows)
    writer.writerows(rows)


def _rows(groups: Iterable[Group]) -> Iterator[tuple[object, ...]]:
    for group in groups:
        for name, target in sorted(group.files.items()):
            if is_events(name):
                try:
                    for scalar in scalars(target):
                        yield (group.name, name.rpartition("/")[0], *scalar)
                except (DecodeError, ValueError, TypeError, MemoryError, OSError):
                    line = f"{group.name}: {name} is damaged; what comes before is exported"
                    print(visible(line), file=sys.stderr)


def scalars(path: Path) -> Iterator[tuple[str, int, str]]:
    """Yield tag, step and value of each scalar of an event file, of the old form and of the new."""
    plugins: dict[str, str] = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            # only the first value of a tag has to say what it is for
            plugin = plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            if plugin == metadata.PLUGIN_NAME:
                yield value.tag, event.step, str(tensor_util.make_ndarray(value.tensor)[()])
