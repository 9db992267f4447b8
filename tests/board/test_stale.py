"""An open board never shows what is no longer so: real DVC changes everything under the same names."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain import fixed
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = fixed(tmp_path / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


def curve(address: str, run: str) -> list[tuple[int, float]]:
    found = get(address, "plugin/scalars/scalars", run=run, tag="loss") or []
    return [(step, value) for _, step, value in found]


def metrics(address: str, row: str) -> dict[str, Any]:
    """Return DVC's metrics of a row, which are scalars of the row's own run."""
    values = rows(address).get(row, {}).get("metricValues", [])
    return {each["name"]["tag"]: each["value"] for each in values if not each["name"]["group"]}


def expected(steps: int, gain: int) -> list[tuple[int, float]]:
    return [(step, float(gain + step)) for step in range(steps)]


@pytest.mark.parametrize("fast", ["true", "false"])
def test_an_experiment_run_again_with_changed_code(repository: Repository, fast: str) -> None:
    repository.dvc("exp", "run", "-q", "-n", "e1", "-S", "train.steps=12")
    with board(repository.path, "--", f"--load_fast={fast}") as served:
        eventually(lambda: curve(served.address, "e1/train"), expected(12, 1))
        # float32 has only each second number from 2^24 on
        eventually(lambda: metrics(served.address, "e1"), {"accuracy": 1, "last": 16_777_216})
        assert curve(served.address, "workspace/train") == expected(12, 1)
        train = repository.path / "train.py"
        train.write_text(train.read_text().replace("GAIN = 1", "GAIN = 2"))
        repository.dvc("exp", "run", "-q", "-f", "-n", "e1", "-S", "train.steps=25")
        eventually(lambda: curve(served.address, "e1/train"), expected(25, 2))
        eventually(lambda: curve(served.address, "workspace/train"), expected(25, 2))
        eventually(lambda: metrics(served.address, "e1"), {"accuracy": 2, "last": 16_777_229})
        assert rows(served.address)["e1"]["hparams"] == {"train.steps": 25}
        # fewer points than there were, in the workspace alone
        repository.set({"train.steps": 5})
        repository.dvc("repro", "-q")
        eventually(lambda: curve(served.address, "workspace/train"), expected(5, 2))
        assert curve(served.address, "e1/train") == expected(25, 2)
        assert curve(served.address, "main/train") == expected(10, 1)


def test_what_is_pulled_and_what_is_collected(repository: Repository, tmp_path: Path) -> None:
    repository.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    repository.git("commit", "-qam", "remote")
    repository.dvc("push", "-q")
    repository.dvc("exp", "run", "-q", "-n", "e1", "-S", "train.steps=12")
    repository.run("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "bare"))
    repository.git("remote", "add", "origin", str(tmp_path / "bare"))
    repository.git("push", "-q", "origin", "main")
    repository.dvc("exp", "push", "-q", "origin", "e1")
    subprocess.run(["git", "clone", "-q", str(tmp_path / "bare"), str(tmp_path / "clone")], check=True)
    clone = Repository(tmp_path / "clone")
    clone.git("fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    clone.dvc("pull", "-q")
    with board(clone.path) as served:
        eventually(lambda: curve(served.address, "main/train"), expected(10, 1))
        assert "e1: not in the cache: " in served.said
        clone.dvc("exp", "pull", "-q", "origin", "e1")
        eventually(lambda: curve(served.address, "e1/train"), expected(12, 1))
        eventually(lambda: metrics(served.address, "e1").get("accuracy"), 1)
        assert "e1: complete\n" in served.said
        # what the workspace needs stays
        clone.dvc("gc", "-q", "-w", "-f")
        eventually(lambda: curve(served.address, "e1/train"), [])
        eventually(lambda: metrics(served.address, "e1"), {})
        gone = "e1: incomplete, curve.tfevents, metrics.json is not in the cache any more\n"
        eventually(lambda: gone in served.said, True)
        assert curve(served.address, "main/train") == expected(10, 1)
