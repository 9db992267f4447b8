"""Stages started by hand on what is small, strange or broken, without DVC."""

import csv
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fashionboard.data import dataset
from fashionboard.data.dataset import CLASSES
from fashionboard.network import checkpoint, nets
from tests.support import folders, rendered
from tests.support.repository import Repository

pytestmark = pytest.mark.slow

ALL = ("download", "visualize", "embed", "train", "evaluate")
# Persian with a zero-width non-joiner, an emoji with a joiner, a no-break space, what Markdown and CSV know
WRITTEN = ("می\u200cخواهم", "👩\u200d🚀", "New\u00a0York", '**b**, "c" | `d` <i>')


@pytest.fixture
def repository(tmp_path: Path, root: Path) -> Repository:
    """A repository before any run."""
    return Repository.create(tmp_path / "r", root)


def start(repository: Repository, stage: str) -> "subprocess.CompletedProcess[str]":
    return repository.run("python", "-m", f"stages.{stage}", check=False)


def test_ctrl_c_during_pythons_own_start_ends_a_stage_with_a_line(
    repository: Repository, tmp_path: Path
) -> None:
    interrupted = tmp_path / "bin" / "python"
    interrupted.parent.mkdir()
    interrupted.write_text(f'#!/bin/sh\nkill -INT $$\nexec {shlex.quote(sys.executable)} "$@"\n')
    interrupted.chmod(0o755)
    path = f"{interrupted.parent}{os.pathsep}{repository.environment()['PATH']}"
    command = ["env", f"PATH={path}", "sh", "stages/run", "download"]
    done = repository.run(*command, check=False)
    assert done.returncode == 128 + signal.SIGINT
    (line,) = done.stdout.splitlines()
    assert line.startswith("stopped by SIGINT; the same command runs this stage again")
    assert not (repository.path / "data" / "raw").exists()


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


@pytest.mark.parametrize("model", ["net", "cnn", "resnet18"])
@pytest.mark.parametrize("large", ["first", "last"])
def test_evaluate_refuses_weights_whose_sums_are_not_finite(
    repository: Repository, model: str, large: str
) -> None:
    repository.set({"data.drawn.train_images": 20, "data.drawn.test_images": 20, "embed.points": 20})
    assert start(repository, "download").returncode == 0
    net = nets.initial(0, model=model)
    weights = [each for name, each in net.named_parameters() if name.endswith("weight")]
    torch.nn.init.constant_(weights[0 if large == "first" else -1], 3e38)
    checkpoint.save(repository.path / "models/net.safetensors", net, checkpoint.Origin("drawn", CLASSES))
    said = refusal(repository, "evaluate")
    assert "expected finite numbers, found " in said and said.endswith("train again with a smaller train.lr")


def test_other_views_count_for_decisions_but_not_for_features_and_activations(
    repository: Repository,
) -> None:
    repository.set({"data.drawn.train_images": 20, "data.drawn.test_images": 200, "embed.points": 20})
    assert start(repository, "download").returncode == 0
    net = nets.initial(0)
    checkpoint.save(repository.path / "models/net.safetensors", net, checkpoint.Origin("drawn", CLASSES))
    run = repository.path / "runs" / "evaluate"
    precision, others = [], []
    for augment in ("none", "flip"):
        repository.set({"evaluate.augment": augment})
        assert start(repository, "evaluate").returncode == 0
        numbers = json.loads((repository.path / "metrics/evaluate.json").read_text())
        precision.append(numbers["average_precision"]["macro"])
        events = EventAccumulator(str(run), size_guidance={"tensors": 0}).Reload()
        names = [name for name in events.Tags()["tensors"] if name.startswith("activations/")]
        seen = [[each.tensor_proto for each in events.Tensors(name)] for name in names]
        (features,) = run.rglob("tensors.tsv")
        others.append((names, seen, features.read_bytes()))
    assert others[0] == others[1] and others[0][0]
    test = dataset.load(repository.path / "data/raw", "test")
    images = nets.normalise(torch.tensor(test.pixels))
    with torch.no_grad():
        both = [net(each).softmax(dim=1).numpy() for each in (images, images.flip(3))]
    expected = [
        average_precision_score(np.eye(10)[test.labels], each, average="macro")
        for each in (both[0], both[0] + both[1])
    ]
    assert abs(expected[0] - expected[1]) > 0.001
    # float32 sums in another order change the order of images that are nearly equal
    assert precision == pytest.approx(expected, abs=1e-4)


def texts(repository: Repository, stage: str) -> str:
    """Return what TensorBoard shows of a stage's text."""
    events = EventAccumulator(str(repository.path / "runs" / stage), size_guidance={"tensors": 0}).Reload()
    (event,) = events.Tensors("data_set")
    return rendered.read(event.tensor_proto.string_val[0].decode())[0]


