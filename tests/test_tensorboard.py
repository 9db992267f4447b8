"""A TensorBoard that stays open while the pipeline runs, runs again and goes back."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("fast", [True, False])
def test_both_loaders_serve_every_tab(finished: Repository, fast: bool) -> None:
    with tensorboard(finished.path / "runs", fast) as address:
        loss = partial(get, address, "plugin/scalars/scalars", run="train", tag="training loss")
        eventually(lambda: len(loss() or []), 4)
        eventually(lambda: len(get(address, "plugin/pr_curves/tags").get("evaluate", [])), 10)
        pictures = get(address, "plugin/images/tags")
        assert set(pictures["visualize"]) == {"four_fashion_mnist_images", "class_grid", "class_balance"}
        shown = get(address, "plugin/images/images", run="train", tag="predictions vs. actuals", sample="0")
        assert [picture["step"] for picture in shown] == [29, 59, 89, 99]
        assert get(address, "plugin/graphs/info")["train"]["run_graph"]
        assert set(get(address, "plugin/text/tags")) == {"visualize", "embed", "train", "evaluate"}
        (tensor,) = get(address, "plugin/projector/info", run="embed")["embeddings"]
        assert tensor["tensorShape"] == [100, 784]


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
