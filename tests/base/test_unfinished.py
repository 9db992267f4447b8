import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fashionboard.base import unfinished


def test_what_is_written_stays(tmp_path: Path) -> None:
    with unfinished.writing(tmp_path / "file"):
        (tmp_path / "file").touch()
    unfinished.remove_all()
    assert (tmp_path / "file").exists()


def test_what_fails_is_removed(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        with unfinished.writing(path):
            (path / "inner").mkdir(parents=True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_process_removes_what_is_half_written_and_says_so(
    tmp_path: Path, kind: signal.Signals
) -> None:
    program = f"""
import pathlib, time
from fashionboard.base import lifetime, outputs
from fashionboard.events.writer import EventWriter
lifetime.guard()
with EventWriter(pathlib.Path(r"{tmp_path}"), "0123456789abcdef") as events:
    outputs.write_json(pathlib.Path(r"{tmp_path}") / "whole.json", {{}})
    print("writing", flush=True)
    time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": "src"}
    environment.pop("DVC_STAGE", None)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    process.send_signal(kind)
    _, printed = process.communicate(timeout=5)
    assert process.returncode == 128 + kind
    assert printed == (
        f"stopped by {kind.name}; the same command runs this stage again: train goes on after its last "
        "report, download keeps the files that it has verified, others start anew\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["whole.json"]


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["runner", "shell"])
@pytest.mark.parametrize(
    "busy", ["time.sleep(60)", "ctypes.PyDLL(None).sleep(60)"], ids=["idle", "holding the GIL"]
)
def test_a_stage_ends_with_its_shell_and_with_the_program_that_runs_dvc(
    root: Path, tmp_path: Path, victim: str, busy: str
) -> None:
    stage = f"""
import ctypes, os, time
from fashionboard.base import lifetime
lifetime.guard()
print(os.getppid(), os.getpid(), flush=True)
{busy}
"""
    (tmp_path / "stage.py").write_text(stage)
    # not the last command, so that no shell gives its place to Python
    command = f"'{sys.executable}' '{tmp_path / 'stage.py'}'; true"
    runner = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.call(sys.argv[1], shell=True)", command],
        env={**os.environ, "PYTHONPATH": str(root / "src"), "DVC_STAGE": "train"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert runner.stdout is not None
    shell, process = (psutil.Process(int(word)) for word in runner.stdout.readline().split())
    left = [process, *process.children()]
    assert len(left) == 2
    (runner if victim == "runner" else shell).kill()
    # `dvc` is waited for elsewhere: three seconds for what it started
    _, alive = psutil.wait_procs(left, timeout=3)
    for one in (shell, *alive):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    runner.communicate()
    assert alive == []


def test_an_ended_stage_leaves_no_watchdog(root: Path, tmp_path: Path) -> None:
    program = """
import psutil
from fashionboard.base import lifetime
lifetime.guard()
print(psutil.Process().children()[0].pid)
"""
    watchdog = subprocess.check_output(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(root / "src"), "DVC_STAGE": "train"},
        text=True,
    )
    assert not psutil.pid_exists(int(watchdog))
