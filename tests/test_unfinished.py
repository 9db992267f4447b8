import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fashionboard import unfinished


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


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_process_removes_what_is_half_written_and_says_so(
    tmp_path: Path, kind: signal.Signals
) -> None:
    program = f"""
import pathlib, time
from fashionboard import lifetime, outputs
from fashionboard.events import EventWriter
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
        cwd=Path(__file__).parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    process.send_signal(kind)
    _, printed = process.communicate(timeout=5)
    assert process.returncode == 128 + kind
    assert printed == f"stopped by {kind.name}; the same command goes on from here\n"
    assert [path.name for path in tmp_path.iterdir()] == ["whole.json"]
