"""The five stages under a real DVC, in a real repository, on a tiny drawn data set."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors
from PIL import Image
from sklearn.metrics import classification_report
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve.metadata import parse_plugin_metadata
from tensorboard.util import tensor_util

from fashionboard.base import processor
from fashionboard.data import dataset
from fashionboard.data.dataset import CLASSES
from fashionboard.network import checkpoint, inference, nets
from fashionboard.training import validation
from tests.support.repository import Repository, stages_run
from tests.support.settings import MODERN

ALL = ["download", "visualize", "embed", "train", "evaluate"]


@pytest.fixture(scope="module")
def playground(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone of the finished repository, with its cache, in which parameters may be changed."""
    clone = finished.clone(tmp_path_factory.mktemp("clone") / "playground")
    clone.dvc("checkout")
    return clone


@pytest.fixture
def changing(playground: Repository) -> Iterator[Repository]:
    yield playground
    playground.git("reset", "-q", "--hard")
    playground.dvc("checkout", "--force")


def read(repository: Repository, stage: str) -> EventAccumulator:
    everything = {"images": 0, "tensors": 0, "scalars": 0}
    return EventAccumulator(str(repository.path / "runs" / stage), size_guidance=everything).Reload()


def metrics(repository: Repository, stage: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((repository.path / "metrics" / f"{stage}.json").read_text())
    return found


def test_the_pipeline_leaves_a_clean_tree(finished: Repository) -> None:
    assert finished.git("status", "--porcelain") == ""
    assert "Data and pipelines are up to date" in finished.dvc("status")


def test_visualize_shows_pictures_and_a_card(finished: Repository) -> None:
    events = read(finished, "visualize")
    assert set(events.Tags()["images"]) == {
        "four_fashion_mnist_images",
        "class_grid",
        "class_balance",
        "unusual",
    }
    (four,) = events.Images("four_fashion_mnist_images")
    assert (four.width, four.height) == (4 * 30 + 2, 32)  # torchvision's grid of 28 pixels with 2 between
    pixels = np.asarray(Image.open(io.BytesIO(four.encoded_image_string)))
    train = {image.tobytes() for image in dataset.load(finished.path / "data" / "raw", "train").pixels}
    assert all(pixels[2:30, 2 + 30 * k : 30 + 30 * k].tobytes() in train for k in range(4))
    (card,) = events.Tensors("data_set")
    assert b"`drawn`" in card.tensor_proto.string_val[0]
    assert b"| **training images** | 400 |" in card.tensor_proto.string_val[0]


def test_embed_writes_a_hundred_points_with_labels_and_thumbnails(finished: Repository) -> None:
    folder = finished.path / "runs" / "embed" / "images"
    points = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    labels = (folder / "metadata.tsv").read_text().splitlines()
    assert points.shape == (100, 784)
    assert len(labels) == 100 and set(labels) == set(CLASSES)
    train = dataset.load(finished.path / "data" / "raw", "train")
    known = {image.tobytes(): CLASSES[label] for image, label in zip(train.pixels, train.labels, strict=True)}
    with Image.open(folder / "sprite.png") as sprite:
        assert sprite.size == (280, 280)
    assert [known[point.astype(np.uint8).tobytes()] for point in points] == labels


def test_train_reports_whole_intervals_and_the_partial_one(finished: Repository) -> None:
    events = read(finished, "train")
    assert [e.step for e in events.Scalars("training loss")] == [29, 59, 89, 99]
    assert [e.step for e in events.Images("predictions vs. actuals")] == [29, 59, 89, 99]
    assert events.Tags()["graph"]
    assert any(node.name.startswith("Net/Linear[fc3]") for node in events.Graph().node)


def test_the_losses_agree_wherever_they_are_shown(finished: Repository) -> None:
    shown = [e.value for e in read(finished, "train").Scalars("training loss")]
    with (finished.path / "plots" / "training_loss.csv").open() as file:
        plotted = [float(row["loss"]) for row in csv.DictReader(file)]
    assert shown == [np.float32(loss) for loss in plotted]
    assert metrics(finished, "train") == {"data_set": "drawn", "training_loss": plotted[-1], "last_step": 99}


def test_the_model_holds_what_is_needed_to_build_it(finished: Repository) -> None:
    path = finished.path / "models" / "net.safetensors"
    net, origin = checkpoint.load(path)
    assert origin == checkpoint.Origin("drawn", CLASSES)
    test = dataset.load(finished.path / "data" / "raw", "test")
    right = inference.log_probabilities(net, test.pixels, 10).argmax(axis=1) == test.labels
    assert metrics(finished, "evaluate")["accuracy"] == right.mean()
    with safetensors.safe_open(path, "np") as file:
        assert set(file.metadata()) == {"fashionboard"}


def test_evaluate_draws_a_curve_a_class_with_the_truth_from_the_labels(finished: Repository) -> None:
    events = read(finished, "evaluate")
    curves = [tag for tag in events.Tags()["tensors"] if tag.startswith("pr_curve/")]
    assert curves == [f"pr_curve/{name}" for name in CLASSES]
    labels = dataset.load(finished.path / "data" / "raw", "test").labels
    for index, tag in enumerate(curves):
        (event,) = events.Tensors(tag)
        counts = np.array(event.tensor_proto.float_val).reshape(6, 127)
        # at threshold 0 everything is taken for the class: as many are right as have the label
        assert counts[:4, 0].tolist() == [np.sum(labels == index), np.sum(labels != index), 0, 0]
        metadata = events.SummaryMetadata(tag).plugin_data.content
        assert parse_plugin_metadata(metadata).num_thresholds == 127


def test_evaluate_says_the_same_numbers_everywhere(finished: Repository) -> None:
    events, numbers = read(finished, "evaluate"), metrics(finished, "evaluate")
    assert numbers["data_set"] == "drawn"
    assert events.Scalars("accuracy")[0].value == np.float32(numbers["accuracy"])  # type: ignore[arg-type]
    scores = numbers["average_precision"]
    assert isinstance(scores, dict) and list(scores) == ["macro", *CLASSES]
    for name, score in scores.items():
        assert events.Scalars(f"average precision/{name}")[0].value == np.float32(score)
    with (finished.path / "plots" / "evaluate" / "confusion.csv").open() as file:
        decisions = list(csv.DictReader(file))
    assert len(decisions) == 100
    assert np.mean([row["actual"] == row["predicted"] for row in decisions]) == numbers["accuracy"]


def test_evaluate_tells_precision_recall_f1_and_calibration(finished: Repository) -> None:
    events, numbers = read(finished, "evaluate"), metrics(finished, "evaluate")
    quantities = ["accuracy", "loss", "average_precision", "precision", "recall", "f1"]
    assert list(numbers) == ["data_set", *quantities, "expected_calibration_error"]
    error = events.Scalars("expected calibration error")[0].value
    assert error == np.float32(numbers["expected_calibration_error"])  # type: ignore[arg-type]
    with (finished.path / "plots" / "evaluate" / "confusion.csv").open() as file:
        actual, predicted = zip(*list(csv.reader(file))[1:], strict=True)
    theirs = classification_report(actual, predicted, labels=CLASSES, output_dict=True, zero_division=0.0)
    for ours, name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
        scores = numbers[ours]
        assert isinstance(scores, dict) and list(scores) == ["macro", *CLASSES]
        assert scores == pytest.approx(
            {"macro": theirs["macro avg"][name], **{each: theirs[each][name] for each in CLASSES}}
        )
        for each, score in scores.items():
            assert events.Scalars(f"{ours}/{each}")[0].value == np.float32(score)


def test_evaluate_draws_confusion_reliability_and_mistakes(finished: Repository) -> None:
    events = read(finished, "evaluate")
    names = {"confusion matrix", "reliability", "most confident mistakes"}
    assert set(events.Tags()["images"]) == names
    assert {events.Images(name)[0].width for name in names} == {700}


def test_evaluate_counts_every_weight_and_every_activation(finished: Repository) -> None:
    events = read(finished, "evaluate")
    net, _ = checkpoint.load(finished.path / "models" / "net.safetensors")
    sizes = {f"weights/{name}": tensor.numel() for name, tensor in net.named_parameters()}
    outputs = {"conv1": 6 * 24 * 24, "pool": 6 * 12 * 12, "conv2": 16 * 8 * 8, "pool 2": 256}
    layers = {**outputs, "fc1": 120, "fc2": 84, "fc3": 10}
    sizes |= {f"activations/{name}": 100 * size for name, size in layers.items()}
    histograms = [tag for tag in events.Tags()["tensors"] if tag.startswith(("weights/", "activations/"))]
    assert set(histograms) == set(sizes)
    for tag in histograms:
        (event,) = events.Tensors(tag)
        assert tensor_util.make_ndarray(event.tensor_proto)[:, 2].sum() == sizes[tag]


def test_evaluate_writes_features_as_points_with_what_was_decided(finished: Repository) -> None:
    folder = finished.path / "runs" / "evaluate" / "features"
    points = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    # of 1,000 asked for there are 100
    assert points.shape == (100, 84)
    header, *rows = csv.reader((folder / "metadata.tsv").read_text().splitlines(), delimiter="\t")
    assert header == ["label", "predicted", "correct"] and len(rows) == 100
    assert {(label == predicted, correct) for label, predicted, correct in rows} == {
        (True, "yes"),
        (False, "no"),
    }
    # the last layer decides on these points as recorded
    net, _ = checkpoint.load(finished.path / "models" / "net.safetensors")
    assert isinstance(net, nets.Net)
    logits = points @ net.fc3.weight.detach().numpy().T + net.fc3.bias.detach().numpy()
    assert [CLASSES[index] for index in logits.argmax(axis=1)] == [predicted for _, predicted, _ in rows]
    # and the thumbnails are the images of these labels
    test = dataset.load(finished.path / "data" / "raw", "test")
    known = {image.tobytes(): CLASSES[label] for image, label in zip(test.pixels, test.labels, strict=True)}
    with Image.open(folder / "sprite.png") as sprite:
        tiles = np.asarray(sprite).reshape(10, 28, 10, 28).swapaxes(1, 2).reshape(100, 28, 28)
    assert [known[tile.tobytes()] for tile in tiles] == [label for label, _, _ in rows]


def test_dvc_plots_draw_loss_ten_precision_recall_lines_and_confusion(finished: Repository) -> None:
    shown = json.loads(finished.dvc("plots", "show", "--json"))["data"]
    assert set(shown) == {"training loss", "precision-recall", "confusion", "plots/evaluate/confusion.png"}
    (picture,) = shown.pop("plots/evaluate/confusion.png")
    assert picture["type"] == "image"
    points = {name: plot["content"]["data"]["values"] for name, (plot,) in shown.items()}
    assert [point["step"] for point in points["training loss"]] == ["29", "59", "89", "99"]
    assert list(dict.fromkeys(point["class"] for point in points["precision-recall"])) == list(CLASSES)
    assert len(points["precision-recall"]) == 101 * len(CLASSES)
    assert all(0 <= float(point["precision"]) <= 1 for point in points["precision-recall"])
    (plot,) = shown["precision-recall"]
    assert plot["content"]["facet"]["field"] == "class"
    assert plot["content"]["spec"]["encoding"]["y"]["field"] == "precision"
    assert len(points["confusion"]) == 100


def test_dvc_artifacts_find_the_model(finished: Repository, tmp_path: Path) -> None:
    finished.git("tag", "-a", "net@v1.0.0", "-m", "first model")
    finished.dvc("artifacts", "get", str(finished.path), "net", "-o", str(tmp_path / "net"))
    assert (tmp_path / "net").read_bytes() == (finished.path / "models" / "net.safetensors").read_bytes()


def test_nothing_runs_again_when_nothing_changed(playground: Repository) -> None:
    assert stages_run(playground.dvc("repro")) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"visualize.seed": 1}, ["visualize"]),
        ({"embed.points": 50}, ["embed"]),
        ({"evaluate.thresholds": 50}, ["evaluate"]),
        ({"train.lr": 0.01}, ["train", "evaluate"]),
        ({"train.log_every": 50}, ["train"]),  # the model's bytes stay the same
        ({"data.drawn.seed": 1}, ALL),
        ({"data.retries": 3}, ["download"]),  # the images' bytes stay the same
    ],
)
def test_only_what_changed_runs_and_changing_back_runs_nothing(
    changing: Repository, values: dict[str, object], expected: list[str]
) -> None:
    lock = (changing.path / "dvc.lock").read_bytes()
    changing.set(values)
    assert stages_run(changing.dvc("repro")) == expected
    changing.git("checkout", "-q", "HEAD", "params.yaml")
    assert stages_run(changing.dvc("repro")) == []
    assert (changing.path / "dvc.lock").read_bytes() == lock


