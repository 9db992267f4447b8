"""How long stages took and how much memory: one call of `fashionboard summary --times`."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fashionboard.base.clock import PARTS
from fashionboard.base.errors import visible
from fashionboard.board import timed
from fashionboard.board.live import Live
from fashionboard.board.results import Reader
from fashionboard.board.table import Column, laid_out
from fashionboard.repository import fetch, revisions
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.names import short
from fashionboard.repository.revisions import Request
from fashionboard.repository.times import Kept, Times

_NOTE = "times are kept only in the folder in which a stage ran: what has none ran elsewhere, or not yet"


@dataclass(frozen=True)
class Line:
    """A stage of the workspace, a commit or an experiment, and what it took, if that is known.

    stage: the folder of its event file on the board; "" where a revision has none. revision: the
    commit, "" of the workspace.
    """

    name: str
    revision: str
    stage: str
    times: Times | None


def run(folder: Path, named: tuple[str, ...], as_objects: bool) -> None:
    """Print a line a stage.

    folder: in the repository. named: revisions; without any it is the workspace. as_objects: whether each
    line is a JSON object.

    Raises:
        BoardError: there is no such repository or revision.
        PathError: a link in the repository is in the way.
    """
    with fetch.opened(folder) as repo:
        root, cache = Path(repo.root_dir), Cache(Path(repo.cache.local_cache_dir))
    notes: list[str] = []
    lines = list(_lines(root, cache, named, notes))
    if as_objects:
        for line in lines:
            print(as_json(line))
    else:
        print(as_text(lines))
        if not all(line.times for line in lines):
            notes.append(_NOTE)
    for note in notes:
        print(visible(note), file=sys.stderr)


def as_text(lines: Sequence[Line]) -> str:
    """Return a table for a person."""
    cells = [timed.cells(line.times) for line in lines]
    columns = [
        Column.of("name", [line.name for line in lines]),
        Column.of("revision", [short(line.revision) or timed.UNKNOWN for line in lines]),
        Column.of("stage", [line.stage or timed.UNKNOWN for line in lines]),
        *(
            Column.of(title, [each[title] for each in cells], right=title in timed.NUMBERS)
            for title in timed.TITLES
        ),
    ]
    return laid_out(columns)


def as_json(line: Line) -> str:
    """Return a line with one JSON object, in ASCII; what is not known is null."""
    times = line.times
    loop = times.loop if times else None
    return json.dumps(
        {
            "name": line.name,
            "revision": line.revision or None,
            "stage": line.stage or None,
            "seconds": round(times.seconds, 3) if times else None,
            "parts": {part: times.parts[part] for part in PARTS} if times else None,
            "loop": {**asdict(loop), "steps_per_second": times.steps_per_second} if times and loop else None,
            "peak_memory": times.peak_memory if times else None,
            "processor": times.processor if times else None,
        }
    )


def _lines(root: Path, cache: Cache, named: tuple[str, ...], notes: list[str]) -> Iterator[Line]:
    """Yield the stages of the workspace, then those of commits and experiments in the order asked for.

    notes: is told what could not be looked at, a line each.
    """
    request, git, kept = Request(named, experiments=False, running=False), Git(root), Kept(root)
    # without a name it is the workspace alone
    targets = revisions.select(git, request) if named else []
    if request.workspace:
        live = Live(root)
        yield from _stages(revisions.WORKSPACE, "", timed.keys(live.files()), kept)
        notes += [f"{revisions.WORKSPACE}: {problem}; skipped" for problem in live.problems]
    names = revisions.distinct(targets, [revisions.WORKSPACE])
    records = Reader(git, cache).read(target.commit for target in targets)
    for target in targets:
        record, name = records[target.commit], names[target.key]
        yield from _stages(name, target.commit, timed.keys(record.files), kept)
        notes += [f"{name}: {problem}; skipped" for problem in record.unread]
        if record.missing:
            notes.append(f"{name}: not in DVC's cache, so without times: {', '.join(record.missing)}")


def _stages(name: str, revision: str, keys: dict[str, str], kept: Kept) -> Iterator[Line]:
    for stage, key in keys.items():
        yield Line(name, revision, stage, kept.find(key))
    if not keys:
        yield Line(name, revision, "", None)
