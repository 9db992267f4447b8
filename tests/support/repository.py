"""A real, throw-away git and DVC repository that holds a copy of this project's pipeline."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from fashionboard.base import arithmetic
from tests.support import forks

_PARTS = (
    "src",
    "stages",
    "dvc.yaml",
    "params.yaml",
    ".dvc/config",
    ".dvc/plots",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "data/README.md",
    "models/README.md",
)
# 100 batches: three whole intervals and a partial one
_TINY = {
    "data.dataset": "drawn",
    "data.drawn.train_images": 400,
    "data.drawn.test_images": 100,
    "train.log_every": 30,
}


@dataclass(frozen=True)
class Repository:
    path: Path

    @classmethod
    def create(cls, path: Path, project: Path) -> "Repository":
        """Copy the pipeline of `project`, make it tiny, and commit."""
        for part in _PARTS:
            (path / part).parent.mkdir(parents=True, exist_ok=True)
            if (project / part).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(project / part, path / part, ignore=ignored)
            else:
                shutil.copy(project / part, path / part)
        repository = cls(path)
        repository.set(_TINY)
        repository.git("init", "-q", "-b", "main")
        repository.git("config", "user.name", "Test")
        repository.git("config", "user.email", "test@localhost")
        repository.git("add", "-A")
        repository.git("commit", "-q", "-m", "pipeline")
        return repository

    @staticmethod
    def environment() -> dict[str, str]:
        """Return a person's environment with this interpreter's folder first on PATH."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**without_settings(os.environ), "PATH": path}

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository, without a terminal, and return what it printed to both streams."""
        if command[0] == "dvc" and not environment:
            return self._fork(*command, check=check)
        done = subprocess.run(
            command,
            cwd=self.path,
            env={**self.environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{' '.join(command)}:\n{done.stdout}"
        return done

    def _fork(self, *command: str, check: bool) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile() as printed:
            code = forks.call(command[1:], self.path, self.environment(), Path(printed.name))
            said = Path(printed.name).read_text()
        assert code == 0 or not check, f"{' '.join(command)}:\n{said}"
        return subprocess.CompletedProcess(command, code, said)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments).stdout

    def dvc(self, *arguments: str, check: bool = True, **environment: str) -> str:
        return self.run("dvc", *arguments, check=check, **environment).stdout

    def begin(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        """Start a command that runs stages, and return when the first of them has begun."""
        process = subprocess.Popen(
            command,
            cwd=self.path,
            env={**self.environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("> "):
            assert line, f"`{' '.join(command)}` has ended before a stage began"
        return process

    def start_queue(self, jobs: int) -> None:
        """Start DVC's queue; its workers would keep a pipe open, so what it prints is not returned."""
        command = ["dvc", "queue", "start", "-j", str(jobs)]
        subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def set(self, values: dict[str, Any]) -> None:
        """Change values in params.yaml, named as `train.lr`.

        The file's time rises by seconds: git takes a file of the same size and second for the same one, once
        DVC has written git's index (`core.autostage`).
        """
        path = self.path / "params.yaml"
        before = path.stat().st_mtime
        params = yaml.safe_load(path.read_text())
        for key, value in values.items():
            *sections, name = key.split(".")
            section = params
            for each in sections:
                section = section[each]
            section[name] = value
        path.write_text(yaml.safe_dump(params))
        later = max(path.stat().st_mtime, before + 2)
        os.utime(path, (later, later))

    def clone(self, path: Path, cache: Literal["same", "copy", "none"] = "same") -> "Repository":
        """Clone what is committed, with the same cache, a copy of it, or none."""
        self.run("git", "clone", "-q", str(self.path), str(path))
        copy = Repository(path)
        copy.git("config", "user.name", "Test")
        copy.git("config", "user.email", "test@localhost")
        if cache == "copy":
            shutil.copytree(self.path / ".dvc" / "cache", path / ".dvc" / "cache")
        elif cache == "same":
            copy.dvc("cache", "dir", "--local", str(self.path / ".dvc" / "cache"))
        return copy


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what tests/conftest.py has settled: a program that is tested does it."""
    settled = {*arithmetic.NUMPY, *arithmetic.TORCH}
    return {name: value for name, value in environment.items() if name not in settled}


def stages_run(output: str) -> list[str]:
    """Name the stages whose command DVC started, in order, from what it printed."""
    return re.findall(r"^Running stage '(\w+)'", output, re.MULTILINE)
