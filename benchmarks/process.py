"""Processes run and measured."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """What a process took: wall time in seconds, peak memory in bytes of it or of a child, and its stdout."""

    seconds: float
    memory: int
    output: str


def run(command: Sequence[str], folder: Path, settings: Mapping[str, str] | None = None) -> Ran:
    """Run `command` in `folder` and measure it; settings: environment variables on top of this process's.

    Raises:
        SystemExit: it failed; what it printed is in the message.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(settings or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    output = process.stdout.read()
    # wait4, not wait: it tells the memory of this process and its children alone
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"error: `{' '.join(command)}` exited with {process.returncode}:\n{output}")
    return Ran(seconds, usage.ru_maxrss * 1024, output)
