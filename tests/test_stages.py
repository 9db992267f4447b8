"""Stages started by hand on what is small, strange or broken, without DVC."""

import subprocess
from pathlib import Path

import pytest
import torch

from fashionboard import checkpoint, network
from fashionboard.dataset import CLASSES
from tests.repository import Repository


@pytest.fixture
def repository(tmp_path: Path, root: Path) -> Repository:
    """A repository before any run."""
    return Repository.create(tmp_path / "r", root)


def start(repository: Repository, stage: str) -> "subprocess.CompletedProcess[str]":
    return repository.run("python", "-m", f"stages.{stage}", check=False)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def refusal(repository: Repository, stage: str) -> str:
    """Return the line with which a stage ends that has written nothing."""
    done = start(repository, stage)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    for name in (f"runs/{stage}", "metrics", "plots"):
        assert files(repository.path / name) == []
    return line.removeprefix("error: ")


@pytest.mark.parametrize("model", network.MODELS)
@pytest.mark.parametrize("large", ["first", "last"])
def test_evaluate_refuses_weights_whose_sums_are_not_finite(
    repository: Repository, model: str, large: str
) -> None:
    repository.set({"data.drawn.train_images": 20, "data.drawn.test_images": 20, "embed.points": 20})
    assert start(repository, "download").returncode == 0
    net = network.initial(0, model=model)
    weights = [each for name, each in net.named_parameters() if name.endswith("weight")]
    torch.nn.init.constant_(weights[0 if large == "first" else -1], 3e38)
    checkpoint.save(repository.path / "models/net.safetensors", net, checkpoint.Origin("drawn", CLASSES))
    said = refusal(repository, "evaluate")
    assert "expected finite numbers, found " in said and said.endswith("train again with a smaller train.lr")
