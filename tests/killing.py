"""Kill a running pipeline at a moment of one's choice, and see what is left of it."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.repository import Repository

STAGES = ("download", "visualize", "embed", "train", "evaluate")
# who is sent what: the stage alone, dvc alone, or both, as by Ctrl-C
ATTACKS = (
    ("stage", signal.SIGKILL),
    ("dvc", signal.SIGKILL),
    ("dvc", signal.SIGTERM),
    ("group", signal.SIGINT),
)
GRACE = 3.0  # seconds: two that are promised, one for a busy machine


@dataclass(frozen=True)
class Attack:
    stage: str
    target: str
    signal: signal.Signals
    delay: float  # seconds after the stage's process has begun

    @classmethod
    def draw(cls, number: int, seconds: dict[str, float]) -> "Attack":
        """Return attack `number`: stages and signals in turn, the moment at random.

        seconds: how long each stage's process lives, measured on this machine.
        """
        stage = STAGES[number % len(STAGES)]
        target, kind = ATTACKS[number // len(STAGES) % len(ATTACKS)]
        return cls(stage, target, kind, random.Random(number).uniform(0, seconds[stage]))


def measure(repository: Repository) -> dict[str, float]:
    """Return how many seconds each stage's process lives."""
    found = {}
    for stage in STAGES:
        with _running(repository, stage) as (dvc, process):
            start = time.monotonic()
            process.wait()
            found[stage] = time.monotonic() - start
            dvc.wait()
    return found


def strike(repository: Repository, attack: Attack, ready: Callable[[], bool] = lambda: True) -> str:
    """Run one stage anew, attack it, wait until all is over, and return what was printed.

    The attack comes while the stage's process lives: killed later, while it writes dvc.lock, DVC
    leaves half of that file. An attack whose moment never comes is no attack, and nothing is sent.

    ready: what to wait for before the attack's delay begins.

    Raises:
        AssertionError: a process is left behind.
    """
    with _running(repository, attack.stage) as (dvc, process):
        while not ready() and process.is_running():
            time.sleep(0.01)
        time.sleep(attack.delay)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            _send(dvc, process, attack)
        dvc.wait(30)
        left = _left_behind(dvc.pid)
        assert left == [], f"{attack}: left behind {left}"
    return _log(repository).read_text()


def _log(repository: Repository) -> Path:
    return repository.path.parent / "killed.log"


@contextlib.contextmanager
def _running(
    repository: Repository, stage: str
) -> Iterator[tuple["subprocess.Popen[bytes]", psutil.Process]]:
    """Run one stage anew in a session of its own; yield DVC's process and the stage's; kill what is left."""
    with _log(repository).open("wb") as output:
        dvc = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", stage],
            cwd=repository.path,
            env={**repository.environment(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not (children := psutil.Process(dvc.pid).children()):
            assert dvc.poll() is None, _log(repository).read_text()
            time.sleep(0.005)
        yield dvc, children[0]
    finally:
        for process in psutil.process_iter():
            if _lives_in(process, dvc.pid):
                process.kill()
        dvc.wait()


def _send(dvc: "subprocess.Popen[bytes]", process: psutil.Process, attack: Attack) -> None:
    if attack.target == "group":
        os.killpg(dvc.pid, attack.signal)
    elif attack.target == "dvc":
        dvc.send_signal(attack.signal)
    else:
        process.send_signal(attack.signal)


def _left_behind(session: int) -> list[psutil.Process]:
    """Return the processes of a session that still live after the time of grace."""
    end = time.monotonic() + GRACE
    while found := [process for process in psutil.process_iter() if _lives_in(process, session)]:
        if time.monotonic() > end:
            return found
        time.sleep(0.05)
    return []


def _lives_in(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
        return False
