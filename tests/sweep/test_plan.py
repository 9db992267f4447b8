"""Which experiments a sweep has, and what they are called."""

import itertools
from pathlib import Path

import pytest

from fashionboard.sweep import plan
from fashionboard.sweep.job import SweepError
from tests.support.plain import plain
from tests.support.repository import Repository

BASELINE = "1" * 40


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return plain(tmp_path_factory.mktemp("plan") / "r", {"other.yaml": "size: 3\n"})


def test_the_experiments_are_those_of_a_queue(repository: Repository, tmp_path: Path) -> None:
    given = ("train.lr=0.1,0.2", "train.steps=range(1,4)", "other.yaml:size=5", "+train.more=1")
    found = plan.settings(repository.path, BASELINE, given)
    clone = repository.clone(tmp_path / "queue", cache="none")
    clone.dvc("exp", "run", "--queue", *(f"-S{each}" for each in given))
    queued = clone.git("stash", "list").count("\n") or len(
        clone.git("for-each-ref", "refs/exps/celery").splitlines()
    )
    stash = clone.git("reflog", "refs/exps/celery/stash").splitlines()
    assert len(found) == 6 == len(stash), (queued, stash)
    told = [
        (setting.parameters["params.yaml"]["train.lr"], setting.parameters["params.yaml"]["train.steps"])
        for setting in found
    ]
    assert told == list(itertools.product([0.1, 0.2], [1, 2, 3]))
    assert {setting.parameters["other.yaml"]["size"] for setting in found} == {5}
    assert {setting.parameters["params.yaml"]["train.more"] for setting in found} == {1}
    assert all("other.yaml:size=5" in setting.overrides for setting in found)


def test_a_name_tells_what_varies_and_stays_the_same(repository: Repository) -> None:
    given = ["train.lr=0.1,1e-5", "train.steps=3"]
    first = [each.name for each in plan.settings(repository.path, BASELINE, given)]
    assert [name.rpartition("-")[0] for name in first] == ["lr-0.1", "lr-1e-05"]
    again = plan.settings(repository.path, BASELINE, ["train.steps=3", "train.lr=1e-5,0.1"])
    assert {each.name for each in again} == set(first)
    elsewhere = plan.settings(repository.path, "2" * 40, given)
    assert not {each.name for each in elsewhere} & set(first)


def test_a_single_experiment_is_named_by_all_that_is_given(repository: Repository) -> None:
    (found,) = plan.settings(repository.path, BASELINE, ["train.lr=0.3", "train.steps=2"])
    assert found.name.startswith("lr-0.3-steps-2-")


@pytest.mark.parametrize("value", ["a/b..c", "'~^:?*'", "' '", "'한글'", "x" * 300, '"@{-1}.lock"'])
def test_whatever_a_value_is_git_takes_the_name(repository: Repository, value: str) -> None:
    (found,) = plan.settings(repository.path, BASELINE, [f"train.note={value}"])
    assert len(found.name) < 80
    repository.git("check-ref-format", f"refs/exps/11/{'1' * 38}/{found.name}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("train.rate=1", "expected parameters of params.yaml, found:.*rate"),
        ("train.lr", "expected NAME=VALUE"),
        ("train.lr=[1", "expected NAME=VALUE"),
        ("train.lr=glob(*)", "expected NAME=VALUE.*[Gg]lob"),
        ("none.yaml:a=1", "expected none.yaml, a file of parameters, found no such file"),
        ("train.lr=1,1", "found the same one twice"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(repository: Repository, given: str, said: str) -> None:
    with pytest.raises(SweepError, match=said) as caught:
        plan.settings(repository.path, BASELINE, [given])
    assert "\n" not in str(caught.value)
