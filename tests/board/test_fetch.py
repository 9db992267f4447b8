import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import Repository

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))


@pytest.fixture
def team(finished: Repository, tmp_path: Path) -> tuple[Repository, Repository]:
    """A repository with an experiment and a remote that has everything, and a clone with an empty cache."""
    origin = finished.clone(tmp_path / "origin", cache="copy")
    origin.dvc("remote", "add", "-d", "storage", str(tmp_path / "storage"))
    origin.git("commit", "-qam", "remote")
    origin.dvc("exp", "run", "-q", "-n", "wide", "-S", "evaluate.thresholds=40")
    origin.dvc("push", "-q", "--all-commits")
    origin.git("reset", "-q", "--hard")
    origin.dvc("exp", "run", "-q", "-n", "wide", "-f", "-S", "evaluate.thresholds=40")
    origin.dvc("push", "-q")
    clone = origin.clone(tmp_path / "clone", cache="none")
    clone.dvc("exp", "pull", "-q", "--no-cache", "origin", "wide")
    return origin, clone


def call(repository: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "board", "--no-serve", *arguments]
    return subprocess.run(command, cwd=repository.path, capture_output=True, text=True, check=False)


def cached(repository: Repository) -> set[str]:
    folder = repository.path / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in folder.rglob("*") if path.is_file()}


def test_fetch_brings_what_event_files_need_and_nothing_else(team: tuple[Repository, Repository]) -> None:
    origin, clone = team
    assert cached(clone) == set()
    poor = call(clone)
    assert poor.returncode == 0, poor.stderr
    for name in ("main", "wide"):
        (line,) = [line for line in poor.stderr.splitlines() if line.startswith(f"{name}: ")]
        assert "runs/train" in line and "fashionboard board --fetch " in line
    rich = call(clone, "--fetch")
    assert rich.returncode == 0, rich.stderr
    assert "not in the cache" not in rich.stderr
    assert "incomplete" not in rich.stdout
    brought = cached(clone)
    assert brought < cached(origin)
    view = clone.path / ".dvc" / "tmp" / "fashionboard" / "board" / "view"
    events = {path.read_bytes() for path in view.rglob("*") if path.is_file()}
    contents = {
        digest: (clone.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes()
        for digest in brought
    }
    # each is in the view, the list of files of an output that is, or metrics for the rows
    others = {
        digest
        for digest, content in contents.items()
        if content not in events and not digest.endswith(".dir")
    }
    metrics = {(origin.path / "metrics" / f"{stage}.json").read_bytes() for stage in ("train", "evaluate")}
    assert {contents[digest] for digest in others} == metrics
    # runs/visualize, runs/embed, runs/train, and the two of runs/evaluate
    assert len([digest for digest in brought if digest.endswith(".dir")]) == 5
    # and there is nothing left to bring
    assert call(clone, "--fetch").stderr == ""
    assert cached(clone) == brought


def test_what_the_remote_has_not_is_still_named(team: tuple[Repository, Repository], tmp_path: Path) -> None:
    _, clone = team
    shutil.rmtree(tmp_path / "storage")
    (tmp_path / "storage").mkdir()
    found = call(clone, "--fetch")
    assert found.returncode == 0
    assert "main: not in the cache: " in found.stderr


def test_without_a_remote_fetch_is_refused(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="none")
    found = call(clone, "--fetch")
    assert found.returncode == 1
    assert found.stderr.startswith("error: --fetch: expected a default remote, found: ")
    assert found.stderr.count("\n") == 1
