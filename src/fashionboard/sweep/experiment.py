"""One experiment on a worker: `dvc exp run` in a clone, and what of it goes home."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fashionboard.base import errors
from fashionboard.repository import experiments, programs, times
from fashionboard.repository.git import Git
from fashionboard.repository.tree import Trees
from fashionboard.sweep.job import HostError, Job, Outcome, TakenBackError
from fashionboard.sweep.store import FULL, Store

# lines and letters of what DVC printed last, in the report of a failure
_LINES, _LETTERS = 20, 2000
_HERE = socket.gethostname()
# escape sequences of colours and of moving the cursor
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# of DVC, for another repository or experiment than this one
_DVCS = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_SITE_CACHE_DIR")


@dataclass
class Running:
    """An experiment that runs in this process' worker.

    began: seconds since the epoch on this machine's clock of processes, `time.monotonic`.
    """

    job: Job
    clone: Path
    process: "subprocess.Popen[bytes]"
    began: float = field(default_factory=time.monotonic)
    ended: bool = False

    def end(self) -> None:
        """Have all processes of it ended; returns at once."""
        self.ended = True
        with contextlib.suppress(OSError):
            if self.process.stdin:
                self.process.stdin.close()


# by the experiment's name
running: dict[str, Running] = {}
# names of experiments that were taken back before their process began
_taken_back: set[str] = set()


def run(job: Job, store: str, worker: str, added: tuple[str, ...] = ()) -> Outcome:
    """Run an experiment and return how it ended; what DVC or a stage finds wrong is no exception.

    store: the folder of the host's store. worker: the address of this worker. added: names of variables that
    the cluster has added to the environment, which are none of the experiment's.

    Raises:
        TakenBackError: `end` or `end_all` was called meanwhile.
        HostError: it failed for what this host lacks.
    """
    _taken_back.discard(job.name)
    kept, began = Store(Path(store)), time.monotonic()
    log = kept.folder / "work" / f"{job.name}.log"
    try:
        with contextlib.ExitStack() as stack:
            clone = stack.enter_context(kept.clone(job))
            code = _call(job, clone, log, added)
            problem = "" if code == 0 else _end_of(log) or f"dvc ended with exit code {code}"
            if not problem:
                return _result(job, kept, clone, worker, time.monotonic() - began)
            if not (full := _full(problem, kept)):
                # the clone stays, for the next try
                stack.pop_all()
    except (errors.FashionboardError, OSError) as error:
        # not DVC or a stage, but what they stand on
        kept.remove(job)
        raise HostError(f"{job.name}: expected {_HERE} to run it, found: {errors.reason(error)}") from None
    if full:
        raise HostError(f"{job.name}: expected room on the disk of {_HERE}, found: {full}")
    return Outcome(worker, time.monotonic() - began, problem=problem)


def _call(job: Job, clone: Path, log: Path, added: tuple[str, ...]) -> int:
    """Run `dvc exp run`, and return its exit code."""
    command = [*programs.DVC, "exp", "run", "--name", job.name, "--allow-missing"]
    command += ["--pull"] if job.pull else []
    for each in job.overrides:
        command += ["--set-param", each]
    variables = {
        name: value
        for name, value in programs.environment().items()
        if name not in added and name not in _DVCS
    }
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fashionboard.sweep.watched", *command],
            cwd=clone / job.prefix,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    running[job.name] = mine = Running(job, clone, process)
    if job.name in _taken_back:
        mine.end()
    try:
        code = process.wait()
        if mine.ended:
            raise TakenBackError
        return code
    finally:
        mine.end()
        running.pop(job.name, None)


def _result(job: Job, store: Store, clone: Path, worker: str, seconds: float) -> Outcome:
    """Return what goes home of an experiment that has succeeded."""
    ref = experiments.ref(job.baseline, job.name)
    git = Git(clone / job.prefix)
    commit = git.refs().get(ref)
    if commit is None:
        return Outcome(worker, seconds, problem="dvc has ended well, but left no experiment")
    bundle = store.folder / "work" / f"{job.name}.bundle"
    command = ("git", "bundle", "create", "--quiet", str(bundle), ref, f"^{job.baseline}")
    programs.run(command, clone, "cannot pack the experiment")
    try:
        objects = tuple(_objects(git, commit, store))
        kept = times.records(clone / job.prefix)
        return Outcome(worker, seconds, commit, bundle.read_bytes(), objects, times=kept)
    finally:
        bundle.unlink()


def _objects(git: Git, commit: str, store: Store) -> Iterator[str]:
    """Yield the md5s of a commit's outputs and of the files in them, as far as the store has them."""
    tree = Trees(git, lambda path: False).read([commit])[commit]
    outputs = {item for each in tree.stages for item in each.stage.outputs.items()}
    found = dict.fromkeys(md5 for _, md5 in sorted(outputs))
    for path, md5 in sorted(outputs):
        found |= dict.fromkeys((store.cache.entries(path, md5) or {}).values())
    yield from (md5 for md5 in found if store.cache.find(md5))


def tells_of_full_disk(line: str) -> bool:
    """Tell whether a line that a program printed says that a disk is full."""
    return any(os.strerror(each) in line for each in FULL)


def _full(problem: str, store: Store) -> str:
    """Return the line that tells of a full disk, be it that of a stage, "" if there is none."""
    try:
        store.check_room(0)
    except OSError as error:
        problem += f"\n{errors.reason(error)}"
    return next((line for line in problem.split("\n") if tells_of_full_disk(line)), "")


def _end_of(log: Path) -> str:
    """Return the last lines of what was printed, without colours and what a bar wrote over."""
    text = log.read_bytes()[-64_000:].decode(errors="replace")
    lines = [
        line.rpartition("\r")[2].rstrip() for line in _ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    ]
    return "\n".join([line for line in lines if line][-_LINES:])[-_LETTERS:]


def end(name: str) -> None:
    """End an experiment that nobody waits for any more; returns at once."""
    _taken_back.add(name)
    if name in running:
        running[name].end()


def end_all(patience: float, sweep: str | None = None) -> None:
    """End all experiments here, or those of one sweep, and wait for it, at most `patience` seconds."""
    ended = [each for each in list(running.values()) if sweep in (None, each.job.sweep)]
    processes = [each.process for each in ended]
    for each in ended:
        each.end()
    end = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
