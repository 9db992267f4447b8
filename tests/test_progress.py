import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

_CONFTEST = """
import pytest
from tests.support.progress import Progress

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config.pluginmanager.get_plugin("terminalreporter")))
"""
_TESTS = """
def test_one(): pass
def test_two(): assert False
def test_three(): pass
"""


@pytest.mark.parametrize("workers", [[], pytest.param(["--numprocesses", "1"], marks=pytest.mark.slow)])
def test_a_terminal_is_told_what_runs_and_what_has_failed(
    tmp_path: Path, root: Path, workers: list[str]
) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_TESTS)
    here, there = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "80"}
    command = [sys.executable, "-m", "pytest", *workers]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=there, stderr=there, check=False, timeout=60
    )
    os.close(there)
    printed = os.read(here, 100_000).decode()
    os.close(here)
    assert done.returncode == 1
    assert "\r0 of 3 tests, 0:0" in printed and "  test_it.py::test_one" in printed
    assert "\r2 of 3 tests, 1 failed, 0:0" in printed and "  test_it.py::test_three" in printed
    assert "FAILED test_it.py::test_two\r\n" in printed.replace("\x1b[31m", "").replace("\x1b[0m", "")
