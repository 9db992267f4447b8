"""DVC's command line in forks of one process that has imported DVC.

The tests call it many hundred times. Each call is a process of its own, as from a shell, but without the half
second that DVC's imports take.
"""

import atexit
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import dvc


def call(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path) -> int:
    """Run `dvc` in a folder, without a terminal, and return its exit code.

    printed: the file that takes what it prints to both streams.
    """
    process = _server().Process(
        target=_run, args=(list(arguments), str(folder), dict(environment), str(printed))
    )
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    folder = Path(dvc.__path__[0])
    paths = [path for name in ("cli", "commands", "repo", "stage") for path in (folder / name).rglob("*.py")]
    modules = [path.parent if path.stem == "__init__" else path.with_suffix("") for path in sorted(paths)]
    context.set_forkserver_preload([".".join(each.relative_to(folder.parent).parts) for each in modules])
    # in no repository: what works in one is taken for a run of it
    with contextlib.chdir("/"):
        forkserver.ensure_running()
    return context


def _run(arguments: list[str], folder: str, environment: dict[str, str], printed: str) -> None:
    for path, mode, numbers in ((os.devnull, os.O_RDONLY, [0]), (printed, os.O_WRONLY, [1, 2])):
        stream = os.open(path, mode)
        for number in numbers:
            os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [str(Path(sys.executable).with_name("dvc")), *arguments]
    from dvc.cli import main

    code = main(arguments)
    # as at the end of a process that was not forked
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
