"""What `make repro` left in this workspace, on the real data; not collected by `make test-all`."""

import json
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.datasets import FashionMNIST

from fashionboard.data.dataset import CLASSES


@pytest.fixture(scope="module", autouse=True)
def workspace(root: Path) -> Path:
    metrics = root / "metrics" / "evaluate.json"
    if not metrics.is_file() or json.loads(metrics.read_text())["data_set"] != "fashion-mnist":
        pytest.fail("expected the outputs of `make repro` on Fashion-MNIST in the workspace")
    return root


def read(workspace: Path, stage: str) -> EventAccumulator:
    everything = {"images": 0, "tensors": 0, "scalars": 0}
    return EventAccumulator(str(workspace / "runs" / stage), size_guidance=everything).Reload()


def test_the_net_is_as_good_as_the_tutorials(workspace: Path) -> None:
    numbers = json.loads((workspace / "metrics" / "evaluate.json").read_text())
    # a plain transcription of the tutorial's script reaches 0.83 to 0.84
    assert 0.82 <= numbers["accuracy"] <= 0.86
    assert list(numbers["average_precision"]) == ["macro", *CLASSES]


def test_there_are_fifteen_losses_and_figures(workspace: Path) -> None:
    events = read(workspace, "train")
    steps = [999 + 1000 * k for k in range(15)]
    losses = events.Scalars("training loss")
    assert [event.step for event in losses] == steps
    assert losses[0].value > 1.5 and losses[-1].value < 0.45
    assert [event.step for event in events.Images("predictions vs. actuals")] == steps


def test_there_are_ten_curves(workspace: Path) -> None:
    tags = read(workspace, "evaluate").Tags()["tensors"]
    assert [tag for tag in tags if tag.startswith("pr_curve/")] == [f"pr_curve/{name}" for name in CLASSES]


def test_there_are_a_hundred_points(workspace: Path) -> None:
    folder = workspace / "runs" / "embed" / "images"
    assert np.loadtxt(folder / "tensors.tsv", delimiter="\t").shape == (100, 784)
    assert len((folder / "metadata.tsv").read_text().splitlines()) == 100


def test_there_are_the_features_of_a_thousand_test_images(workspace: Path) -> None:
    folder = workspace / "runs" / "evaluate" / "features"
    assert np.loadtxt(folder / "tensors.tsv", delimiter="\t").shape == (1000, 84)
    assert len((folder / "metadata.tsv").read_text().splitlines()) == 1001


def test_the_card_gives_the_mean_and_deviation_that_are_published(workspace: Path) -> None:
    (card,) = read(workspace, "visualize").Tensors("data_set")
    text = card.tensor_proto.string_val[0].decode()
    assert "| **pixel mean** | 0.2860 |" in text and "| **pixel standard deviation** | 0.3530 |" in text
    assert "Zalando SE" in text


def test_torchvision_opens_the_data(workspace: Path) -> None:
    assert len(FashionMNIST(str(workspace / "data" / "raw"), train=True)) == 60_000
