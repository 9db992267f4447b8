"""Run a command so that nothing of it is left when this process is to end, or its starter is gone.

    python -m fashionboard.sweep.watched COMMAND ARGUMENT ...

It ends the command when its stdin is closed, which it is however the starting process ends. All that the
command has started goes with it: by SIGTERM, and what is left after two seconds by SIGKILL. Exits as the
command did.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

# seconds for stages to end by themselves, and between two looks
_PATIENCE, _POLL = 2.0, 0.1
# prctl(2): this process becomes the parent of all that its descendants leave behind
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run `command` and return its exit code; 128 + SIGTERM if it was ended."""
    # a session of its own: Ctrl-C in a terminal is for the driver, which ends what it has started
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while process.poll() is None:
        if select.select([0], [], [], _POLL)[0]:
            _end_all()
            process.wait()
            return 128 + signal.SIGTERM
    _end_all()
    return process.returncode


def _end_all() -> None:
    """End every process that has this one for an ancestor."""
    end = time.monotonic() + _PATIENCE
    for each in _descendants():
        with contextlib.suppress(psutil.Error):
            each.terminate()
    while left := _descendants():
        if time.monotonic() > end:
            for each in left:
                with contextlib.suppress(psutil.Error):
                    each.kill()
        time.sleep(_POLL)


def _descendants() -> list[psutil.Process]:
    """Return what is alive; what has ended is forgotten, since nobody else waits for it."""
    found = psutil.Process().children(recursive=True)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return list(filter(_lives, found))


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
