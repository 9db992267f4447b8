import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fashionboard.board import live
from fashionboard.board.live import Live, Processes
from fashionboard.board.results import Reader
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from tests.support.plain import plain
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return plain(tmp_path / "r")


def test_the_workspace_is_what_is_there_now(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PATIENCE", 0)
    workspace = Live(repository.path)
    assert workspace.files() == {}
    assert workspace.parameters["train.lr"] == 0.5
    logs = repository.path / "logs"
    (logs / "sub").mkdir(parents=True)
    (logs / "sub" / "events.tfevents.1").touch()
    assert workspace.files() == {"train/sub/events.tfevents.1": logs / "sub" / "events.tfevents.1"}
    (logs / "sub" / "events.tfevents.1").unlink()
    assert workspace.files() == {}
    repository.set({"train.lr": 0.25})
    workspace.files()
    assert workspace.parameters["train.lr"] == 0.25


def test_a_description_that_is_half_written_changes_nothing(repository: Repository) -> None:
    workspace = Live(repository.path)
    (repository.path / "logs").mkdir()
    (repository.path / "logs" / "events.tfevents.1").touch()
    expected = workspace.files()
    assert expected
    (repository.path / "dvc.yaml").write_text("stages: [")
    assert workspace.files() == expected
    assert workspace.parameters["train.lr"] == 0.5


def test_what_a_copy_began_with_is_not_its_own(repository: Repository, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.write_bytes(b"four")
    logs = repository.path / "logs"
    logs.mkdir()
    same = logs / "events.tfevents.1"
    same.write_bytes(b"four")
    copy = Live(repository.path, {"train/events.tfevents.1": before})
    assert copy.files() == {}
    # written anew, it grows, and may grow as large as the old one was
    same.write_bytes(b"one")
    assert list(copy.files().values()) == [same]
    same.write_bytes(b"four")
    assert list(copy.files().values()) == [same]


def test_a_large_folder_is_looked_through_seldom(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    walk = os.walk

    def slow(folder: str | Path, *arguments: Any, **options: Any) -> object:
        if Path(folder) == repository.path / "logs":
            looks.append(folder)
            time.sleep(0.02)
        return walk(folder, *arguments, **options)

    monkeypatch.setattr(os, "walk", slow)
    workspace = Live(repository.path)
    for _ in range(5):
        workspace.files()
    # 0.02 s a look is 4 s until the next
    assert len(looks) == 1


def test_processes_are_found_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "copy" / "part").mkdir(parents=True)
    processes = Processes()
    assert not processes.work_in(tmp_path / "copy")
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    worker = subprocess.Popen(command, cwd=tmp_path / "copy" / "part", stdout=subprocess.PIPE)
    assert worker.stdout
    worker.stdout.readline()
    assert processes.work_in(tmp_path / "copy")
    assert not processes.work_in(tmp_path / "cop")
    worker.kill()
    worker.wait()
    worker.stdout.close()
    assert not processes.work_in(tmp_path / "copy")


def test_parameters_are_named_as_in_the_record_of_a_run(tmp_path: Path) -> None:
    """In a folder of the repository, and from files of other names, elsewhere."""
    stage = {"cmd": "mkdir -p tb && touch tb/tfevents", "outs": ["tb"]}
    files = {
        "deep/dvc.yaml": json.dumps(
            {"stages": {"a": {**stage, "params": ["x", {"../other.json": ["b.c"]}]}}}
        ),
        "deep/params.yaml": "x: 1\ny: 2\n",
        "other.json": '{"b": {"c": 3e-7}, "d": 4}',
    }
    repository = plain(tmp_path / "r", files)
    repository.dvc("repro", "-q", "deep/dvc.yaml", "dvc.yaml")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    workspace = Live(repository.path)
    now = {path.rpartition("/")[0] for path in workspace.files()}
    git = Git(repository.path)
    commit = git.commit("HEAD") or ""
    record = Reader(git, Cache(repository.path / ".dvc" / "cache")).read([commit])[commit]
    assert workspace.parameters == record.parameters
    assert {"deep/x", "deep/../other.json:b.c", "train.lr"} <= record.parameters.keys()
    assert now == {path.rpartition("/")[0] for path in record.files} == {"deep/a", "train"}
