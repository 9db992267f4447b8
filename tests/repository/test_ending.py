"""How a command ends on a signal, also where Python ignores the exception that it raises."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# argv: which call of a function of `logging` meets the signal; around a fork there are two
_AT_A_FORK = """
import logging, os, signal, sys, threading
from pathlib import Path
from fashionboard.repository import ending, programs

left = int(sys.argv[1])

def profile(frame, event, _):
    global left
    if event == "call" and frame.f_code.co_filename == logging.__file__:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGINT)

ending.on_signals()
sys.setprofile(profile)
try:
    programs.run(["sleep", "60"], Path(), "no sleep")
except SystemExit as end:
    sys.setprofile(None)
    other = threading.Thread(target=logging.getLogger, args=("other",), daemon=True)
    other.start()
    other.join(10)
    print(end.code, "held" if other.is_alive() else "free")
"""
_IN_A_FINALIZER = """
import os, signal, time
from fashionboard.repository import ending

class Ends:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

ending.on_signals()
Ends()
time.sleep(60)
"""


_AT_THE_END = """
import os, signal, threading, time
from fashionboard.repository import ending

def send():
    # the main thread waits for this one
    threading.main_thread().join()
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)

class Slow:
    def __init__(self):
        # collected when handlers are gone
        self.cycle = self
    def __del__(self):
        time.sleep(0.2)

Slow()
ending.on_signals()
threading.Thread(target=send).start()
"""
# a module in the place of one that `fashionboard sweep` imports
_IN_A_CLASS = """
import os, signal

class Named:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)

class Owner:
    named = Named()
"""


def ended(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that would take a minute if it missed its signal."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)


@pytest.mark.parametrize("call", ["1", "2"])
def test_a_signal_at_a_fork_is_not_lost_and_leaves_no_lock(call: str) -> None:
    done = ended(_AT_A_FORK, call)
    assert (done.stdout, done.stderr) == (f"{128 + signal.SIGINT} free\n", "")


def test_a_signal_in_a_finalizer_is_not_lost() -> None:
    done = ended(_IN_A_FINALIZER)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


def test_a_signal_at_the_end_changes_nothing() -> None:
    done = ended(_AT_THE_END)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_exception_made_of_a_signals_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "dask.py").write_text(_IN_A_CLASS)
    command = [str(Path(sys.executable).parent / "fashionboard"), "sweep", "-S", "train.lr=1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
