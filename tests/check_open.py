"""A board that stays open while everything happens to its repository shows in the end what a new one shows.

Takes as many seconds as SECONDS says, so not collected by `make test-all`.
"""

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain import fixed
from tests.support.repository import Repository
from tests.support.servers import Served, board, eventually, get, rows

_SECONDS = int(os.environ.get("SECONDS", "60"))
_NAMES = ("a", "b", "c")


class Life:
    """What people, DVC and bad luck do to a repository; each method is one such thing."""

    def __init__(self, repository: Repository, chance: random.Random) -> None:
        self._repository = repository
        self._chance = chance
        self._commits = 0

    def experiment(self) -> None:
        """Run an experiment, or again one of the same name, in the workspace or in a copy."""
        steps = f"train.steps={self._chance.randrange(3, 30)}"
        where = self._chance.choice(([], ["--temp"]))
        self._dvc("exp", "run", "-q", "-f", *where, "-n", self._chance.choice(_NAMES), "-S", steps)

    def queue(self) -> None:
        """Queue two experiments and run them."""
        for name in self._chance.sample(_NAMES, 2):
            self._dvc("exp", "run", "-q", "-f", "--queue", "-n", name, "-S", f"train.steps={len(name) + 4}")
        self._repository.start_queue(2)

    def kill(self) -> None:
        """Begin an experiment in a copy and kill it."""
        command = ["dvc", "exp", "run", "-q", "-f", "--temp", "-n", self._chance.choice(_NAMES)]
        begun = subprocess.Popen(
            [*command, "-S", "train.steps=7"],
            cwd=self._repository.path,
            env=self._repository.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self._chance.uniform(1, 3))
        begun.kill()
        begun.wait()

    def remove(self) -> None:
        """Remove an experiment."""
        self._dvc("exp", "remove", "-q", self._chance.choice(_NAMES))

    def edit(self) -> None:
        """Change the code, so that the same parameters give other results."""
        path = self._repository.path / "train.py"
        if not path.exists():
            # a run was killed while DVC had the workspace's changes in a stash
            self.reset()
        gain = f"GAIN = {self._chance.randrange(1, 9)}"
        path.write_text(re.sub(r"GAIN = \d+", gain, path.read_text()))

    def reproduce(self) -> None:
        """Run the pipeline with other parameters, and perhaps commit that."""
        self._repository.set({"train.steps": self._chance.randrange(3, 30)})
        self._dvc("repro", "-q")
        if self._chance.random() < 0.5:
            self._commits += 1
            self._repository.git("add", "-A")
            self._repository.run("git", "commit", "-qm", f"commit {self._commits}", check=False)

    def reset(self) -> None:
        """Take the workspace back to the last commit."""
        # a killed DVC leaves git's locks, too
        self._repository.run("fashionboard", "restore", check=False)
        (self._repository.path / ".git" / "index.lock").unlink(missing_ok=True)
        self._repository.git("reset", "-q", "--hard")
        self._dvc("checkout", "-q", "-f")

    def collect(self) -> None:
        """Remove from the cache what the workspace does not need."""
        self._dvc("gc", "-q", "-w", "-f")

    def damage(self) -> None:
        """Write nonsense into a file for a few seconds."""
        name = self._chance.choice(("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".git/config"))
        path = self._repository.path / name
        before = path.read_bytes()
        path.write_bytes(
            self._chance.choice((b"", b"\xff\x00", b"[1, {", b"a: &a [*a]", before[: len(before) // 2]))
        )
        time.sleep(self._chance.uniform(0, 4))
        path.write_bytes(before)

    def move(self) -> None:
        """Take .git, the cache, or what was run away for a few seconds."""
        name = self._chance.choice((".git", ".dvc/cache", "curve.tfevents"))
        path = self._repository.path / name
        if path.exists():
            path.rename(path.with_name("away"))
            time.sleep(self._chance.uniform(0, 6))
            # a run in the queue may have begun another
            if path.is_dir():
                shutil.rmtree(path)
            path.with_name("away").rename(path)

    def close_cache(self) -> None:
        """Take the right to read the cache away for a few seconds."""
        path = self._repository.path / ".dvc" / "cache" / "files"
        path.chmod(0)
        time.sleep(self._chance.uniform(0, 3))
        path.chmod(0o755)

    def _dvc(self, *arguments: str) -> None:
        # whatever DVC says to what happens here
        self._repository.dvc(*arguments, check=False)


def shown(served: Served) -> dict[str, Any]:
    """Return all curves, rows and texts by run, but of what came to no result: another board has none."""
    runs = [run for run in get(served.address, "runs") or [] if not _over(run)]
    curves = {
        run: [point[1:] for point in get(served.address, "plugin/scalars/scalars", run=run, tag="loss") or []]
        for run in runs
    }
    texts = get(served.address, "plugin/text/tags") or {}
    said = {
        run: [
            each["text"] for tag in tags for each in get(served.address, "plugin/text/text", run=run, tag=tag)
        ]
        for run, tags in texts.items()
        if not _over(run)
    }
    table = {
        name: (
            row["hparams"],
            sorted((str(each["name"]), each["value"]) for each in row.get("metricValues", [])),
        )
        for name, row in rows(served.address).items()
        if not _over(name)
    }
    return {"curves": curves, "rows": table, "texts": said}


def different(one: dict[str, Any], other: dict[str, Any]) -> list[object]:
    """Return what two boards show otherwise, by kind and name."""
    return [
        (kind, name, one[kind].get(name), other[kind].get(name))
        for kind in one
        for name in sorted({*one[kind], *other[kind]})
        if one[kind].get(name) != other[kind].get(name)
    ]


def _over(run: str) -> bool:
    return run.split("/")[0].endswith(("(failed)", "(killed)"))


def _things(life: Life) -> list[Callable[[], None]]:
    often = [life.experiment, life.experiment, life.reproduce, life.edit]
    return [
        *often,
        *(life.queue, life.kill, life.remove, life.reset, life.collect),
        *(life.damage, life.damage, life.move, life.close_cache),
    ]


@pytest.mark.parametrize("fast", ["true", "false"])
def test_an_open_board_shows_in_the_end_what_a_new_one_shows(tmp_path: Path, fast: str) -> None:
    repository = fixed(tmp_path / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    life = Life(repository, random.Random(seed))
    chance = random.Random(seed)
    request = ("--all-commits", "--experiments", "--running", "--", f"--load_fast={fast}")
    with board(repository.path, *request) as served:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            thing = chance.choice(_things(life))
            print(f"{time.monotonic() - end + _SECONDS:.0f} {thing.__name__}", file=sys.stderr)
            thing()
            assert served.process.poll() is None, served.said
        life.reset()
        life.experiment()
        life.reproduce()
        _wait_for_queue(repository)
        with board(repository.path, *request) as new:
            eventually(lambda: bool(shown(new)["curves"].get("workspace/train")), True)
            # a new board takes a minute to tell that nobody works in a copy that was left behind
            eventually(lambda: different(shown(served), shown(new)), [], seconds=150)
            found = shown(new)
        assert found["rows"] and found["curves"]["workspace/train"]
        assert "Traceback" not in served.said
        print(served.said)


def _wait_for_queue(repository: Repository) -> None:
    with contextlib.suppress(AssertionError):
        eventually(lambda: _running(repository), [], seconds=60)
    # docs/trouble.md, "A queue stands still": what was done to .git and the cache can end a queue's worker
    for task in _running(repository):
        repository.dvc("queue", "kill", task, check=False)
    assert _running(repository) == []
    with contextlib.suppress(AssertionError):
        repository.dvc("queue", "stop")


def _running(repository: Repository) -> list[str]:
    """Return the names of the tasks that DVC's queue says run."""
    lines = repository.dvc("queue", "status").splitlines()
    return [line.split()[0] for line in lines if line.split()[-1:] == ["Running"]]
