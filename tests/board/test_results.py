import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import dvc.api
import pytest

from fashionboard.board.live import Live
from fashionboard.board.results import Reader, Record
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from tests.support.plain import plain
from tests.support.repository import Repository


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a run, committed."""
    repository = plain(tmp_path_factory.mktemp("ran") / "r")
    repository.set({"train.lr": 0.00001})
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


def read(repository: Repository, revision: str = "HEAD", cache: Path | None = None) -> Record:
    git = Git(repository.path)
    commit = git.commit(revision) or ""
    return Reader(git, Cache(cache or repository.path / ".dvc" / "cache")).read([commit])[commit]


def amended(repository: Repository, tmp_path: Path, name: str, change: tuple[str, str] | str) -> Repository:
    """Return a clone whose file `name` is changed and committed."""
    clone = repository.clone(tmp_path / "clone")
    path = clone.path / name
    path.write_text(change if isinstance(change, str) else path.read_text().replace(*change))
    clone.git("add", "-A")
    clone.git("commit", "-qm", "amended")
    return clone


def test_a_commit_holds_what_its_run_wrote(ran: Repository) -> None:
    record = read(ran)
    (log,) = (ran.path / "logs").iterdir()
    assert record.files.keys() == {f"train/{log.name}"}
    assert record.files[f"train/{log.name}"].read_bytes() == log.read_bytes()
    assert record.parameters == {
        "train.lr": 1e-5,
        "train.steps": 5.0,
        "train.pause": 0.0,
        "train.fails": False,
        "train.sizes": "[1, 2]",
        "train.note": "null",
    }
    assert record.metrics == {
        "final/loss": json.loads((ran.path / "metrics.json").read_text())["final"]["loss"]
    }
    assert not record.missing and not record.unread


def test_parameters_and_metrics_are_those_that_dvc_shows(ran: Repository) -> None:
    with dvc.api.DVCFileSystem(str(ran.path)).repo as repo:
        tracked = repo.params.show()[""]["data"]["params.yaml"]["data"]["train"]
        metrics = repo.metrics.show()[""]["data"]["metrics.json"]["data"]
    record = read(ran)
    assert record.parameters.keys() == {f"train.{name}" for name in tracked}
    assert record.parameters["train.lr"] == float(tracked["lr"])
    assert record.metrics["final/loss"] == metrics["final"]["loss"]


def test_a_commit_before_the_first_run_holds_nothing(ran: Repository) -> None:
    record = read(ran, "HEAD~1")
    assert not record.files and not record.missing and not record.parameters


def test_what_is_not_in_the_cache_is_named_with_its_md5s(ran: Repository, tmp_path: Path) -> None:
    assert read(ran, cache=tmp_path).missing.keys() == {"logs", "metrics.json"}
    cache = tmp_path / "part"
    shutil.copytree(ran.path / ".dvc" / "cache", cache)
    (event,) = read(ran).files.values()
    absent = cache / event.relative_to(ran.path / ".dvc" / "cache")
    absent.unlink()
    record = read(ran, cache=cache)
    assert not record.files
    assert absent.parent.name + absent.name in record.missing["logs"]
    # the rest is there
    assert record.metrics


def test_what_arrives_later_is_found(ran: Repository, tmp_path: Path) -> None:
    git = Git(ran.path)
    commit = git.commit("HEAD") or ""
    reader = Reader(git, Cache(tmp_path / "cache"))
    assert reader.read([commit])[commit].missing
    shutil.copytree(ran.path / ".dvc" / "cache", tmp_path / "cache")
    record = reader.read([commit])[commit]
    assert record.files and not record.missing


def test_a_damaged_list_of_files_counts_as_missing(ran: Repository, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(ran.path / ".dvc" / "cache", cache)
    (manifest,) = cache.rglob("*.dir")
    manifest.chmod(0o644)
    manifest.write_text("[{")
    assert "logs" in read(ran, cache=cache).missing


def test_metrics_that_git_keeps_are_read_there(ran: Repository, tmp_path: Path) -> None:
    plain_metric = ('"metrics": ["metrics.json"]', '"metrics": [{"metrics.json": {"cache": false}}]')
    clone = amended(ran, tmp_path, "dvc.yaml", plain_metric)
    (clone.path / ".gitignore").write_text("/logs\n")
    clone.dvc("repro", "-q", "-f")
    clone.git("add", "-A")
    clone.git("commit", "-qm", "run")
    assert clone.git("ls-files", "metrics.json")
    assert read(clone, cache=clone.path / ".dvc" / "cache").metrics == {"final/loss": 1e-5}


def test_metrics_of_a_templated_path_and_of_a_top_level_list(ran: Repository, tmp_path: Path) -> None:
    clone = amended(ran, tmp_path, "dvc.yaml", ('["metrics.json"]', '["${file}.json"]'))
    (clone.path / "more.yaml").write_text("final: {loss: 3}\nother: 2\n")
    text = json.loads((clone.path / "dvc.yaml").read_text())
    text["metrics"] = ["more.yaml"]
    (clone.path / "dvc.yaml").write_text(json.dumps(text))
    clone.git("add", "-A")
    clone.git("commit", "-qm", "more")
    found = read(clone, cache=ran.path / ".dvc" / "cache").metrics
    # one name in two files: each bears its file, as DVC does
    assert found == {"metrics.json:final/loss": 1e-5, "more.yaml:final/loss": 3, "other": 2}


@pytest.mark.parametrize("broken", ["stages: [", "<<<<<<< HEAD\nstages: {}\n", "stages:\n  a: 1\n"])
def test_a_lock_that_cannot_be_read_is_told_and_the_rest_is_read(
    ran: Repository, tmp_path: Path, broken: str
) -> None:
    clone = amended(ran, tmp_path, "dvc.lock", broken)
    record = read(clone, cache=ran.path / ".dvc" / "cache")
    assert record.unread == ("dvc.lock cannot be read",)
    assert not record.files
    assert read(clone, "HEAD~1", cache=ran.path / ".dvc" / "cache").files


@pytest.mark.slow
def test_what_was_added_by_dvc_add_and_other_folders_of_a_repository(tmp_path: Path) -> None:
    inner = plain(tmp_path / "r", {"deep/tb/events.tfevents.1": "x"}, subdir=True)
    inner.git("rm", "-rq", "--cached", "deep/tb")
    inner.dvc("add", "-q", "deep/tb")
    inner.dvc("repro", "-q")
    inner.git("add", "-A")
    inner.git("commit", "-qm", "run")
    record = read(inner)
    assert {path.rpartition("/")[0] for path in record.files} == {"deep/tb", "train"}
    assert record.parameters["train.lr"] == 0.5
    assert record.metrics == {"final/loss": 0.5}


def test_stages_that_work_in_folders_keep_their_parameters_and_metrics_apart(tmp_path: Path) -> None:
    """Each with a params.yaml and an m.json of its own, and an m.json at the top that is neither's."""
    stages = {
        name: {
            "cmd": f"echo '{{\"v\": {value}}}' > m.json",
            "wdir": name,
            "params": ["lr"],
            "metrics": metrics,
        }
        for name, value, metrics in (("a", 1, ["m.json"]), ("b", 2, [{"m.json": {"cache": False}}]))
    }
    files = {
        "dvc.yaml": json.dumps({"stages": stages}),
        "a/params.yaml": "lr: 1",
        "b/params.yaml": "lr: 2",
        "m.json": '{"v": 111}',
        ".gitignore": "",
    }
    repository = plain(tmp_path / "r", files)
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    record = read(repository)
    assert record.parameters == {"a/lr": 1.0, "b/lr": 2.0}
    assert record.metrics == {"a/m.json:v": 1.0, "b/m.json:v": 2.0}
    assert Live(repository.path).files() == {}
    workspace = Live(repository.path)
    workspace.files()
    assert workspace.parameters == record.parameters


