"""The five stages under a real DVC on data sets of somebody's own, with three classes and with twenty-six."""

import csv
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fashionboard.data import dataset
from fashionboard.network import checkpoint
from tests.support import folders
from tests.support.repository import Repository, stages_run

pytestmark = pytest.mark.slow

ALL = ["download", "visualize", "embed", "train", "evaluate"]
# DVC would take the names of the second and third for a path in a plot's data, or for two columns
THREE = ("cat", "dog.wolf/fox", "Größe, [2]")
LETTERS = tuple(string.ascii_uppercase)


@pytest.fixture(scope="module")
def three(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """A repository after `dvc repro` on `three`, a folder in it that nobody tracks; and what that printed."""
    repository = Repository.create(tmp_path_factory.mktemp("own") / "r", root)
    folders.write(repository.path / "three", THREE, each=20)
    repository.set({"data.dataset": "idx", "data.path": "three", "embed.points": 40, "train.lr": 0.01})
    printed = repository.dvc("repro")
    repository.git("commit", "-qam", "three classes")
    return repository, printed


@pytest.fixture(scope="module")
def letters(three: tuple[Repository, str]) -> tuple[Repository, str]:
    """The same with the experiment `letters`, which ran in a copy elsewhere, applied."""
    repository, _ = three
    folders.write(repository.path / "letters", LETTERS, each=8, packed=True)
    # a copy has what git or DVC tracks
    repository.dvc("add", "-q", "letters")
    printed = repository.dvc("exp", "run", "--temp", "-n", "letters", "-S", "data.path=letters")
    repository.git("rm", "-q", "--cached", "letters.dvc")
    repository.git("checkout", "-q", ".gitignore")
    clone = repository.clone(repository.path.parent / "letters")
    clone.git("fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    clone.dvc("exp", "apply", "-q", "letters")
    clone.dvc("checkout", "-q")
    return clone, printed


def check(repository: Repository, name: str, classes: tuple[str, ...], tests: int) -> None:
    """Hold every output of the stages against the names and number of the classes."""
    about = dataset.describe(repository.path / "data" / "raw")
    assert (about.name, about.classes) == (name, classes)
    _, origin = checkpoint.load(repository.path / "models/net.safetensors")
    assert origin == checkpoint.Origin(name, classes)
    numbers = json.loads((repository.path / "metrics" / "evaluate.json").read_text())
    assert numbers["data_set"] == name
    assert list(numbers["average_precision"]) == ["macro", *classes]
    labels = (repository.path / "runs" / "embed" / "images" / "metadata.tsv").read_text().splitlines()
    assert len(labels) == 40 and set(labels) <= set(classes)
    events = EventAccumulator(
        str(repository.path / "runs" / "evaluate"), size_guidance={"tensors": 0}
    ).Reload()
    curves = [tag for tag in events.Tags()["tensors"] if tag.startswith("pr_curve/")]
    assert curves == [f"pr_curve/{each}" for each in classes]
    with (repository.path / "plots" / "evaluate" / "confusion.csv").open(encoding="utf-8") as file:
        decisions = list(csv.DictReader(file))
    assert len(decisions) == tests
    assert np.mean([row["actual"] == row["predicted"] for row in decisions]) == numbers["accuracy"]


def shown(repository: Repository, *arguments: str) -> list[dict[str, Any]]:
    """Return the points of the precision-recall plot, as `dvc plots` writes them."""
    printed = json.loads(repository.run("dvc", "plots", *arguments, "--json").stdout)
    assert list(printed) == ["data"]  # and no errors
    (plot,) = printed["data"]["precision-recall"]
    points: list[dict[str, Any]] = plot["content"]["data"]["values"]
    return points


def test_three_classes_go_through_all_stages(three: tuple[Repository, str]) -> None:
    repository, printed = three
    assert stages_run(printed) == ALL
    check(repository, "idx:three", THREE, 30)
    assert repository.git("status", "--porcelain") == "?? three/\n"
    assert stages_run(repository.dvc("repro")) == []


def test_nothing_bears_the_path_of_the_folder(three: tuple[Repository, str]) -> None:
    repository, _ = three
    folders = ("data", "models", "runs", "metrics", "plots")
    files = [path for name in folders for path in (repository.path / name).rglob("*") if path.is_file()]
    assert len(files) >= 17
    for path in [*files, repository.path / "dvc.lock"]:
        assert str(repository.path.parent).encode() not in path.read_bytes()


def test_twenty_six_classes_go_through_all_stages_in_a_copy_elsewhere(
    letters: tuple[Repository, str],
) -> None:
    repository, printed = letters
    assert stages_run(printed) == ALL
    check(repository, "idx:letters", LETTERS, 26 * 4)


def test_dvc_plots_show_a_curve_for_each_class(
    three: tuple[Repository, str], letters: tuple[Repository, str]
) -> None:
    for (repository, _), classes in ((three, THREE), (letters, LETTERS)):
        points = shown(repository, "show")
        assert [point["class"] for point in points] == [name for name in classes for _ in range(101)]
        assert {point["rev"] for point in points} == {"workspace"}


def test_dvc_plots_compare_data_sets_of_different_classes(letters: tuple[Repository, str]) -> None:
    points = shown(letters[0], "diff", "HEAD", "workspace")
    found = {
        rev: {point["class"] for point in points if point["rev"] == rev} for rev in ("HEAD", "workspace")
    }
    assert found == {"HEAD": set(THREE), "workspace": set(LETTERS)}


def test_what_is_changed_in_the_folder_is_read_again(three: tuple[Repository, str], tmp_path: Path) -> None:
    repository = three[0].clone(tmp_path / "clone")
    repository.dvc("checkout", "-q")
    folders.write(repository.path / "three", THREE, each=20)
    assert stages_run(repository.dvc("repro")) == []
    folders.write(repository.path / "three", ("cat", "dog", "fox"), each=20)
    assert stages_run(repository.dvc("repro", "download")) == ["download"]
    assert dataset.describe(repository.path / "data" / "raw").classes == ("cat", "dog", "fox")
    assert "data/raw" in repository.dvc("status")


def test_a_folder_that_is_wrong_is_one_line_and_leaves_nothing(
    three: tuple[Repository, str], tmp_path: Path
) -> None:
    repository = three[0].clone(tmp_path / "clone")
    (repository.path / "empty").mkdir()
    (repository.path / "file").touch()
    for folder, line in (
        # DVC's own
        ("gone", "ERROR: failed to reproduce 'download': [Errno 2] No such file or directory: "),
        ("file", "error: data.path: expected a folder, found a file at file; name yours with -S data.path="),
        ("empty", f"error: {repository.path}/empty/classes.txt: cannot be read (No such file or directory)"),
    ):
        repository.set({"data.dataset": "idx", "data.path": folder})
        done = repository.run("dvc", "repro", "download", check=False)
        assert done.returncode != 0 and "Traceback" not in done.stdout
        found = next(each for each in done.stdout.splitlines() if each.lower().startswith("error: "))
        assert found.startswith(line)
        assert not list((repository.path / "data").rglob("*-ubyte"))
