"""Experiments seen while DVC runs them: in its queue and with --temp, real ones, through TensorBoard."""

import json
import os
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import Served, board, eventually, get, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for whose end a training waits before it fails."""
    path = tmp_path / "hold"
    path.touch()
    monkeypatch.setenv("HOLD", str(path))
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose committed run takes no time, and whose experiments take seconds."""
    repository = plain(tmp_path / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


def points(served: Served) -> dict[str, int]:
    """Return the number of points of each run's loss."""
    found = {}
    for run in get(served.address, "runs") or []:
        answer = get(served.address, "plugin/scalars/scalars", run=run, tag="loss")
        if answer is not None:
            found[run] = len(answer)
    return found


def watch(
    served: Served, until: set[str], whole: int, seconds: float = 90, replaced: str = ""
) -> dict[str, list[int]]:
    """Return how many points each run was seen with, one after the other, until these runs have them all.

    replaced: a run that is absent once, between the points of an earlier run and its own.
    """
    seen: dict[str, list[int]] = defaultdict(list)
    absent = False
    end = time.monotonic() + seconds
    while not all(seen.get(run, [])[-1:] == [whole] for run in until):
        assert time.monotonic() < end, dict(seen)
        found = points(served)
        absent = absent or (replaced in seen and replaced not in found)
        if absent and replaced in found:
            replaced = ""
        # what becomes a result is never absent on the way
        assert until & set(seen) - {replaced} <= set(found)
        for run, count in found.items():
            if seen[run][-1:] != [count]:
                seen[run].append(count)
        time.sleep(0.2)
    return seen


def test_a_queue_is_seen_live(repository: Repository) -> None:
    rates = {"a": "0.1", "b": "0.2", "c": "1e-5", "d": "0.4"}
    for name, lr in rates.items():
        settings = (f"train.lr={lr}", "train.steps=14", "train.pause=1.0")
        repository.dvc("exp", "run", "-q", "--queue", "-n", name, *(f"-S{each}" for each in settings))
    with board(repository.path) as served:
        repository.start_queue(2)
        runs = {f"{name}/train" for name in rates}
        seen = watch(served, runs, 14)
        for run in runs:
            # at least twice on the way, and never fewer than before, nor more than there are
            assert len(seen[run]) > 2 and seen[run] == sorted(seen[run]) and seen[run][-1] == 14
        eventually(
            lambda: [f"{name}: running, now experiment\n" in served.said for name in rates], [True] * 4
        )
        # under the same names, with the same points, and nothing twice
        assert points(served) == {**dict.fromkeys(runs, 14), "main/train": 5, "workspace/train": 5}
        eventually(
            lambda: {row["sessions"][0]["status"] for row in rows(served.address).values()},
            {"STATUS_SUCCESS"},
        )
        found = rows(served.address)
        assert {name: row["hparams"]["train.lr"] for name, row in found.items()} == {
            name: float(lr) for name, lr in rates.items()
        }
        for name, row in found.items():
            final = {value["name"]["tag"]: value["value"] for value in row["metricValues"]}["final/loss"]
            assert final == pytest.approx(float(rates[name]), rel=1e-7)  # float32


def test_failed_and_killed_ones_are_labelled_and_keep_their_points(
    repository: Repository, hold: Path
) -> None:
    slow = ("-S", "train.pause=0.5", "-S", "train.steps=60")
    repository.dvc("exp", "run", "-q", "--queue", "-n", "fails", *slow, "-S", "train.fails=true")
    repository.dvc("exp", "run", "-q", "--queue", "-n", "killed", *slow)
    command = ["dvc", "exp", "run", "-q", "--temp", "-n", "temporary", *slow, "-S", "train.lr=0.3"]
    with board(repository.path) as served:
        repository.start_queue(2)
        temporary = subprocess.Popen(
            command,
            cwd=repository.path,
            env=repository.environment(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        names = ("fails", "killed", "temporary")
        eventually(lambda: min(points(served).get(f"{name}/train", 0) for name in names) > 2, True)
        before = points(served)
        hold.unlink()
        repository.dvc("queue", "kill", "--force", "killed")
        # all of it, and at once: DVC tidies nothing up
        for process in [
            *psutil.Process(temporary.pid).children(recursive=True),
            psutil.Process(temporary.pid),
        ]:
            process.send_signal(signal.SIGKILL)
        temporary.wait()
        expected = {
            "fails (failed)/train",
            "killed (killed)/train",
            "temporary (killed)/train",
            "main/train",
            "workspace/train",
        }
        eventually(lambda: set(points(served)), expected)
        after = points(served)
        assert after["fails (failed)/train"] == 3
        for name in ("killed", "temporary"):
            assert after[f"{name} (killed)/train"] >= before[f"{name}/train"]
        for name in ("fails (failed)", "killed (killed)", "temporary (killed)"):
            assert rows(served.address)[name]["sessions"][0]["status"] == "STATUS_FAILURE"
    # what was killed has left its copy behind: another board shows it, labelled
    with board(repository.path) as served:
        (copy,) = (repository.path / ".dvc" / "tmp" / "exps" / "standalone").glob("tmp*")
        os.utime(copy, (0, 0))
        eventually(lambda: "temporary (killed)/train" in points(served), True)


def test_an_experiment_in_the_workspace_is_seen_there(repository: Repository) -> None:
    with board(repository.path) as served:
        command = ["dvc", "exp", "run", "-q", "-n", "here", "-S", "train.steps=8", "-S", "train.pause=0.8"]
        running = subprocess.Popen(
            command, cwd=repository.path, env=repository.environment(), stdin=subprocess.DEVNULL
        )
        seen = watch(served, {"workspace/train", "here/train"}, 8, replaced="workspace/train")
        assert running.wait() == 0
        assert {2, 3, 4, 5, 6, 7} & set(seen["workspace/train"])
        # DVC has HEAD detached meanwhile: it keeps its name
        assert set(points(served)) == {"main/train", "workspace/train", "here/train"}


@pytest.mark.parametrize("fast", ["true", "false"])
def test_an_experiment_run_again_with_other_parameters_has_another_row(
    repository: Repository, fast: str
) -> None:
    repository.dvc("exp", "run", "-q", "-n", "again", "-S", "train.lr=0.1")
    with board(repository.path, "--", f"--load_fast={fast}") as served:
        eventually(
            lambda: {name: row["hparams"]["train.lr"] for name, row in rows(served.address).items()},
            {"again": 0.1},
        )
        repository.dvc("exp", "run", "-q", "-f", "-n", "again", "-S", "train.lr=0.2")
        eventually(
            lambda: {name: row["hparams"]["train.lr"] for name, row in rows(served.address).items()},
            {"again": 0.2},
        )
        answer = get(served.address, "plugin/scalars/scalars", run="again/train", tag="loss")
        assert answer[0][2] == pytest.approx(0.2)


def test_nothing_that_a_copy_began_with_is_shown_as_its_own(tmp_path: Path, hold: Path) -> None:
    """Neither what the baseline has, nor what was run in the workspace and not committed."""
    stages = json.loads((plain(tmp_path / "other").path / "dvc.yaml").read_text())["stages"]
    stages["again"] = {"cmd": "cp -r logs again", "deps": ["logs"], "outs": ["again"]}
    repository = plain(
        tmp_path / "r", {"dvc.yaml": json.dumps({"stages": stages}), ".gitignore": "/logs\n/again\n"}
    )
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    repository.set({"train.lr": 0.9, "train.steps": 4})
    repository.dvc("repro", "-q")
    settings = ("-S", "train.pause=1.5", "-S", "train.fails=true")
    repository.dvc("exp", "run", "-q", "--queue", "-n", "fails", *settings)
    with board(repository.path) as served:
        repository.start_queue(1)
        seen: dict[str, set[int]] = defaultdict(set)
        end = time.monotonic() + 60
        while 3 not in seen["fails (failed)/train"]:
            assert time.monotonic() < end, dict(seen)
            for run, count in points(served).items():
                seen[run].add(count)
            if 3 in seen["fails/train"]:
                hold.unlink(missing_ok=True)
            time.sleep(0.1)
        assert {run for run, counts in seen.items() if counts and run.startswith("fails")} == {
            "fails/train",
            "fails (failed)/train",
        }
        assert seen["fails/train"] <= {1, 2, 3} and seen["fails (failed)/train"] == {3}
        metrics = rows(served.address)["fails (failed)"].get("metricValues", [])
        assert {value["name"]["tag"] for value in metrics} == {"loss"}


def test_any_pipeline_keeps_its_points_when_a_run_becomes_a_result(tmp_path: Path) -> None:
    """Stages of a foreach, a parameters file of another name, all in a part of the git repository."""
    stage = {
        "foreach": ["a", "b"],
        "do": {
            "cmd": "cp settings.yaml ${item}/params.yaml && cd ${item} && python ../train.py",
            "deps": ["train.py"],
            "params": [{"settings.yaml": ["train"]}],
            "outs": ["${item}/logs"],
            "metrics": [{"${item}/metrics.json": {"cache": False}}],
        },
    }
    settings = {
        "train": {"lr": "1e-3", "steps": 1, "pause": 0.9, "fails": False, "sizes": [{"x": None}], "more": {}}
    }
    files = {
        "dvc.yaml": json.dumps({"stages": {"train": stage}}),
        "settings.yaml": json.dumps(settings),
        ".gitignore": "logs\nparams.yaml\n",
        "a/keep": "",
        "b/keep": "",
    }
    repository = plain(tmp_path / "r", files, subdir=True)
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    with board(repository.path) as served:
        command = ["dvc", "exp", "run", "-q", "--temp", "-n", "more", "-S", "settings.yaml:train.steps=7"]
        running = subprocess.Popen(
            command, cwd=repository.path, env=repository.environment(), stdin=subprocess.DEVNULL
        )
        watch(served, {"more/train@a", "more/train@b"}, 7)
        assert running.wait() == 0
        eventually(lambda: "more: running, now experiment\n" in served.said, True)
        end = time.monotonic() + 8
        while time.monotonic() < end:
            assert {"more/train@a": 7, "more/train@b": 7}.items() <= points(served).items()
        (row,) = rows(served.address).values()
        assert row["hparams"]["settings.yaml:train.lr"] == 0.001
        assert {value["name"]["tag"] for value in row["metricValues"]} >= {
            "a/metrics.json:final/loss",
            "b/metrics.json:final/loss",
        }
