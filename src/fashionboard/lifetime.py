"""How a stage's process ends before its work is done: on a signal, or with the program that runs it."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

import psutil

from fashionboard import unfinished

_POLL = 0.5  # seconds


def guard() -> None:
    """End this process on SIGINT or SIGTERM, and when the program that runs it has died.

    DVC does not take its stages with it when it is killed, and a stage left behind would write
    into the outputs of the next run. Ending means that what is half written is removed, one line
    on stderr, and the exit code 128 + the signal's number.
    """
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # started by hand, a stage may well outlive its shell
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_watch, args=(_runner(),), daemon=True).start()


def _stop(number: int, _frame: FrameType | None) -> None:
    # no exception: raised within a C extension, such as one that is being imported, it turns into another
    unfinished.remove_all()
    with contextlib.suppress(OSError):
        os.write(
            2, f"stopped by {signal.Signals(number).name}; the same command goes on from here\n".encode()
        )
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


def _watch(runner: psutil.Process | None) -> None:
    while runner is not None and runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_POLL)
    os.kill(os.getpid(), signal.SIGTERM)
