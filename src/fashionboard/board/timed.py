"""How long the stages of a group took: found by the names of its event files, told in cells of a table."""

import posixpath
import re
from collections.abc import Iterable, Mapping

from fashionboard.base.clock import PARTS
from fashionboard.board.message import escaped
from fashionboard.board.table import size
from fashionboard.repository.times import Kept, Times

TAG = "times"
# what `cells` tells, by name
NUMBERS = ("seconds", *PARTS, "steps", "steps/s", "peak memory")
TITLES = (*NUMBERS, "processor")
UNKNOWN = "-"
_NAME = re.compile(r"events\.out\.tfevents\.([0-9a-f]{16})")


def keys(files: Iterable[str]) -> dict[str, str]:
    """Return the digest of its inputs in an event file's name, by its folder: a stage, or an output of one.

    files: paths in the view.
    """
    matches = {path: _NAME.fullmatch(posixpath.basename(path)) for path in files}
    return {posixpath.dirname(path): match[1] for path, match in sorted(matches.items()) if match}


def of(files: Iterable[str], kept: Kept) -> dict[str, Times]:
    """Return the times that are kept of the stages with these files, by folder."""
    found = {folder: kept.find(key) for folder, key in keys(files).items()}
    return {folder: times for folder, times in found.items() if times}


def cells(times: Times | None) -> dict[str, str]:
    """Return what is said under each of `TITLES`."""
    if times is None:
        return dict.fromkeys(TITLES, UNKNOWN)
    loop, speed, peak = times.loop, times.steps_per_second, times.peak_memory
    from_step = f" from {loop.first_step:,}" if loop and loop.first_step else ""
    return {
        "seconds": f"{times.seconds:.2f}",
        **{part: f"{seconds:.2f}" for part, seconds in times.parts.items()},
        "steps": f"{loop.steps:,}{from_step}" if loop else UNKNOWN,
        "steps/s": UNKNOWN if speed is None else f"{speed:,.0f}",
        "peak memory": UNKNOWN if peak is None else size(peak),
        "processor": times.processor or UNKNOWN,
    }


def markdown(times: Mapping[str, Times]) -> str:
    """Return a table of Markdown, a column a stage; nothing of the repository is Markdown or HTML in it."""
    columns = [cells(each) for each in times.values()]
    rows = [
        ("", *map(escaped, times)),
        ("---", *("---:" for _ in times)),
        *((title, *(escaped(column[title]) for column in columns)) for title in TITLES),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
