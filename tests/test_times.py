"""Stages that a real DVC runs measure themselves, and `fashionboard summary --times` tells what they took."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fashionboard.base import params, processor
from fashionboard.base.clock import PARTS
from fashionboard.data import dataset
from fashionboard.events import inputs
from fashionboard.network import compute, nets
from fashionboard.training import resume
from fashionboard.training.loop import Trainer
from tests.support.repository import Repository

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))
STAGES = ["embed", "evaluate", "train", "visualize"]
NOTE = "times are kept only in the folder in which a stage ran: what has none ran elsewhere, or not yet\n"
TMP = Path(".dvc/tmp/fashionboard")


def call(repository: Repository, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [PROGRAM, "summary", "--times", *arguments]
    environment = repository.environment()
    return subprocess.run(
        command, cwd=repository.path, env=environment, capture_output=True, text=True, check=False
    )


def summary(repository: Repository, *arguments: str) -> list[dict[str, Any]]:
    done = call(repository, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def kept(repository: Repository) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (repository.path / TMP).glob("times-*")}


@pytest.fixture
def copy(finished: Repository, tmp_path: Path) -> Repository:
    """A copy of the finished repository, with what it keeps."""
    shutil.copytree(finished.path, tmp_path / "copy", symlinks=True)
    return Repository(tmp_path / "copy")


@pytest.fixture
def clone(finished: Repository, tmp_path: Path) -> Repository:
    """A clone of it, to which nothing came along but commits and outputs."""
    clone = finished.clone(tmp_path / "clone")
    clone.dvc("checkout", "-q")
    return clone


def test_the_workspace_and_its_commit_have_the_times_of_their_run(finished: Repository) -> None:
    found = summary(finished, "workspace", "main")
    assert [(each["name"], each["stage"]) for each in found] == [
        (name, stage) for name in ("workspace", "main") for stage in STAGES
    ]
    head = finished.git("rev-parse", "HEAD").strip()
    assert [each["revision"] for each in found] == [None] * 4 + [head] * 4
    for each, same in zip(found[:4], found[4:], strict=True):
        assert {**same, "name": "workspace", "revision": None} == each
        assert list(each["parts"]) == list(PARTS)
        assert each["seconds"] == pytest.approx(sum(each["parts"].values()), abs=0.01)
        # what each of them does
        assert all(each["parts"][part] > 0 for part in ("imports", "reading", "computing", "events"))
        # what numpy and matplotlib alone take, and more than torch does
        assert 40_000_000 < each["peak_memory"] < 4_000_000_000
        assert each["processor"] == processor.name()
    assert summary(finished) == found[:4]
    loops = {each["stage"]: each["loop"] for each in found}
    assert loops["train"]["first_step"] == 0 and loops["train"]["steps"] == 100
    assert loops["train"]["steps_per_second"] == pytest.approx(100 / loops["train"]["seconds"])
    assert [loops[stage] for stage in STAGES if stage != "train"] == [None] * 3
    assert found[2]["parts"]["figures"] > 0 and found[2]["parts"]["outputs"] > 0
    # the loop is part of the whole
    assert loops["train"]["seconds"] < found[2]["seconds"]


def test_a_file_bears_the_key_of_the_event_file(finished: Repository) -> None:
    keys = {
        path.name.removeprefix("events.out.tfevents.")
        for path in (finished.path / "runs").glob("*/events.out.tfevents.*")
    }
    assert kept(finished).keys() == {f"times-{key}.json" for key in keys} and len(keys) == 4


def test_they_are_no_output(finished: Repository) -> None:
    recorded = (finished.path / "dvc.lock").read_text() + finished.git("ls-files")
    assert "times-" not in recorded


def test_a_table_for_a_person(finished: Repository) -> None:
    done = call(finished, "workspace", "HEAD~1")
    assert (done.returncode, done.stderr) == (0, NOTE)
    lines = done.stdout.splitlines()
    titles = re.split("  +", lines[0])
    assert titles[:5] == ["name", "revision", "stage", "seconds", "imports"]
    assert titles[-4:] == ["steps", "steps/s", "peak memory", "processor"]
    cells = [re.split("  +", line) for line in lines[1:]]
    assert [row[:3] for row in cells[:4]] == [["workspace", "-", stage] for stage in STAGES]
    assert cells[2][titles.index("steps")] == "100"
    # the commit before the run
    first = finished.git("rev-parse", "--short=7", "HEAD~1").strip()
    assert cells[4] == ["HEAD~1", first, *["-"] * (len(titles) - 2)]
    # where all is known, there is nothing to say
    assert call(finished).stderr == ""


@pytest.mark.slow
def test_an_experiment_in_a_temporary_copy_has_its_own(copy: Repository) -> None:
    before = kept(copy)
    copy.dvc("exp", "run", "-q", "--temp", "-n", "two", "-S", "train.lr=0.002")
    found, main = summary(copy, "two"), summary(copy, "main")
    assert [each["stage"] for each in found] == STAGES
    by_stage = {each["stage"]: each for each in found}
    assert by_stage["train"]["loop"]["steps"] == 100 and by_stage["evaluate"]["seconds"] > 0
    # two stages ran, and nothing was overwritten
    after = kept(copy)
    assert before.items() < after.items() and len(after) == len(before) + 2
    for one, other in zip(found, main, strict=True):
        ran = one["stage"] in ("train", "evaluate")
        assert (one["parts"] != other["parts"]) == ran
    assert copy.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_clone_knows_none_until_it_runs_and_the_outputs_stay(clone: Repository) -> None:
    assert [each["stage"] for each in summary(clone)] == STAGES
    assert {each["seconds"] for each in summary(clone, "main")} == {None}
    clone.dvc("repro", "-q", "--force", "--single-item", "embed", "visualize")
    known = {each["stage"] for each in summary(clone, "main") if each["seconds"]}
    assert known == {"embed", "visualize"}
    # every output has the bytes that dvc.lock records
    assert clone.git("status", "--porcelain") == "" and "up to date" in clone.dvc("status")
    first = kept(clone)
    clone.dvc("repro", "-q", "--force", "--single-item", "embed")
    assert kept(clone).keys() == first.keys() and kept(clone) != first
    assert clone.git("status", "--porcelain") == "" and "up to date" in clone.dvc("status")


@pytest.mark.slow
def test_a_training_that_went_on_tells_of_its_last_process(
    copy: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(copy.path))
    settings = params.load(copy.path / "params.yaml").train
    compute.configure("cpu", settings.threads)
    images = dataset.load(copy.path / "data/raw", "train")
    trainer = Trainer(nets.initial(settings.seed, 10, settings.model), settings)
    training = trainer.train(images)
    # killed after its second report
    reports = [next(training), next(training)]
    resume.save(inputs.key("train", settings, copy.path), trainer.state, reports)
    said = copy.dvc("repro", "--force", "--single-item", "train")
    assert "going on after step 59" in said
    (train,) = [each for each in summary(copy) if each["stage"] == "train"]
    assert train["loop"]["first_step"] == 60 and train["loop"]["steps"] == 40
    assert "40 from 60  " in call(copy).stdout
    assert copy.git("status", "--porcelain") == ""


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_stage_succeeds_where_they_cannot_be_kept(copy: Repository, tmp_path: Path, kind: str) -> None:
    shutil.rmtree(copy.path / TMP)
    if kind == "file":
        (copy.path / TMP).touch()
    else:
        (copy.path / TMP).symlink_to(tmp_path, target_is_directory=True)
    before = sorted(tmp_path.iterdir())
    said = copy.dvc("repro", "--force", "--single-item", "embed")
    assert said.count("embed: how long it took cannot be kept (") == 1
    assert copy.git("status", "--porcelain") == "" and sorted(tmp_path.iterdir()) == before
    assert {each["seconds"] for each in summary(copy)} == {None}


def test_a_damaged_file_and_a_link_are_as_if_there_were_none(copy: Repository, tmp_path: Path) -> None:
    names = {each["stage"]: each for each in summary(copy)}
    places = {
        stage: next((copy.path / "runs" / stage).glob("events.*")).name.rpartition(".")[2] for stage in STAGES
    }
    damaged, linked = (copy.path / TMP / f"times-{places[stage]}.json" for stage in ("embed", "train"))
    damaged.write_bytes(damaged.read_bytes()[:-10])
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    for name in ("workspace", "main"):
        found = {each["stage"]: each for each in summary(copy, name)}
        assert (found["embed"]["seconds"], found["train"]["seconds"]) == (None, None)
        assert found["evaluate"]["parts"] == names["evaluate"]["parts"]
        assert found["visualize"]["parts"] == names["visualize"]["parts"]


def test_what_is_not_in_the_cache_is_said(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="none")
    done = call(clone, "main")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("main: ")]
    assert line.startswith("main: not in DVC's cache, so without times: ") and "runs/train" in line
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[2:] == ["-"] * 12


def test_an_unknown_revision_and_no_repository_are_said_in_a_line(
    finished: Repository, tmp_path: Path
) -> None:
    done = call(finished, "mian")
    line = "error: expected a revision, found 'mian'; did you mean main?\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)
    done = call(finished, "--repo", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: expected a DVC repository, found: ")
