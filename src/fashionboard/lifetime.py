"""How a stage's process ends before its work is done: on a signal, or with the program that runs it."""

import contextlib
import os
import signal
import threading
import time
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
    threading.Thread(target=_watch, args=(_runner(),), daemon=True).start()


def _stop(number: int, _frame: FrameType | None) -> None:
    # no exception: raised within a C extension, such as one that is being imported, it turns into another
    unfinished.remove_all()
    with contextlib.suppress(OSError):
        os.write(2, f"stopped by {signal.Signals(number).name}; `dvc repro` goes on from here\n".encode())
    os._exit(128 + number)


def _runner() -> psutil.Process | None:
    """Return the process to end with, or None if it has died already."""
    above = psutil.Process().parents()
    if "DVC_STAGE" in os.environ:
        # there may be a shell between DVC and a stage
        for process in above:
            if any(word in process.name() for word in ("dvc", "python")):
                return process
    # adopted by the first process: the one that started this is gone
    return above[0] if above and above[0].pid != 1 else None


def _watch(runner: psutil.Process | None) -> None:
    while runner is not None and runner.is_running() and runner.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_POLL)
    os.kill(os.getpid(), signal.SIGTERM)
