"""How a stage's process ends before its work is done: on a signal, or with the program that runs it."""

import atexit
import contextlib
import functools
import os
import select
import signal
from pathlib import Path
from types import FrameType

import psutil

from fashionboard.base import unfinished

# seconds between two looks, and for a process to end by itself
_POLL, _PATIENCE = 0.5, 1.0
_AGAIN = (
    "the same command runs this stage again: train goes on after its last report, "
    "download keeps the files that it has verified, others start anew"
)


def guard() -> None:
    """End this process on SIGINT, SIGTERM or SIGHUP, and when the program that runs it has died.

    DVC does not take its stages with it when it is killed, and a stage left behind would write
    into the outputs of the next run. Ending means that what is half written is removed, one line
    on stderr, and the exit code 128 + the signal's number. A SIGHUP that is ignored, as by `nohup`, stays so.
    """
    # started by hand, a stage may well outlive its shell; Windows has no fork
    if "DVC_STAGE" in os.environ and hasattr(os, "fork"):
        _start_watchdog()
    stop = functools.partial(_stop, _own_stderr())
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    # a terminal that is closed; Windows has none
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
    # stages/run has held it back until here
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _own_stderr() -> int | None:
    """Return a file descriptor of stderr that stays when stderr is turned elsewhere for a while."""
    with contextlib.suppress(OSError):
        return os.dup(2)
    return None


def _stop(stderr: int | None, number: int, _frame: FrameType | None) -> None:
    # no exception: raised within a C extension, such as one that is being imported, it turns into another
    unfinished.remove_all()
    with contextlib.suppress(OSError):
        if stderr is not None:
            os.write(stderr, f"stopped by {signal.Signals(number).name}; {_AGAIN}\n".encode())
    os._exit(128 + number)


def _runner() -> psutil.Process | None:
    """Return the process that runs DVC, or None if it has died already and another adopted this one."""
    shells = {"sh", "bash", "dash", "zsh", "ksh", "fish", Path(os.environ.get("SHELL", "sh")).name}
    for process in psutil.Process().parents():
        # DVC starts a stage through a shell, which may or may not stay
        if process.name() not in shells:
            return process if _is_python(process) else None
    return None


def _is_python(process: psutil.Process) -> bool:
    """Say whether a process can be one that runs DVC, a Python program also where it is called otherwise."""
    try:
        program = Path(process.exe()).name
    except psutil.Error:
        program = ""
    return any(word in f"{process.name()} {program}".lower() for word in ("python", "dvc"))


def _start_watchdog() -> None:
    """Have a process of its own watch: this one may hold the GIL for seconds, as while it imports torch."""
    stage, runner = psutil.Process(), _runner()
    # nothing is ever written: the pipe is closed when this process ends, however it does
    reading, writing = os.pipe()
    if watchdog := os.fork():
        os.close(reading)
        atexit.register(_end, watchdog)
        return
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writing)
        _watch(stage, runner, reading)
    finally:
        os._exit(0)


def _end(watchdog: int) -> None:
    os.kill(watchdog, signal.SIGKILL)
    os.waitpid(watchdog, 0)


def _watch(stage: psutil.Process, runner: psutil.Process | None, ended: int) -> None:
    """End `stage` when its shell or the process that runs DVC dies; return once `ended` is readable."""
    shell = stage.ppid()
    while runner is not None and _lives(runner) and stage.ppid() == shell:
        if select.select([ended], [], [], _POLL)[0]:
            return
    with contextlib.suppress(psutil.NoSuchProcess):
        stage.terminate()
        if not select.select([ended], [], [], _PATIENCE)[0]:
            stage.kill()


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