def test_names_as_people_write_them_go_through_all_stages(repository: Repository) -> None:
    folder = "نیم\u200cفاصله_**_👩\u200d🚀"
    folders.write(repository.path / folder, WRITTEN, each=8)
    repository.set({"data.dataset": "idx", "data.path": folder, "embed.points": 10})
    for stage in ALL:
        done = start(repository, stage)
        assert (done.returncode, done.stdout) == (0, "")
    assert dataset.describe(repository.path / "data/raw").classes == WRITTEN
    assert checkpoint.load(repository.path / "models/net.safetensors")[1].classes == WRITTEN
    numbers = json.loads((repository.path / "metrics/evaluate.json").read_text(encoding="utf-8"))
    assert numbers["data_set"] == f"idx:{folder}"
    assert list(numbers["f1"]) == ["macro", *WRITTEN]
    labels = (repository.path / "runs/embed/images/metadata.tsv").read_text(encoding="utf-8").split("\n")
    assert len(labels) == 11 and set(labels[:-1]) == set(WRITTEN)
    with (repository.path / "plots/evaluate/precision_recall.csv").open(encoding="utf-8") as file:
        assert [row["class"] for row in csv.DictReader(file)] == [
            each for each in WRITTEN for _ in range(101)
        ]
    events = EventAccumulator(str(repository.path / "runs/evaluate"), size_guidance={"tensors": 0}).Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("pr_curve/")]
    assert tags == [f"pr_curve/{each}" for each in WRITTEN]
    assert ", ".join(WRITTEN) in texts(repository, "visualize")
    assert f"{folder}, a data set of the user's own (idx:{folder})" in texts(repository, "visualize")
    assert texts(repository, "embed") == f"10 training images of idx:{folder} are in the Projector."
    assert texts(repository, "train") == f"Trained on the 32 training images of idx:{folder}."
    assert texts(repository, "evaluate") == f"Evaluated on the 16 test images of idx:{folder}."
    page = np.full((40, 40), 255, np.uint8)
    page[8:30, 10:20] = 0
    Image.fromarray(page).save(repository.path / "a.png")
    program = str(Path(sys.executable).with_name("fashionboard"))
    as_json = json.loads(repository.run(program, "predict", "a.png", "--json").stdout)
    likeliest = [each["class"] for each in as_json["predictions"]]
    assert len(likeliest) == 3 and set(likeliest) < set(WRITTEN)
    shown = repository.run(program, "predict", "a.png").stdout
    assert all(f"{name} " in shown for name in likeliest) and shown.count("\n") == 1


def test_too_few_images_are_all_shown_and_not_enough_to_hold_out_of_are_said(repository: Repository) -> None:
    folders.write(repository.path / "few", ("cat", "dog", "fox"), each=9)
    repository.set({"data.dataset": "idx", "data.path": "few", "embed.points": 28, "train.validation": 25})
    assert start(repository, "download").returncode == 0
    assert start(repository, "embed").returncode == 0
    assert texts(repository, "embed") == "27 training images of idx:few are in the Projector."
    assert refusal(repository, "train").startswith("train.validation is 25, expected 0, or 3 to 24 of the ")


def test_two_images_a_part_go_through_all_stages(repository: Repository) -> None:
    folders.write(repository.path / "two", ("cat", "dog"), each=2)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        test = repository.path / "two" / name.replace("train", "t10k")
        (repository.path / "two" / name).write_bytes(test.read_bytes())
    own = {"data.dataset": "idx", "data.path": "two"}
    repository.set({**own, "embed.points": 2, "visualize.images_per_class": 50})
    for stage in ALL:
        done = start(repository, stage)
        assert (done.returncode, done.stdout) == (0, "")
    events = EventAccumulator(str(repository.path / "runs/visualize")).Reload()
    (four,) = events.Images("four_images")
    assert (four.width, four.height) == (4 * 30 + 2, 32)
    pixels = np.asarray(Image.open(io.BytesIO(four.encoded_image_string)))
    train = dataset.load(repository.path / "data/raw", "train").pixels
    shown = {pixels[2:30, 2 + 30 * k : 30 + 30 * k].tobytes() for k in range(4)}
    assert shown == {train[0].tobytes(), train[1].tobytes(), bytes(784)}


@pytest.mark.parametrize("made", ["nothing", "a pipe"])
def test_train_does_not_wait_for_a_model_to_begin_with(repository: Repository, made: str) -> None:
    assert start(repository, "download").returncode == 0
    repository.set({"train.start": "begin.safetensors"})
    if made == "a pipe":
        os.mkfifo(repository.path / "begin.safetensors")
    said = refusal(repository, "train")
    assert said.startswith("begin.safetensors: ") and "; set train.start to a model of this project" in said
    assert not (repository.path / "runs" / "train").exists()
