"""How a command ends on a signal: by SystemExit, so that what was started and written on the way goes, too.

Python ignores exceptions in some places: in hooks around a fork, in finalizers, in callbacks of an import.
What is lost there is raised again a moment later; around a fork it waits, since `logging` may hold its lock.
"""

import atexit
import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

# seconds until a signal's exception is raised that could not be, or was lost
_LATER = 0.02
# the numbers of the signals
told: list[int] = []
_held_back: list[bool] = []


class _Stopped(SystemExit):
    """A signal came."""


def on_signals() -> None:
    """Have SIGINT, SIGTERM and SIGHUP raise SystemExit(128 + the signal's number) in the main thread."""
    for number in {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        # `nohup` and a shell's background have it ignored
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: _stop(received))
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda _, __: _stop(told[-1]))
        # a process that ends anyway has no handler any more
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        sys.unraisablehook = functools.partial(_ignored, sys.unraisablehook)


def check() -> None:
    """Raise SystemExit if a signal came: its own may be lost, become another exception, or still come."""
    if told:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        raise _Stopped(128 + told[0])


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let signals wait while the main thread starts a process; another thread gets none anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _held_back.append(True)
    try:
        yield
    finally:
        _held_back.clear()


def _stop(number: int) -> None:
    told.append(number)
    if _held_back:
        signal.setitimer(signal.ITIMER_REAL, _LATER)
    else:
        raise _Stopped(128 + number)


def _ignored(otherwise: Callable[[Any], object], found: Any) -> None:
    """Take note of an exception that Python ignores."""
    if found.exc_type is _Stopped:
        signal.setitimer(signal.ITIMER_REAL, _LATER)
    else:
        otherwise(found)
