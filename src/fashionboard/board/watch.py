"""The experiments that are, or were, running while the board is open."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fashionboard.board.life import Life, Sign
from fashionboard.board.live import Live, Processes
from fashionboard.board.results import Reader
from fashionboard.repository import sweeps
from fashionboard.repository.experiments import Run, Runs
from fashionboard.repository.git import Git

# seconds for which a new run may have no process yet
_START = 60


@dataclass
class Watched:
    """An experiment that was seen running.

    before: the commit of that name when it began, if there was one. name: of its group; ended: the one
    that says how it ended.
    """

    run: Run
    live: Live
    before: str
    life: Life = field(default_factory=Life)
    name: str = ""
    ended: str = ""

    @property
    def there(self) -> bool:
        """Whether the copy in which it runs is there."""
        return self.run.root.is_dir()


class Watch:
    """Looks after the experiments that DVC runs.

    seen: by baseline and name, every one that was running at some time.
    """

    def __init__(self, git: Git, tmp: Path, reader: Reader) -> None:
        """tmp: DVC's folder for temporary files."""
        self.seen: dict[tuple[str, str], Watched] = {}
        self._git = git
        self._reader = reader
        self._runs = Runs(tmp)
        self._processes = Processes()

    @property
    def running(self) -> dict[tuple[str, str], Watched]:
        """Those that are running now."""
        return {key: each for key, each in self.seen.items() if each.life.state == "running"}

    @property
    def without_result(self) -> list[Watched]:
        """Those that failed or were killed."""
        return [each for each in self.seen.values() if each.life.state in ("failed", "killed")]

    def look(self, results: Mapping[tuple[str, str], str]) -> None:
        """Look once; `results` is the commit of each experiment by baseline and name."""
        runs = {(run.baseline, run.name): run for run in self._runs.read()}
        for key, run in runs.items():
            if run.state == "running" and run.root.is_dir():
                known = self.seen.get(key)
                if known is None or known.run.root != run.root or _goes_on(known, run):
                    self.seen[key] = self._begun(run, results.get(key, ""))
        for key, watched in self.running.items():
            watched.life.look(self._sign(watched, runs.get(key), results.get(key, "")))

    def _begun(self, run: Run, before: str) -> Watched:
        start = self._git.commit(run.start) or self._git.commit(run.baseline)
        files = self._reader.read([start])[start].files if start else {}
        return Watched(run, Live(run.root / self._git.prefix, files), before)

    def _sign(self, watched: Watched, run: Run | None, result: str) -> Sign:
        root = watched.run.root
        # DVC removes the copy at any moment
        made = _time_of(root)
        return Sign(
            run.state if run else None,
            result=bool(result),
            new=bool(result) and result != watched.before,
            copy=made is not None,
            young=made is not None and time.time() - made <= _START,
            works=partial(self._works, watched.run),
        )

    def _works(self, run: Run) -> bool:
        """Tell whether a process works in a copy, or looks after it from here."""
        return sweeps.is_driven(run.note) if run.note else self._processes.work_in(run.root)


def _goes_on(known: Watched, run: Run) -> bool:
    """Tell whether a sweep that was killed looks after an experiment again, in the same folder."""
    return known.life.state != "running" and run.note is not None and sweeps.is_driven(run.note)


def _time_of(folder: Path) -> float | None:
    """Return when a folder was made or last changed, None if it is not there."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return None