def test_metrics_of_every_form_and_broken_ones(ran: Repository, tmp_path: Path) -> None:
    text = json.loads((ran.path / "dvc.yaml").read_text())
    text["metrics"] = ["m.yaml", "m.toml", "broken.json", "date.yaml", "gone.json"]
    clone = amended(ran, tmp_path, "dvc.yaml", json.dumps(text))
    for name, content in {
        "m.yaml": "a: 1e-05",
        "m.toml": "[b]\nc = 2",
        "broken.json": "{",
        "date.yaml": "d: 2020-13-45",
    }.items():
        (clone.path / name).write_text(content)
    clone.git("add", "-A")
    clone.git("commit", "-qm", "metrics")
    record = read(clone, cache=ran.path / ".dvc" / "cache")
    assert record.metrics == {"a": 1e-5, "b/c": 2.0, "final/loss": 1e-5}
    assert record.unread == ("broken.json cannot be read", "date.yaml cannot be read")


@pytest.mark.slow
def test_stages_of_one_name_do_not_hide_each_other(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r")
    repository.dvc("repro", "-q")
    (event,) = (repository.path / "logs").iterdir()
    (repository.path / "train").mkdir()
    (repository.path / "train" / event.name).write_text("another")
    repository.dvc("add", "-q", "train")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "two")
    assert read(repository).files.keys() == {f"train/{event.name}", f"train~2/{event.name}"}


def test_one_damaged_commit_among_many_is_found_by_halves(
    ran: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = ran.clone(tmp_path / "clone")
    for number in range(16):
        (clone.path / "number").write_text(str(number))
        clone.git("add", "number")
        clone.git("commit", "-qm", str(number))
    commits = clone.git("rev-list", "--max-count=16", "HEAD").split()
    tree = clone.git("rev-parse", f"{commits[5]}^{{tree}}").strip()
    (clone.path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    git = Git(clone.path)
    asked = Mock(wraps=git.files)
    monkeypatch.setattr(git, "files", asked)
    reader = Reader(git, Cache(ran.path / ".dvc" / "cache"))
    records = reader.read(commits)
    assert reader.failed == {commits[5]}
    assert [commit for commit in commits if not records[commit].files] == [commits[5]]
    # all, and twice four halves
    assert asked.call_count == 9
    # the damaged one alone is read again
    reader.read(commits)
    assert asked.call_count == 10