@pytest.mark.slow
def test_an_experiment_of_one_stage_needs_nothing_of_the_others(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="none")
    output = clone.dvc("exp", "run", "-n", "other", "-S", "data.drawn.seed=1", "download")
    assert stages_run(output) == ["download"]
    assert "other" in clone.dvc("exp", "list", "--name-only")


@pytest.mark.slow
def test_an_experiment_changes_one_value_and_can_be_compared(changing: Repository, root: Path) -> None:
    output = changing.dvc("exp", "run", "-n", "faster", "-S", "train.lr=0.02")
    assert stages_run(output) == ["train", "evaluate"]
    assert json.loads(changing.dvc("params", "diff", "--json")) == {
        "params.yaml": {"train.lr": {"old": 0.001, "new": 0.02, "diff": pytest.approx(0.019)}}
    }
    diff = json.loads(changing.dvc("metrics", "diff", "--json"))
    assert "accuracy" in diff["metrics/evaluate.json"]
    shown = changing.dvc("exp", "show", "--csv")
    (header, *rows) = csv.reader(shown.splitlines())
    (row,) = (dict(zip(header, row, strict=True)) for row in rows if "faster" in row)
    assert float(row["accuracy"]) == pytest.approx(metrics(changing, "evaluate")["accuracy"], abs=1e-4)
    # what the page leaves of the columns
    page = (root / "docs" / "experiments.md").read_text()
    (dropped,) = re.findall(r"dvc exp show .*--drop '([^']+)'", page)
    (header, *_) = csv.reader(changing.dvc("exp", "show", "--csv", "--drop", dropped).splitlines())
    left = {name for name in header if "." not in name}
    assert {"accuracy", "loss", "expected_calibration_error", "training_loss"} <= left
    assert not {name for name in header if name.split(".")[-1] in ("macro", *CLASSES)}


