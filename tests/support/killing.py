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

from tests.support.repository import Repository

STAGES = ("download", "visualize", "embed", "train", "evaluate")
# who is sent what: the stage alone, dvc alone, or both, as by Ctrl-C
ATTACKS = (
    ("stage", signal.SIGKILL),
    ("dvc", signal.SIGKILL),
    ("dvc", signal.SIGTERM),
    ("group", signal.SIGINT),
    ("group", signal.SIGHUP),
)
# DVC's own commands, at any moment of which DVC is killed: with nothing to do, between stages, experiments
COMMANDS = {
    "idle": ["dvc", "repro"],
    "stages": ["dvc", "repro", "--force", "embed"],
    "experiment": ["dvc", "exp", "run", "--set-param"],
    "temporary": ["dvc", "exp", "run", "--temp", "--set-param"],
}
DVC_ATTACKS = (
    ("dvc", signal.SIGKILL),
    ("dvc", signal.SIGTERM),
    ("group", signal.SIGHUP),
    ("group", signal.SIGKILL),
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
        target, kind = ATTACKS[(number + number // len(STAGES)) % len(ATTACKS)]
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


@dataclass(frozen=True)
class DvcAttack:
    command: str  # one of COMMANDS
    target: str
    signal: signal.Signals
    delay: float  # seconds after DVC's process has begun

    @classmethod
    def draw(cls, number: int, seconds: dict[str, float]) -> "DvcAttack":
        """Return attack `number`: commands and signals in turn, the moment at random."""
        command = list(COMMANDS)[number % len(COMMANDS)]
        target, kind = DVC_ATTACKS[(number + number // len(COMMANDS)) % len(DVC_ATTACKS)]
        return cls(command, target, kind, random.Random(number).uniform(0, seconds[command]))


def arguments(command: str, number: int) -> list[str]:
    """Return one of COMMANDS; an experiment has a parameter of its own, else the run cache would bring it."""
    own = [f"embed.points={20 + number}"] if "exp" in COMMANDS[command] else []
    return [*COMMANDS[command], *own]


def measure_dvc(repository: Repository) -> dict[str, float]:
    """Return how many seconds each of COMMANDS takes."""
    found = {}
    for number, command in enumerate(COMMANDS):
        start = time.monotonic()
        with _started(repository, arguments(command, -10 + number)) as dvc:
            assert dvc.wait() == 0, _log(repository).read_text()
        found[command] = time.monotonic() - start
    return found


def strike_dvc(repository: Repository, attack: DvcAttack, number: int) -> str:
    """Run a command of DVC, attack it at its moment, wait until all is over, and return what was printed.

    Raises:
        AssertionError: a process is left behind.
    """
    with _started(repository, arguments(attack.command, number)) as dvc:
        time.sleep(attack.delay)
        if dvc.poll() is None:
            if attack.target == "group":
                os.killpg(dvc.pid, attack.signal)
            else:
                dvc.send_signal(attack.signal)
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
    """Run one stage anew; yield DVC's process and the stage's."""
    with _started(repository, ["dvc", "repro", "--force", "--single-item", stage]) as dvc:
        while not (children := psutil.Process(dvc.pid).children()):
            assert dvc.poll() is None, _log(repository).read_text()
            time.sleep(0.005)
        yield dvc, children[0]


@contextlib.contextmanager
def _started(repository: Repository, command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a command in a session of its own; yield its process; kill what is left of the session."""
    with _log(repository).open("wb") as output:
        dvc = subprocess.Popen(
            command,
            cwd=repository.path,
            env={**repository.environment(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield dvc
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
