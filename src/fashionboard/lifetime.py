"""How a stage's process ends before its work is done: on a signal, or with the program that runs it."""

import os
import signal
import sys
import threading
import time
from types import FrameType

import psutil

_POLL = 0.5  # seconds
_GRACE = 1.0  # seconds for removing what is half written


def guard() -> None:
    """End this process cleanly on SIGINT or SIGTERM, and when the program that runs it has died.

    DVC does not take its stages with it when it is killed, and a stage left behind would write
    into the outputs of the next run. Ending means one line on stderr, then SystemExit with
    128 + the signal's number, so that context managers remove what is half written.
    """
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch, args=(_runner(),), daemon=True).start()


def _stop(number: int, _frame: FrameType | None) -> None:
    # cleaning up must not be interrupted in its turn
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # an exception can get lost, in a callback from C for one
    last_resort = threading.Timer(_GRACE, os._exit, [128 + number])
    last_resort.daemon = True
    last_resort.start()
    print(
        f"stopped by {signal.Signals(number).name}; `dvc repro` goes on from here",
        file=sys.stderr,
        flush=True,
    )
    raise SystemExit(128 + number)


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
