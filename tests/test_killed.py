"""Whatever is killed, whenever: the next `dvc repro` ends as if nothing had happened."""

import json
import os
import signal

import pytest

from tests.killing import ATTACKS, Attack, measure, strike
from tests.repository import Repository, stages_run

# `make torture` sets more
KILLS = int(os.environ.get("KILLS", "20"))


@pytest.fixture(scope="module")
def repository(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone with a training of seconds, so that many a kill falls into it."""
    clone = finished.clone(tmp_path_factory.mktemp("killed") / "clone", cache="copy")
    clone.dvc("checkout")
    clone.set({"train.epochs": 3})
    clone.dvc("repro")
    clone.git("commit", "-qam", "longer")
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
