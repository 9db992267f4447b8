"""DVC's command line, and the stages that it runs, in forks of one process that has imported what they need.

The tests call it many hundred times. Each call is a process of its own, as from a shell, and so is each
stage, but without the half second that DVC's imports take, and the one or two of a stage's.
"""

import atexit
import contextlib
import gc
import multiprocessing
import os
import re
import runpy
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import dvc
import pytest

# as `prepare` of fashionboard.base.arithmetic, which would start a stage anew where it finds anything else
_SETTLED = ("OPENBLAS_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES")
_FOREIGN = ("KMP_",)  # scikit-learn's, once it was imported
# what stages settle before they import matplotlib
_FIGURES = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
# what stages import; nothing of this project, for each imports the code of its own repository
_IMPORTED = (
    "matplotlib.backends.backend_agg",
    "pydantic",
    "requests",
    "safetensors.torch",
    "tensorboard.plugins.pr_curve.metadata",
    "tensorboard.plugins.projector.projector_config_pb2",
    "tensorboard.summary.writer.record_writer",
    "torch.utils.deterministic",
    "torch.utils.tensorboard._pytorch_graph",
)


def call(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], printed: Path) -> int:
    """Run `dvc` in a folder, without a terminal, and return its exit code.

    printed: the file that takes what it prints to both streams.
    """
    settled = {name: os.environ[name] for name in _SETTLED if name in os.environ}
    process = _server().Process(
        target=_run, args=(list(arguments), str(folder), dict(environment), settled, str(printed))
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
    names = [".".join(each.relative_to(folder.parent).parts) for each in modules]
    context.set_forkserver_preload([*_IMPORTED, *names])
    # in no repository: what works in one is taken for a run of it
    with contextlib.chdir("/"), pytest.MonkeyPatch.context() as patch:
        for name, value in _FIGURES.items():
            patch.setenv(name, value)
        forkserver.ensure_running()
    return context


def _run(
    arguments: list[str], folder: str, environment: dict[str, str], settled: dict[str, str], printed: str
) -> None:
    # a search for garbage would copy each page that has an object of the server's
    gc.freeze()
    for path, mode, numbers in ((os.devnull, os.O_RDONLY, [0]), (printed, os.O_WRONLY, [1, 2])):
        stream = os.open(path, mode)
        for number in numbers:
            os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    _fork_stages(settled)
    sys.argv = [str(Path(sys.executable).with_name("dvc")), *arguments]
    from dvc.cli import main

    code = main(arguments)
    # as at the end of a process that was not forked
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _fork_stages(settled: Mapping[str, str]) -> None:
    """Have DVC fork this process for `sh stages/run <stage>`, where it would start that command."""
    import dvc.stage.run
    from dvc.stage.exceptions import StageCmdFailedError

    start = dvc.stage.run._run

    def run(executable: str | None, command: str, **options: Any) -> None:
        found = re.fullmatch(r"sh stages/run (\w+)", command)
        if not found:
            start(executable, command, **options)
            return
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            environment = {
                name: value for name, value in options["env"].items() if not name.startswith(_FOREIGN)
            }
            os._exit(_stage(found[1], options["cwd"], {**environment, **settled}))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            raise StageCmdFailedError(command, code)

    dvc.stage.run._run = run


def _stage(name: str, folder: str, environment: Mapping[str, str]) -> int:
    """Run a stage as `python -m stages.<name>` does it in a new process, and return its exit code."""
    assert not {"fashionboard", "stages"}.intersection(sys.modules)
    # what DVC has settled
    atexit._clear()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        runpy.run_module(f"stages.{name}", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
