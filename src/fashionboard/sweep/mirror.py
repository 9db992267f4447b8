"""What runs elsewhere, as the board sees it: a copy of the baseline here, in which event files grow.

<tmp>/fashionboard/sweep/run/NAME/note.json    what runs, and which process looks after it
<tmp>/fashionboard/sweep/run/NAME/copy         the copy, in which only params and event files differ
"""

import contextlib
import os
import shutil
from pathlib import Path

from fashionboard.base.errors import PathError
from fashionboard.repository import no_links, programs, sweeps
from fashionboard.repository.names import clean
from fashionboard.sweep.job import Grown, Job, Seen

# bytes by which an event file is known again: a record holds its step, its time and checksums
_TAIL = 1024


class Mirror:
    """The copies of one sweep; `folder` is `sweeps.place(tmp)`."""

    def __init__(self, top: Path, folder: Path) -> None:
        """top: of the git repository."""
        self._top = top
        self._folder = folder
        self._seen: dict[str, dict[str, Seen]] = {}
        self._where: dict[str, str] = {}

    def clear(self) -> None:
        """Remove what drivers have left that are gone."""
        for each in self._folder.glob("*"):
            if not sweeps.is_driven(each):
                shutil.rmtree(each, ignore_errors=True)

    def seen(self, worker: str) -> dict[str, dict[str, Seen]]:
        """Return what there is of the event files of each experiment that was last seen on `worker`."""
        return {name: files for name, files in self._seen.items() if self._where.get(name) == worker}

    def show(self, job: Job, worker: str, grown: dict[str, Grown]) -> None:
        """Write on where an experiment's event files grew; on another worker it begins anew.

        Raises:
            ProgramError: git cannot copy the baseline.
            OSError: the disk cannot be written.
        """
        place = self._folder / job.name
        copy = sweeps.copy(place)
        if self._where.get(job.name) != worker:
            shutil.rmtree(place, ignore_errors=True)
            self._seen[job.name] = {}
            # the note first: another sweep leaves alone what is driven
            sweeps.write_note(place, job.name, job.baseline, "running")
            self._copy(job, copy)
            self._where[job.name] = worker
        for path, part in grown.items():
            if _is_inside(copy, path):
                self._append(job.name, copy, path, part)

    def end(self, job: Job, state: str) -> None:
        """Say how an experiment ended; of one with a result the copy goes."""
        place = self._folder / job.name
        if self._where.pop(job.name, None) is not None:
            self._seen.pop(job.name, None)
            sweeps.write_note(place, job.name, job.baseline, state)
            if state == "finished":
                shutil.rmtree(sweeps.copy(place), ignore_errors=True)

    def _copy(self, job: Job, copy: Path) -> None:
        # under its name once it is whole: the board reads the parameters in it
        new = copy.with_name("new")
        new.parent.mkdir(parents=True, exist_ok=True)
        plain = ("git", "-c", f"core.hooksPath={os.devnull}", "-c", "advice.detachedHead=false")
        commands = (
            (*plain, "clone", "--quiet", "--shared", "--no-checkout", str(self._top), str(new)),
            (*plain, "-C", str(new), "checkout", "--quiet", "--detach", job.baseline),
        )
        for command in commands:
            programs.run(command, self._top, "cannot copy the baseline")
        from dvc.utils.cli_parse import to_path_overrides
        from dvc.utils.hydra import apply_overrides

        for path, values in to_path_overrides(job.overrides).items():
            apply_overrides(new / job.prefix / path, values)
        new.rename(copy)

    def _append(self, name: str, copy: Path, path: str, part: Grown) -> None:
        file, seen = copy / path, self._seen[name].get(path, Seen())
        if part.offset not in (0, seen.size):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        if part.offset == 0:
            # TensorBoard reads a file on where it stopped: another one is another file
            file.unlink(missing_ok=True)
        with file.open("ab") as opened:
            opened.write(part.content)
        tail = (seen.tail if part.offset else b"") + part.content
        self._seen[name][path] = Seen(part.offset + len(part.content), tail[-_TAIL:])


def _is_inside(copy: Path, path: str) -> bool:
    """Tell whether what a worker calls `path` is an event file in the copy: no link leads out of it."""
    if clean(path) != path or "tfevents" not in path or {".git", ".dvc"} & set(path.split("/")):
        return False
    with contextlib.suppress(PathError):
        no_links.check(copy.resolve(), copy.resolve() / path)
        return True
    return False
