"""Experiments that differ in seeds alone, on a board and in the real TensorBoard's HParams."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionboard.board import seeds
from fashionboard.board.group import Group, Value
from fashionboard.board.repeats import Repeats
from tests.support import repeated, written
from tests.support.repository import Repository
from tests.support.servers import board, eventually, rows

A, B = "train.lr=0.25 (mean of 3)", "train.lr=0.125 (mean of 2)"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two settings with repeats, an experiment of its own, and one that ran other code."""
    repository = repeated.repeated(tmp_path_factory.mktemp("repeats") / "r")
    repeated.run(repository, "single", lr=0.0625)
    with (repository.path / "train.py").open("a") as code:
        code.write("# other code\n")
    repeated.run(repository, "coded", seed=4, lr=0.25)
    return repository


def group(name: str, revision: str = "", code: str = "", **parameters: Value) -> Group:
    """Return an experiment; a parameter's name has a `.` for each `__`."""
    named = {key.replace("__", "."): value for key, value in parameters.items()}
    return Group(name, revision, "experiment", parameters=named, setting=seeds.setting(named, code))


def called(*groups: Group) -> dict[str, list[str]]:
    repeats = Repeats()
    repeats.look({each.name: each for each in groups})
    return {name: list(each) for name, each in repeats.names.items()}


def test_repeats_differ_in_seeds_alone() -> None:
    found = called(
        group("b", train__seed=2.0, train__lr=0.1),
        group("a", train__seed=1.0, train__lr=0.1),
        group("c", train__seed=1.0, train__lr=0.2),
        # no seed: who knows in what they differ
        group("d", train__lr=0.3),
        group("e", train__lr=0.3),
    )
    assert found == {"train.lr=0.1 (mean of 2)": ["a", "b"]}


def test_the_same_run_again_counts_once_and_other_code_not() -> None:
    found = called(
        group("a", seed=1.0), group("b", seed=1.0), group("c", seed=2.0), group("d", seed=3.0, code="other")
    )
    assert found == {"a and others (mean of 2)": ["a", "c"]}
    assert called(group("a", seed=1.0), group("b", seed=1.0)) == {}


def test_what_runs_or_is_a_commit_is_no_repeat() -> None:
    one, other = group("a", seed=1.0), group("b", seed=2.0)
    assert called(one, other)
    for state in ("running", "failed", "killed", "commit"):
        assert called(one, replace(other, state=state)) == {}


def test_no_two_sets_have_one_name_and_none_is_too_long() -> None:
    found = called(
        *(group(f"{code}-{seed}", code=code, seed=float(seed)) for code in "xy" for seed in (1, 2))
    )
    assert found == {
        "x-1 and others (mean of 2)": ["x-1", "x-2"],
        "y-1 and others (mean of 2)": ["y-1", "y-2"],
    }
    kinds = ("a/b", "a-b", "A-b")
    found = called(
        *(group(f"{kind}{seed}", kind=kind, seed=float(seed)) for kind in kinds for seed in (1, 2))
    )
    assert len({name.casefold() for name in found}) == 3 and all("/" not in name for name in found)
    text = "very " * 100
    found = called(group("a", seed=1.0, x=text), group("b", seed=2.0, x=text), group("c", x="y"))
    assert found == {"a and others (mean of 2)": ["a", "b"]}


def test_they_are_looked_for_again_when_one_is_another() -> None:
    repeats = Repeats()
    one, other = group("a", "1", seed=1.0), group("b", "1", seed=2.0)
    repeats.look({"a": one, "b": other})
    names = repeats.names
    repeats.look({"a": one, "b": other})
    assert repeats.names is names and names
    repeats.look({"a": one, "b": group("b", "2", seed=1.0)})
    assert repeats.names == {}


def test_code_and_data_make_a_setting_and_what_stages_write_does_not(tmp_path: Path) -> None:
    def deps(code: str, data: str, model: str) -> str:
        stage = {"cmd": "x", "deps": [], "outs": []}
        train = {
            **stage,
            "deps": [{"path": "train.py", "md5": code}, {"path": "data/a", "md5": data}],
            "outs": [{"path": "model", "md5": model}],
        }
        evaluate = {**stage, "deps": [{"path": "model/net", "md5": model}]}
        return json.dumps({"schema": "2.0", "stages": {"train": train, "evaluate": evaluate}})

    repository = written.written(
        tmp_path / "r", {"dvc.yaml": written.pipeline({}), "dvc.lock": deps("1", "1", "1")}
    )
    first = written.read(repository).inputs
    for lock, is_same in (
        (deps("1", "1", "2"), True),
        (deps("2", "1", "1"), False),
        (deps("1", "2", "1"), False),
    ):
        written.commit(repository, {"dvc.lock": lock})
        assert (written.read(repository).inputs == first) == is_same


def metrics(repository: Repository) -> dict[str, dict[str, float]]:
    """Return the scores and losses of each experiment, as `dvc exp show` has them."""
    (_, head) = json.loads(repository.dvc("exp", "show", "--json"))
    return {
        each["name"]: each["revs"][0]["data"]["metrics"]["metrics.json"]["data"]
        for each in head["experiments"]
    }


def value(row: dict[str, Any], tag: str) -> float:
    (found,) = [each["value"] for each in row["metricValues"] if each["name"] == {"tag": tag, "group": ""}]
    return float(found)


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_they_are_one_row_with_the_mean_of_each_metric(repository: Repository, fast: str) -> None:
    with board(repository.path, "--", f"--load_fast={fast}") as served:
        eventually(lambda: set(rows(served.address)), {A, B, "single", "coded"})
        eventually(lambda: len(rows(served.address)[A]["sessions"]), 3)
        found, known = rows(served.address), metrics(repository)
        assert found[A]["hparams"].keys() == {"train.lr", "train.steps", "train.every", "train.score"}
        assert found[A]["hparams"]["train.lr"] == 0.25
        # one by itself keeps its seeds
        assert found["single"]["hparams"]["train.seed"] == found["single"]["hparams"]["train.split_seed"] == 0
        assert found["coded"]["hparams"]["train.seed"] == 4
        for row, letter in ((A, "a-"), (B, "b-")):
            names = [name for name in known if name.startswith(letter)]
            assert sorted(each["name"] for each in found[row]["sessions"]) == sorted(names)
            for tag in ("score", "loss"):
                expected = np.mean([known[name][tag] for name in names])
                assert value(found[row], tag) == pytest.approx(expected, rel=1e-12)
