"""Nothing is left of a command whose starter tells it to end, or is gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.servers import eventually

# a child that ignores SIGTERM, in a session of its own, whose parent ends at once
_STUBBORN = """
import os, signal, sys, time
if os.fork():
    time.sleep(600)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A watched command, and the number of the process that it left behind."""
    told = tmp_path / "pid"
    command = [
        sys.executable,
        "-P",
        "-m",
        "fashionboard.sweep.watched",
        sys.executable,
        "-c",
        _STUBBORN,
        str(told),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        eventually(lambda: told.exists() and told.read_text().isdigit(), True)
        yield process, int(told.read_text())
        process.kill()


def test_what_ignores_sigterm_in_another_session_ends_with_stdin(
    started: tuple["subprocess.Popen[bytes]", int],
) -> None:
    process, number = started
    assert psutil.pid_exists(number)
    assert process.stdin
    process.stdin.close()
    began = time.monotonic()
    assert process.wait(5) == 128 + signal.SIGTERM
    # two seconds to end by itself
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(number)


def test_a_killed_starter_takes_it_along(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    starter = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-P', '-m', 'fashionboard.sweep.watched', sys.executable, '-c', "
        "sys.argv[1], sys.argv[2]], stdin=subprocess.PIPE)\n"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter, _STUBBORN, str(told)])
    eventually(lambda: told.exists() and told.read_text().isdigit(), True)
    number = int(told.read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    eventually(lambda: psutil.pid_exists(number), False, seconds=5)


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = f"sh -c 'sleep 600 & echo $! > {told}'; exit 7"
    command = [sys.executable, "-P", "-m", "fashionboard.sweep.watched", "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(10) == 7
    assert not psutil.pid_exists(int(told.read_text()))
