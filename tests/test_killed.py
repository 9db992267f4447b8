"""Whatever is killed, whenever: the next `dvc repro` ends as if nothing had happened."""

import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest

from tests.support import trouble
from tests.support.killing import (
    ATTACKS,
    COMMANDS,
    Attack,
    DvcAttack,
    measure,
    measure_dvc,
    strike,
    strike_dvc,
)
from tests.support.repository import Repository, stages_run

pytestmark = pytest.mark.slow

# `make torture` sets more
KILLS = int(os.environ.get("KILLS", "20"))
KILLS_OF_DVC = int(os.environ.get("KILLS", "8"))


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone with a training of seconds, so that many a kill falls into it."""
    clone = finished.clone(tmp_path_factory.mktemp("killed") / "clone", cache="copy")
    clone.dvc("checkout")
    clone.set({"train.epochs": 3})
    clone.dvc("repro")
    clone.git("commit", "-qam", "longer")
    assert "epochs: 3" in clone.git("show", "HEAD:params.yaml")
    return clone


@pytest.fixture(scope="module")
def seconds(repository: Repository) -> dict[str, float]:
    return measure(repository)


def saved_step(repository: Repository) -> int | None:
    """Return the step up to which an unfinished training is saved, if there is one."""
    for path in (repository.path / ".dvc" / "tmp" / "fashionboard").glob("train-*.safetensors"):
        _, about, _ = path.read_bytes().split(b"\n", 2)
        return int(max(report["step"] for report in json.loads(about)["reports"]))
    return None


def recover(repository: Repository, printed: str, lock: bytes, *force: str) -> None:
    """Run DVC again and find everything as if nothing had happened."""
    assert "Traceback" not in printed
    saved = saved_step(repository)
    again = repository.dvc("repro", *force)
    # a training saved by an earlier kill waits for the next one
    assert (f"going on after step {saved}\n" in again) == (saved is not None and "train" in force)
    assert stages_run(repository.dvc("repro")) == []
    assert (repository.path / "dvc.lock").read_bytes() == lock
    assert repository.git("status", "--porcelain") == ""
    assert "up to date" in repository.dvc("status")


@pytest.mark.parametrize("number", range(KILLS))
def test_after_a_kill_everything_ends_as_if_nothing_had_happened(
    repository: Repository, seconds: dict[str, float], number: int
) -> None:
    attack = Attack.draw(number, seconds)
    lock = (repository.path / "dvc.lock").read_bytes()
    printed = strike(repository, attack)
    # left to itself, DVC takes the outputs from its cache; forced, it runs the stage again
    recover(repository, printed, lock, *(["--force", "--single-item", attack.stage] if number % 2 else []))


@pytest.mark.parametrize(("target", "kind"), ATTACKS)
def test_a_killed_training_repeats_no_interval(
    repository: Repository, target: str, kind: signal.Signals
) -> None:
    def two_reports_are_saved() -> bool:
        return (saved_step(repository) or 0) >= 59

    for path in (repository.path / ".dvc" / "tmp" / "fashionboard").glob("*"):
        path.unlink()
    lock = (repository.path / "dvc.lock").read_bytes()
    printed = strike(repository, Attack("train", target, kind, delay=0), two_reports_are_saved)
    saved = saved_step(repository)
    assert saved is not None and 59 <= saved < 299
    recover(repository, printed, lock, "--force", "--single-item", "train")
    assert saved_step(repository) is None


@pytest.fixture(scope="module")
def dvc_seconds(repository: Repository) -> dict[str, float]:
    (repository.path / "notes.txt").write_text("committed\n")
    repository.git("add", "notes.txt")
    repository.git("commit", "-qm", "notes")
    found = measure_dvc(repository)
    repository.run("fashionboard", "restore")
    return found


@pytest.mark.parametrize("number", range(KILLS_OF_DVC))
def test_whatever_dvc_does_when_it_is_killed_the_page_brings_all_back(
    repository: Repository, dvc_seconds: dict[str, float], root: Path, number: int
) -> None:
    page, notes = root / "docs" / "trouble.md", repository.path / "notes.txt"
    lock, head = (repository.path / "dvc.lock").read_bytes(), repository.git("rev-parse", "HEAD")
    attack = DvcAttack.draw(number, dvc_seconds)
    notes.write_text("not committed\n")
    printed = strike_dvc(repository, attack, number)
    assert "Traceback" not in printed
    # a person looks at what git says, and may run the pipeline again, but not with an experiment's parameters
    again = number // len(COMMANDS) % 2 == 1 and "exp" not in COMMANDS[attack.command]
    look = [["git", "status"], *([["dvc", "repro"]] if again else [])]
    told = "".join(repository.run(*command, check=False).stdout for command in look)
    steps = trouble.commands(page, told) or ([] if again else ["fashionboard restore"])
    for step in steps:
        done = repository.run(*shlex.split(step)).stdout
        if "git stash pop" in done:
            repository.git("checkout", "HEAD", "notes.txt")
            repository.git("stash", "pop")
            repository.git("checkout", "HEAD", "params.yaml", "dvc.lock")
        if found := re.search(r"Kept in (\S+): .*from-the-run/notes.txt", done):
            shutil.copy(f"{found[1]}/from-the-run/notes.txt", notes)
    assert notes.read_text() == "not committed\n"
    repository.git("checkout", "HEAD", "notes.txt")
    assert stages_run(repository.dvc("repro")) == []
    assert repository.git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert repository.git("rev-parse", "HEAD") == head
    assert (repository.path / "dvc.lock").read_bytes() == lock
    assert repository.git("status", "--porcelain") == ""
    assert repository.git("for-each-ref", "refs/exps/exec/EXEC_MERGE", "refs/exps/stash") == ""
    # DVC's copy in the stash looks like a person's own, and is never removed
    if repository.git("stash", "list"):
        assert repository.git("stash", "show", "--name-only") == "notes.txt\n"
        assert repository.git("show", "stash@{0}:notes.txt") == "not committed\n"
        repository.git("stash", "clear")
    assert "up to date" in repository.dvc("status")
