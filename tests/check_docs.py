"""Every command of README and docs/ runs as written, page by page; not collected by `make test-all`.

On a small drawn data set, so that each takes seconds.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support import folders, shapes, ssh
from tests.support.repository import Repository
from tests.test_docs import commands

_VENV = Path(sys.prefix)
_PAGES = [
    "README.md",
    "docs/experiments.md",
    "docs/tensorboard.md",
    "docs/board.md",
    "docs/sweeps.md",
    "docs/data.md",
    "docs/predict.md",
    "docs/reproducibility.md",
    "docs/offline.md",
    "docs/teams.md",
    "docs/pictures.md",
    "CONTRIBUTING.md",
]
# tests/test_killed.py and tests/test_restore*.py follow the page on trouble; the others have no commands
_ELSEWHERE = {"docs/trouble.md", "docs/trust.md", "docs/layout.md", "docs/tutorial.md"}
# the first runs this; of the second's minutes of training, one pass is enough here; tests/test_setup.py and
# tests/test_extras.py install, which would change the environment that is borrowed here
_INSTEAD = {
    "make test": "true",
    "make setup TORCH_INDEX=URL": "true",
    "pip install .": "true",
    "make best": "scripts/best 0 1 data.dataset=drawn",
    "ssh:gpu1,gpu2*2": "ssh:team*2",
    "'~/fashionboard/.venv/bin/python'": sys.executable,
}
_SERVES = re.compile(r"^(make (board|tensorboard)|fashionboard board\b)")


class Reader:
    """Somebody who types a page's commands in a clone of their own, in one shell after another."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.home = folder
        self._printed = folder / "printed"
        self.clone = Repository(folder / "fashionboard")
        tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=root, text=True).split("\0")
        for name in filter(None, tracked):
            if (root / name).is_file() and not name.startswith("tests/"):
                (self.clone.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, self.clone.path / name)
        _borrow_environment(self.clone.path / ".venv")
        self.clone.git("init", "-q", "-b", "main")
        for setting in ("user.name", "user.email"):
            self.clone.git("config", setting, "reader@localhost")
        small = {"data.dataset": "drawn", "data.drawn.train_images": 400, "data.drawn.test_images": 100}
        # the reader has few photographs
        self.clone.set({**small, "train.log_every": 30, "embed.points": 10})
        self.clone.git("add", "-A")
        self.clone.git("commit", "-qm", "a small data set")
        self.type("dvc repro")
        self.clone.git("commit", "-qam", "run")

    def type(self, line: str) -> str:
        """Run a line in a shell and return what it printed; what serves is left by Ctrl-C."""
        with self._printed.open("w") as printed:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", line],
                cwd=self.clone.path,
                env={**self.environment(), "HOME": str(self.home), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if _SERVES.match(line):
            self._wait_until_served(process)
            os.killpg(process.pid, signal.SIGINT)
        code = process.wait(300)
        said = self._printed.read_text()
        # what a shell says of Ctrl-C, for `make` and for the command itself
        assert code in ((0, 2, 130, -2) if _SERVES.match(line) else (0,)), f"{line}\n{said}"
        assert "Traceback" not in said, f"{line}\n{said}"
        return said

    def environment(self) -> dict[str, str]:
        """A person's, with this clone's code first."""
        own = f"{self.clone.path}/.venv/bin{os.pathsep}{self.home}/bin"
        path = f"{own}{os.pathsep}{os.environ['PATH']}"
        return {**Repository.environment(), "PATH": path, "PYTHONPATH": str(self.clone.path / "src")}

    def _wait_until_served(self, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + 60
        while "http://" not in self._printed.read_text():
            assert process.poll() is None and time.monotonic() < end, self._printed.read_text()
            time.sleep(0.2)
        time.sleep(1)


def _borrow_environment(venv: Path) -> None:
    """Make `venv` one that is set up, with the packages of the one that runs the tests."""
    venv.mkdir(parents=True)
    for each in _VENV.iterdir():
        # the index that torch came from is part of what is set up
        if not each.name.startswith(".") or each.name == ".torch-index":
            (venv / each.name).symlink_to(each)
    for mark in (".installed", ".ready"):
        (venv / mark).touch()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh.Server]:
    if ssh.SSHD is None:
        pytest.skip("no OpenSSH server: apt-get install openssh-server")
    server = ssh.Server(tmp_path_factory.mktemp("ssh") / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, root: Path, server: ssh.Server) -> Reader:
    """A reader with all that the pages take for granted: a picture, files, a server, an experiment."""
    reader = Reader(tmp_path_factory.mktemp("reader"), root)
    shutil.copytree(server.home / ".ssh", reader.home / ".ssh")
    ssh.program(reader.home / "bin", server)
    folders.write(reader.clone.path / "letters", ["a", "b", "c"], each=100)
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste("black", (20, 10, 50, 60))
    picture.save(reader.clone.path / "boot.jpg")
    reader.clone.git("clone", "-q", "--bare", ".", str(reader.home / "origin.git"))
    reader.clone.git("remote", "add", "origin", str(reader.home / "origin.git"))
    reader.clone.git("push", "-qu", "origin", "main")
    reader.clone.git("tag", "v1")
    reader.type("dvc exp run -q -n lr-0.01 -S train.lr=0.01")
    reader.type("fashionboard restore")
    return reader


def test_every_page_is_read_here_or_elsewhere(root: Path) -> None:
    found = {
        path.relative_to(root).as_posix() for path in [root / "CONTRIBUTING.md", *root.glob("docs/*.md")]
    }
    assert found == {*_PAGES, *_ELSEWHERE} - {"README.md"}


@pytest.mark.parametrize("page", _PAGES)
def test_every_command_of_a_page_runs_as_written(
    reader: Reader, server: ssh.Server, root: Path, page: str
) -> None:
    text = "\n".join(commands((root / page).read_text(encoding="utf-8"))).replace("\\\n", "")
    text = text.replace("ssh://server/srv", f"ssh://team{server.folder}")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    # the page before may have left an experiment in the workspace, and pictures given to DVC: without their
    # .dvc file, DVC takes them away at the next checkout
    reader.type("fashionboard restore && rm -f flowers.dvc")
    shapes.write(reader.clone.path / "flowers", ["daisy", "rose", "tulip"], each=6)
    for line in lines:
        for written, instead in _INSTEAD.items():
            line = line.replace(written, instead)
        reader.type(line)
