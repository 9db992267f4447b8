"""`fashionboard summary` on experiments that DVC ran, held against what DVC's own command shows of them."""

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionboard.base.clock import PARTS
from fashionboard.base.errors import BoardError
from fashionboard.board import summary
from fashionboard.board.summary import Options
from tests.support import repeated
from tests.support.hostile import recorded
from tests.support.repository import Repository

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))


@pytest.fixture(scope="module")
def repeats(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return repeated.repeated(tmp_path_factory.mktemp("repeats") / "r")


@pytest.fixture(scope="module")
def odd(repeats: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone with experiments that have no score, of other code, and twice the same."""
    clone = repeats.clone(tmp_path_factory.mktemp("odd") / "r")
    clone.git("fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    clone.dvc("checkout", "-q")
    for kind in ("missing", "infinite", "words"):
        repeated.run(clone, kind, score=kind)
    with (clone.path / "train.py").open("a") as code:
        code.write("# other code\n")
    repeated.run(clone, "a-4", seed=4, lr=0.25)
    return clone


def options(repository: Repository, *revisions: str, **others: Any) -> Options:
    return replace(Options(repository.path, revisions, (), (), "text"), **others)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that returns the table as rows of cells, and the lines beside it."""

    def call(repository: Repository, *revisions: str, **others: Any) -> tuple[list[list[str]], list[str]]:
        summary.run(options(repository, *revisions, **others))
        done = capsys.readouterr()
        return [re.split("  +", line.strip()) for line in done.out.splitlines()], done.err.splitlines()

    return call


def shown(repository: Repository) -> dict[str, dict[str, float]]:
    """Return the metrics of each experiment by name, as `dvc exp show` has them."""
    (_, head) = json.loads(repository.dvc("exp", "show", "--json"))
    return {
        each["name"]: each["revs"][0]["data"]["metrics"]["metrics.json"]["data"]
        for each in head["experiments"]
    }


def test_mean_deviation_best_and_worst_are_those_of_dvcs_metrics(
    repeats: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    summary.run(options(repeats, form="json"))
    done = capsys.readouterr()
    found = {each["parameters"]["train.lr"]: each for each in map(json.loads, done.out.splitlines())}
    scores = {name: metrics["score"] for name, metrics in shown(repeats).items()}
    assert scores.keys() == repeated.EXPERIMENTS.keys() and found.keys() == {0.25, 0.125}
    for lr, letter in ((0.25, "a"), (0.125, "b")):
        own = {name: score for name, score in scores.items() if name.startswith(letter)}
        each, score = found[lr], found[lr]["metrics"]["score"]
        assert each["parameters"].keys() == {"train.lr"}
        assert each["n"] == score["n"] == len(own) and sorted(each["experiments"]) == sorted(own)
        assert score["mean"] == pytest.approx(np.mean(list(own.values())), rel=1e-15)
        assert score["std"] == pytest.approx(np.std(list(own.values()), ddof=1), rel=1e-12)
        assert (each["best"], each["worst"]) == (max(own, key=own.__getitem__), min(own, key=own.__getitem__))
    # no step, no metric of a class; the score decides
    assert list(found[0.25]["metrics"]) == ["score", "loss"]
    means = [json.loads(line)["metrics"]["score"]["mean"] for line in done.out.splitlines()]
    assert means == sorted(means, reverse=True)
    assert done.err.splitlines() == [
        "best and worst are told by score: larger is better",
        "not shown: last_step, by_class/a, by_class/b; --metric NAME shows one",
    ]


def test_parameters_and_metrics_are_chosen_by_an_end_of_their_name(repeats: Repository, told: Any) -> None:
    rows, notes = told(repeats, by=("split_seed",), metric=("loss", "a"))
    titles = "train.split_seed, n, loss mean, loss std, by_class/a mean, by_class/a std, best, worst"
    assert rows[0] == titles.split(", ")
    assert {row[0]: row[1] for row in rows[1:]} == {"0": "4", "3": "1"}
    assert notes == ["best and worst are told by loss: smaller is better"]
    losses = {name: metrics["loss"] for name, metrics in shown(repeats).items() if name != "a-3"}
    (four,) = [row for row in rows if row[0] == "0"]
    assert four[-2:] == [min(losses, key=losses.__getitem__), max(losses, key=losses.__getitem__)]


def test_revisions_are_names_patterns_and_commits(repeats: Repository, told: Any) -> None:
    rows, _ = told(repeats, "a-*", "main")
    assert {row[0]: row[1] for row in rows[1:]} == {"0.25": "3", "0.5": "1"}
    rows, notes = told(repeats, "HEAD~1..HEAD", "HEAD~1")
    # one of them has run, so nothing differs
    assert [row[0] for row in rows] == ["n", "1"] and rows[1][2] == "-"
    assert "HEAD~1: no run is recorded there; left out" in notes


@pytest.mark.slow
def test_what_is_no_finite_number_is_told(odd: Repository, told: Any) -> None:
    rows, notes = told(odd, by=("lr",))
    counts = {row[0]: row[1:3] for row in rows[1:]}
    assert counts == {"0.25": ["4", "4"], "0.125": ["2", "2"], "0.5": ["3", "0"]}
    assert rows[-1][:5] == ["0.5", "3", "0", "-", "-"] and rows[-1][-2:] == ["-", "-"]
    (line,) = [each for each in notes if each.startswith("score: ")]
    assert line == "score: no finite number in infinite, missing, words; the others count"
    # where none has it, others are told
    rows, _ = told(odd, "infinite", "words")
    assert rows[0] == ["train.score", "n", "loss mean", "loss std", "best", "worst"]


@pytest.mark.slow
def test_other_code_and_the_same_seeds_are_told(odd: Repository, told: Any) -> None:
    _, notes = told(odd, "a-*")
    several = "a-1, a-2, a-3 and 1 more are one setting by their parameters"
    assert notes[-1] == f"{several}, but ran other code, commands or data"
    again = odd.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "again").strip()
    odd.git("tag", "again", again)
    _, notes = told(odd, "main", "again", "a-1")
    assert notes[-1] == "main, again ran with the same parameters, seeds included, and count as often"


@pytest.mark.parametrize(
    ("named", "others", "said"),
    [
        (("workspace",), {}, "expected experiments or commits, found workspace; "),
        (("mian",), {}, "expected a revision, found 'mian'; did you mean main?"),
        ((), {"by": ("ls",)}, "expected a parameter of what is shown, found 'ls'; "),
        ((), {"by": ("score/x",)}, "expected a parameter of what is shown, found 'score/x'; "),
        ((), {"metric": ("scor",)}, "expected a metric of what is shown, found 'scor'; did you mean score?"),
        (("HEAD~1",), {}, "expected parameters or metrics, found none: HEAD~1: no run is recorded there"),
    ],
)
def test_what_it_cannot_tell_is_an_error(
    repeats: Repository, named: tuple[str, ...], others: dict[str, Any], said: str
) -> None:
    with pytest.raises(BoardError, match=f"^{re.escape(said)}"):
        summary.run(options(repeats, *named, **others))


def test_without_experiments_it_says_what_to_do(tmp_path: Path) -> None:
    repository = Repository(recorded(tmp_path / "r"))
    said = r"^expected experiments that start from HEAD, found none; run some \("
    with pytest.raises(BoardError, match=said):
        summary.run(options(repository))


def test_seconds_are_those_of_all_stages_and_of_no_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository(recorded(tmp_path / "r"))
    (repository.path / "params.yaml").write_text("lr: 1\n")
    (repository.path / "dvc.yaml").write_text(
        json.dumps({"stages": {"train": {"cmd": "true", "outs": ["logs"]}}, "params": ["params.yaml"]})
    )
    repository.git("add", "-A")
    repository.git("-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "-qm", "parameters")
    kept = repository.path / ".dvc" / "tmp" / "fashionboard" / "times-0123456789abcdef.json"
    kept.parent.mkdir(parents=True)
    summary.run(options(repository, "main"))
    assert "seconds" not in capsys.readouterr().out
    parts = dict.fromkeys(PARTS, 1.25)
    kept.write_text(json.dumps({"parts": parts, "peak_memory": 1, "processor": "x", "loop": None}))
    summary.run(options(repository, "main", form="json"))
    assert json.loads(capsys.readouterr().out)["seconds"] == sum(parts.values())


def call(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, "summary", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_command_itself(repeats: Repository) -> None:
    done = call(repeats.path, "a-*", "--csv", "--metric", "score", "--by", "lr")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert done.returncode == 0 and rows[1][:3] == ["0.25", "3", "3"]
    own = [metrics["score"] for name, metrics in shown(repeats).items() if name.startswith("a")]
    assert float(rows[1][3]) == pytest.approx(np.mean(own), rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--csv", "--json"), "not allowed with argument"),
        (("--times", "--markdown"), "argument --markdown: not allowed with argument --times"),
        (("--times", "--by", "lr"), "argument --by: not allowed with argument --times"),
        (("--metric", ""), "expected the name of a metric or parameter, found nothing"),
    ],
)
def test_what_excludes_each_other_is_the_usage(
    repeats: Repository, arguments: tuple[str, ...], said: str
) -> None:
    done = call(repeats.path, *arguments)
    assert done.returncode == 2 and said in done.stderr