@pytest.mark.slow
def test_all_options_of_the_training_go_through_the_pipeline(changing: Repository) -> None:
    options = {**MODERN, "validation": 50, "keep": "best", "log_every": 5}
    changes = [part for name, value in options.items() for part in ("-S", f"train.{name}={value}")]
    assert stages_run(changing.dvc("exp", "run", "-n", "best", *changes)) == ["train", "evaluate"]

    raw, path = changing.path / "data" / "raw", changing.path / "models" / "net.safetensors"
    (net, _), test = checkpoint.load(path), dataset.load(raw, "test")
    assert isinstance(net, nets.Cnn)
    right = inference.log_probabilities(net, test.pixels, 10).argmax(axis=1) == test.labels
    assert metrics(changing, "evaluate")["accuracy"] == right.mean() > 0.3  # chance: 0.1

    # 350 images: eleven batches an epoch
    steps = [4, 9, 10, 15, 20, 21, 26, 31, 32]
    events, found = read(changing, "train"), metrics(changing, "train")
    for tag in ("training loss", "validation loss", "validation accuracy"):
        assert [e.step for e in events.Scalars(tag)] == steps
    losses = [e.value for e in events.Scalars("validation loss")]
    best = int(np.argmin(losses))
    assert found["kept_step"] == steps[best]
    assert np.float32(found["validation_loss"]) == losses[best]  # type: ignore[arg-type]
    accuracy = events.Scalars("validation accuracy")[best].value
    assert np.float32(found["validation_accuracy"]) == accuracy  # type: ignore[arg-type]
    # what was saved is what was validated
    _, held_out = validation.hold_out(dataset.load(raw, "train"), 50, seed=0)
    assert held_out is not None
    right = inference.log_probabilities(net, held_out.pixels, 10).argmax(axis=1) == held_out.labels
    assert found["validation_accuracy"] == right.mean()
    assert any(node.name.startswith("Cnn/Block[block1]/Conv2d[conv]") for node in events.Graph().node)


