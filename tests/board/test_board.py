"""The board on this project's own pipeline, in a real repository, through the real TensorBoard."""

import csv
import hashlib
import io
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionboard.data.dataset import CLASSES
from tests.support.repository import Repository
from tests.support.servers import board, content, eventually, get, rows

pytestmark = pytest.mark.slow

EXPERIMENTS = {"lr-0.01": 0.01, "tiny": 1e-5}


@pytest.fixture(scope="module")
def lab(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone with a tag, two experiments, and a workspace that was edited and run again."""
    clone = finished.clone(tmp_path_factory.mktemp("lab") / "lab")
    clone.git("tag", "-a", "v1", "-m", "first")
    clone.dvc("checkout")
    for name, lr in EXPERIMENTS.items():
        clone.dvc("exp", "run", "-q", "-n", name, "-S", f"train.lr={lr}")
    clone.git("reset", "-q", "--hard")
    clone.set({"evaluate.thresholds": 50, "train.momentum": 0.5})
    clone.dvc("repro", "-q")
    return clone


def recorded(repository: Repository, path: str, name: str) -> str:
    """Return an output of a commit or experiment as DVC's own API gives it, or of the workspace."""
    if name == "workspace":
        return (repository.path / path).read_text()
    (commit,) = (
        repository.git("rev-parse", f"{name}^{{commit}}").split()
        if name in ("main", "v1")
        else experiment(repository, name)
    )
    program = "import sys, dvc.api; print(dvc.api.read(sys.argv[1], rev=sys.argv[2]), end='')"
    return repository.run(sys.executable, "-c", program, path, commit).stdout


def experiment(repository: Repository, name: str) -> list[str]:
    return repository.git("for-each-ref", "--format=%(objectname)", f"refs/exps/**/{name}").split()


def loss(repository: Repository, name: str) -> list[tuple[int, float]]:
    text = recorded(repository, "plots/training_loss.csv", name)
    return [(int(row["step"]), float(np.float32(row["loss"]))) for row in csv.DictReader(io.StringIO(text))]


def shown(address: str, run: str) -> list[tuple[int, float]]:
    found = get(address, "plugin/scalars/scalars", run=run, tag="training loss")
    return [(step, value) for _, step, value in found or []]


def points(address: str, run: str) -> list[object]:
    """Return the shape of each cloud of points in the projector."""
    found = get(address, "plugin/projector/info", run=run) or {}
    return [tensor.get("tensorShape") for tensor in found.get("embeddings", [])]


def curves(address: str, run: str) -> int:
    return len(get(address, "plugin/pr_curves/tags").get(run, []))


def groups(address: str) -> set[str]:
    return {run.split("/")[0] for run in get(address, "runs") or []}


def state(repository: Repository) -> object:
    """Return everything that looking must not change."""
    files = {
        path.relative_to(repository.path).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in repository.path.rglob("*")
        if path.is_file() and not {".git", ".dvc"} & set(path.relative_to(repository.path).parts)
    }
    cache = {(path, path.stat().st_size) for path in (repository.path / ".dvc" / "cache").rglob("*")}
    return repository.git("status", "--porcelain", "--ignored"), repository.dvc("status"), files, cache


@pytest.mark.parametrize("fast", [True, False])
def test_every_revision_shows_every_tab(lab: Repository, fast: bool) -> None:
    before = state(lab)
    asked = ("workspace", "main", "v1", "--experiments")
    with board(lab.path, *asked, "--", f"--load_fast={str(fast).lower()}") as served:
        address = served.address
        expected = {"workspace", "main", "v1", *EXPERIMENTS}
        eventually(lambda: groups(address), expected)
        for name in expected:
            eventually(partial(shown, address, f"{name}/train"), loss(lab, name))
            evaluate = f"{name}/evaluate"
            eventually(partial(curves, address, evaluate), len(CLASSES))
            curve = get(address, "plugin/pr_curves/pr_curves", run=evaluate, tag="pr_curve/Bag")[evaluate][0]
            assert len(curve["precision"]) == len(curve["recall"]) > 1
            pictures = get(address, "plugin/images/tags")
            assert {"four_fashion_mnist_images", "class_grid"} <= set(pictures[f"{name}/visualize"])
            images = get(
                address,
                "plugin/images/images",
                run=f"{name}/train",
                tag="predictions vs. actuals",
                sample="0",
            )
            assert [picture["step"] for picture in images] == [29, 59, 89, 99]
            assert get(address, "plugin/graphs/info")[f"{name}/train"]["run_graph"]
            # TensorBoard reads every run's points when it is asked for the first, one after the other
            eventually(partial(points, address, f"{name}/embed"), [[100, 784]])
            eventually(partial(points, address, f"{name}/evaluate"), [[100, 84]])
        # the files that the projector opens are links, too
        projector = partial(content, address, name="images", run="tiny/embed")
        assert set(projector("plugin/projector/metadata").decode().split("\n")[:100]) <= set(CLASSES)
        for name in ("workspace", "tiny"):
            check_features(lab, address, name)
        check_rows(address, {"main", "v1", *EXPERIMENTS})
        assert "lr-0.01" in served.said and "experiment" in served.said
    assert served.process.returncode == 0
    assert state(lab) == before


def check_features(repository: Repository, address: str, name: str) -> None:
    """Check that the projector has the points, columns and thumbnails of this revision and no other."""
    served = partial(content, address, run=f"{name}/evaluate", name="features")
    table = served("plugin/projector/metadata").decode()
    assert table == recorded(repository, "runs/evaluate/features/metadata.tsv", name)
    assert table.splitlines()[0] == "label\tpredicted\tcorrect" and len(table.splitlines()) == 101
    lines = recorded(repository, "runs/evaluate/features/tensors.tsv", name).splitlines()
    expected = np.array([line.split("\t") for line in lines], np.float32)
    assert served("plugin/projector/tensor") == expected.tobytes()
    with Image.open(io.BytesIO(served("plugin/projector/sprite_image"))) as sprite:
        assert sprite.size == (280, 280)


def check_rows(address: str, names: set[str]) -> None:
    eventually(lambda: set(rows(address)), names)
    found = rows(address)
    for name, lr in {**EXPERIMENTS, "main": 0.001}.items():
        hparams = found[name]["hparams"]
        assert hparams["train.lr"] == lr
        assert hparams["data.dataset"] == "drawn"
        assert hparams["data.drawn.train_images"] == 400


def test_without_a_revision_there_is_a_row_an_experiment(lab: Repository) -> None:
    with board(lab.path) as served:
        eventually(lambda: groups(served.address), {"workspace", "main", *EXPERIMENTS})
        eventually(lambda: set(rows(served.address)), set(EXPERIMENTS))
        for name, row in rows(served.address).items():
            metrics = {
                value["name"]["tag"]: value["value"]
                for value in row["metricValues"]
                if not value["name"]["group"]
            }
            accuracy = json.loads(recorded(lab, "metrics/evaluate.json", name))["accuracy"]
            assert metrics["accuracy"] == accuracy
            assert row["sessions"][0]["status"] == "STATUS_SUCCESS"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_board_that_is_ended_leaves_nothing(lab: Repository, number: signal.Signals) -> None:
    with board(lab.path) as served:
        folder = lab.path / ".dvc" / "tmp" / "fashionboard" / "board"
        assert [path for path in folder.iterdir() if path.is_dir() and path.name != "view"]
        served.process.send_signal(number)
        assert served.process.wait(10) == 0
        assert [path.name for path in folder.iterdir() if path.name != "view"] == []


def test_what_a_killed_board_leaves_goes_with_the_next(lab: Repository) -> None:
    folder = lab.path / ".dvc" / "tmp" / "fashionboard" / "board"
    with board(lab.path) as served:
        served.process.kill()
        served.process.wait()
    (left,) = [path for path in folder.iterdir() if path.name != "view"]
    with board(lab.path) as other:
        assert not left.exists()
        assert groups(other.address) is not None


@pytest.mark.parametrize("fast", ["true", "false"])
def test_experiments_come_and_go_while_it_is_open(lab: Repository, fast: str) -> None:
    with board(lab.path, "--", f"--load_fast={fast}") as served:
        eventually(lambda: groups(served.address), {"workspace", "main", *EXPERIMENTS})
        (tiny,) = experiment(lab, "tiny")
        head = lab.git("rev-parse", "HEAD").strip()
        lab.git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/café", tiny)
        eventually(lambda: groups(served.address), {"workspace", "main", "café", *EXPERIMENTS}, seconds=10)
        eventually(partial(shown, served.address, "café/train"), loss(lab, "tiny"), seconds=10)
        lab.dvc("exp", "remove", "-q", "café")
        eventually(lambda: groups(served.address), {"workspace", "main", *EXPERIMENTS}, seconds=10)
        eventually(lambda: set(rows(served.address)), set(EXPERIMENTS), seconds=10)


def test_a_view_for_others_and_its_scalars(lab: Repository, tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("fashionboard"))
    command = [program, "board", "tiny", "--no-serve", "--view", str(tmp_path / "view")]
    export = ["--export-scalars", str(tmp_path / "s.csv")]
    made = subprocess.run(command, cwd=lab.path, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1] == str(tmp_path / "view")
    assert {path.name for path in (tmp_path / "view" / "tiny").iterdir() if path.is_dir()} == {
        "embed",
        "evaluate",
        "train",
        "visualize",
    }
    subprocess.run([program, "board", "tiny", *export], cwd=lab.path, check=True, capture_output=True)
    with (tmp_path / "s.csv").open() as file:
        found = [
            (int(r["step"]), float(np.float32(r["value"])))
            for r in csv.DictReader(file)
            if r["tag"] == "training loss"
        ]
    assert found == loss(lab, "tiny")
