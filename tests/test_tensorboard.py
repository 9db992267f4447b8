"""A TensorBoard that stays open while the pipeline runs, runs again and goes back."""

import csv
from functools import partial
from pathlib import Path

import numpy as np

from tests.repository import Repository
from tests.servers import eventually, get, tensorboard


def written(repository: Repository) -> list[tuple[int, float]]:
    with (repository.path / "plots" / "training_loss.csv").open() as file:
        return [(int(row["step"]), float(np.float32(row["loss"]))) for row in csv.DictReader(file)]


def shown(address: str) -> list[tuple[int, float]]:
    points = get(address, "plugin/scalars/scalars", run="train", tag="training loss")
    return [(step, value) for _, step, value in points or []]


def shows(repository: Repository, *addresses: str) -> None:
    for address in addresses:
        expected = written(repository)
        eventually(partial(shown, address), expected)


def test_every_run_shows_without_a_restart(tmp_path: Path, root: Path) -> None:
    repository = Repository.create(tmp_path / "repository", root)
    runs = repository.path / "runs"
    with tensorboard(runs, fast=True) as fast, tensorboard(runs, fast=False) as slow:
        repository.dvc("repro")
        repository.git("commit", "-qam", "first")
        first = written(repository)
        shows(repository, fast, slow)

        # reports at the same steps: TensorBoard keeps points that come before a new file's first one
        repository.set({"train.lr": 0.01})
        repository.dvc("repro")
        assert written(repository) != first
        shows(repository, fast, slow)

        repository.git("reset", "-q", "--hard")
        repository.dvc("checkout")
        assert written(repository) == first
        # the slow loader never goes back to a file whose name comes before that of the last one
        shows(repository, fast)