@pytest.mark.slow
def test_a_temporary_copy_runs_its_own_code(changing: Repository) -> None:
    """The experiment's code must not come from another checkout, such as an editable install."""
    code = changing.path / "src" / "fashionboard" / "figures" / "card.py"
    code.write_text(code.read_text().replace('"data set": f"', '"data set": f"MARKED '))
    output = changing.dvc("exp", "run", "--temp", "-n", "marked")
    assert stages_run(output) == ["visualize"]
    changing.git("reset", "-q", "--hard")
    changing.dvc("exp", "apply", "marked")
    (card,) = read(changing, "visualize").Tensors("data_set")
    assert b"MARKED" in card.tensor_proto.string_val[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("train.lr=abc", "error: params.yaml: train.lr is 'abc', allowed: a number > 0 and <= 10"),
        ("train.lr=-1", "error: params.yaml: train.lr is -1, allowed: a number > 0 and <= 10"),
        ("evaluate.batch_size=0", "error: params.yaml: evaluate.batch_size is 0, allowed: an integer >= 1"),
        (
            "embed.points=10001",
            "error: params.yaml: embed.points is 10001, allowed: an integer >= 2 and <= 10,000",
        ),
        ("train.model=vgg", "error: params.yaml: train.model is 'vgg', allowed: net or cnn"),
        ("train.keep=best", "error: params.yaml: train.keep is 'best', allowed: last, or best with"),
        ("train.validation=395", "error: params.yaml: train.validation is 395, allowed: 0, or 10 to 390"),
        ("train.device=cuda", "error: train.device is cuda, but torch finds no CUDA GPU here"),
        ("train.lr=9.9", "error: the training loss is "),
    ],
)
def test_a_bad_parameter_is_one_line_and_all_comes_back(changing: Repository, change: str, line: str) -> None:
    done = changing.run("dvc", "exp", "run", "-S", change, check=False, CUDA_VISIBLE_DEVICES="")
    assert done.returncode != 0
    (found,) = [text for text in done.stdout.splitlines() if text.startswith("error: ")]
    assert found.startswith(line) and "Traceback" not in done.stdout
    stage = change.partition(".")[0]
    assert not list((changing.path / "runs" / stage).rglob("*.*"))
    changing.git("checkout", "-q", "HEAD", "params.yaml")
    changing.dvc("checkout")
    assert "up to date" in changing.dvc("status")


@pytest.mark.slow
def test_a_model_of_something_else_is_refused(changing: Repository) -> None:
    (changing.path / "models" / "net.safetensors").unlink()
    (changing.path / "models" / "net.safetensors").write_bytes(b"something else")
    done = changing.run("python", "-m", "stages.evaluate", check=False)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("error: models/net.safetensors: expected a safetensors file")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["portable", "native"])
@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_a_stage_computes_with_the_arithmetic_that_its_parameters_say(
    changing: Repository, stage: str, kind: str
) -> None:
    changing.set({f"{stage}.arithmetic": kind})
    program = f"import os; from stages import {stage}; {stage}.main(); print([os.environ.get('MKL_CBWR')])"
    printed = changing.run("python", "-c", program, MKL_CBWR="AUTO").stdout
    portable = kind == "portable" and processor.has_avx2()
    assert printed.splitlines()[-1] == ("['COMPATIBLE']" if portable else "[None]")
