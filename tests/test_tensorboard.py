"""A TensorBoard that stays open while the pipeline runs, runs again and goes back."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fashionboard.events.writer import EventWriter
from tests.support.repository import Repository
from tests.support.servers import content, eventually, get, tensorboard


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
        assert set(pictures["visualize"]) == {
            "four_fashion_mnist_images",
            "class_grid",
            "class_balance",
            "unusual",
        }
        shown = get(address, "plugin/images/images", run="train", tag="predictions vs. actuals", sample="0")
        assert [picture["step"] for picture in shown] == [29, 59, 89, 99]
        assert get(address, "plugin/graphs/info")["train"]["run_graph"]
        assert set(get(address, "plugin/text/tags")) == {"visualize", "embed", "train", "evaluate"}
        assert set(get(address, "plugin/projector/runs")) == {"embed", "evaluate"}
        for run, shape in (("embed", [100, 784]), ("evaluate", [100, 84])):
            (tensor,) = get(address, "plugin/projector/info", run=run)["embeddings"]
            assert tensor["tensorShape"] == shape


@pytest.mark.parametrize("fast", [True, False])
def test_both_loaders_keep_every_count_of_a_histogram(tmp_path: Path, fast: bool) -> None:
    edges, counts = np.array([-0.5, 0.1, 0.2, 1 / 3]), np.array([2**24 + 1, 0, 3])
    with EventWriter(tmp_path / "run", "0123456789abcdef") as events:
        events.histogram("weights/a", edges, counts)
    buckets = [[-0.5, 0.1, 2**24 + 1], [0.1, 0.2, 0], [0.2, 1 / 3, 3]]
    with tensorboard(tmp_path, fast) as address:
        asked = {"run": "run", "tag": "weights/a"}
        eventually(lambda: list(get(address, "plugin/histograms/tags").get("run", {})), ["weights/a"])
        ((_, step, found),) = get(address, "plugin/histograms/histograms", **asked)
        assert (step, found) == (0, buckets)
        # the median is in the first bucket, near its right edge
        ((_, _, points),) = get(address, "plugin/distributions/distributions", **asked)
        assert dict(points)[5000] == pytest.approx(-0.5 + 0.6 * (2**24 + 4) / 2 / (2**24 + 1))


def test_the_projector_has_columns_and_thumbnails(finished: Repository) -> None:
    folder = finished.path / "runs" / "evaluate" / "features"
    with tensorboard(finished.path / "runs", fast=True) as address:
        eventually(lambda: set(get(address, "plugin/projector/runs") or []), {"embed", "evaluate"})
        served = partial(content, address, run="evaluate", name="features")
        assert served("plugin/projector/metadata") == (folder / "metadata.tsv").read_bytes()
        assert served("plugin/projector/sprite_image") == (folder / "sprite.png").read_bytes()
        points = np.frombuffer(served("plugin/projector/tensor"), np.float32).reshape(100, 84)
        assert np.array_equal(points, np.loadtxt(folder / "tensors.tsv", np.float32))


@pytest.mark.slow
def test_every_run_shows_without_a_restart(tmp_path: Path, root: Path) -> None:
    repository = Repository.create(tmp_path / "repository", root)
    runs = repository.path / "runs"
    # with a variable DVC is not forked: forks are so quick that the slow loader sees no folder go
    with tensorboard(runs, fast=True) as fast, tensorboard(runs, fast=False) as slow:
        repository.dvc("repro", PYTHONUNBUFFERED="1")
        repository.git("commit", "-qam", "first")
        first = written(repository)
        shows(repository, fast, slow)

        # reports at the same steps: TensorBoard keeps points that come before a new file's first one
        repository.set({"train.lr": 0.01})
        repository.dvc("repro", PYTHONUNBUFFERED="1")
        assert written(repository) != first
        shows(repository, fast, slow)

        repository.git("reset", "-q", "--hard")
        repository.dvc("checkout")
        assert written(repository) == first
        # the slow loader never goes back to a file whose name comes before that of the last one
        shows(repository, fast)
