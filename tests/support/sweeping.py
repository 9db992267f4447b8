"""Calls of `fashionboard sweep` as a person makes them, and what they leave."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from tests.support.repository import Repository


def _command(given: tuple[str, ...], on: str, options: tuple[str, ...]) -> list[str]:
    return ["fashionboard", "sweep", *(f"-S{each}" for each in given), "--on", on, *options]


def sweep(
    repository: Repository,
    *given: str,
    check: bool = True,
    on: str = "local*2",
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> "subprocess.CompletedProcess[str]":
    """Call it and return what it printed to both streams; given: what stands behind each `-S`."""
    return repository.run(*_command(given, on, options), check=check, **environment)


@contextlib.contextmanager
def begun(
    repository: Repository,
    *given: str,
    on: str = "local*2",
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator["subprocess.Popen[str]"]:
    """Yield a sweep that runs; it is killed at the end, and after five minutes: no test waits for ever."""
    found = {**repository.environment(), **environment}
    found["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found['PATH']}"
    with subprocess.Popen(
        _command(given, on, options),
        cwd=repository.path,
        env=found,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(300, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def trees(repository: Repository) -> dict[str, str]:
    """Return the tree of each experiment by name."""
    listed = repository.git("for-each-ref", "--format=%(refname:lstrip=4) %(tree)", "refs/exps")
    return dict(line.split() for line in listed.splitlines() if len(line.split()) == 2)


def at_work(folder: Path) -> list[str]:
    """Return the commands that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            inside = Path(process.cwd()).is_relative_to(folder)
        except psutil.Error:
            continue
        if inside and process.pid != os.getpid():
            found.append(" ".join(words))
    return found
