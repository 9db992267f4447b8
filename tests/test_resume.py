from pathlib import Path

import pytest
import torch

from fashionboard import compute, network, resume, validation
from fashionboard.dataset import Images
from fashionboard.errors import PathError
from fashionboard.params import Train
from fashionboard.progress import Report
from fashionboard.training import Trainer
from tests.hostile import seen
from tests.settings import settings

SETTINGS = settings(epochs=2)


@pytest.fixture(autouse=True)
def main_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    compute.configure("cpu", 1)


def start(wanted: Train = SETTINGS) -> Trainer:
    return Trainer(network.initial(0, model=wanted.model), wanted)


def train_until(images: Images, stop: int, wanted: Train = SETTINGS) -> None:
    """Train as the stage does, and be killed after `stop` reports."""
    trainer = start(wanted)
    reports: list[Report] = []
    for report in trainer.train(*validation.hold_out(images, wanted.validation, wanted.seed)):
        if len(reports) == stop:
            # the kill comes somewhere within the next interval, with the weights gone on
            return
        reports.append(report)
        resume.save("key", trainer.state, reports)


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_training_that_was_killed_ends_in_the_same_bits(images: Images, stop: int) -> None:
    assert goes_on(images, stop, SETTINGS) == [19, 39, 49, 69, 89][:stop]


def goes_on(images: Images, stop: int, wanted: Train) -> list[int]:
    """Kill a training after `stop` reports, go on, expect the bits of a whole one; return the saved steps."""
    parts = validation.hold_out(images, wanted.validation, wanted.seed)
    whole = start(wanted)
    expected = list(whole.train(*parts))
    train_until(images, stop, wanted)
    trainer = start(wanted)
    reports = resume.load("key", trainer.state)
    steps = [report.step for report in reports]
    reports += trainer.train(*parts, after=steps[-1])
    assert [repr(report) for report in reports] == [repr(report) for report in expected]
    assert list(trainer.state) == list(whole.state)
    for name, tensor in whole.state.items():
        assert torch.equal(trainer.state[name], tensor), name
    kept, best = trainer.kept().state_dict(), whole.kept().state_dict()
    assert all(torch.equal(kept[name], best[name]) for name in best)
    return steps


@pytest.mark.parametrize("stop", [1, 3, 6])
@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0},
        {"optimizer": "adamw", "schedule": "cosine"},
        {"augment": "flip-shift", "weight_decay": 0.01},
        {"validation": 40, "keep": "best", "lr": 0.03},
        {
            "model": "cnn",
            "optimizer": "adamw",
            "lr": 0.01,
            "schedule": "one-cycle",
            "augment": "flip-shift",
            "validation": 40,
            "keep": "best",
        },
    ],
)
def test_with_every_option_a_training_goes_on_too(
    images: Images, changes: dict[str, object], stop: int
) -> None:
    # 160 or 200 images: 23 or 29 batches an epoch, the last one smaller, so two or three reports each
    wanted = settings(epochs=3, batch_size=7, log_every=10, **changes)
    assert len(goes_on(images, stop, wanted)) == stop


def test_nothing_is_taken_up_that_was_not_there(images: Images) -> None:
    trainer, untouched = start(), start()
    assert resume.load("key", trainer.state) == []
    assert all(torch.equal(trainer.state[name], tensor) for name, tensor in untouched.state.items())


def test_another_runs_training_is_not_taken_up(images: Images) -> None:
    train_until(images, 1)
    assert resume.load("other", start().state) == []


@pytest.mark.parametrize("size", [0, 10, 1000, -1])
def test_a_damaged_file_is_not_taken_up(images: Images, tmp_path: Path, size: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    path.write_bytes(path.read_bytes()[:size])
    assert resume.load("key", start().state) == []


@pytest.mark.parametrize("place", [0, 70, 200, -4000])
def test_a_file_with_zeros_in_it_is_not_taken_up(images: Images, tmp_path: Path, place: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    content = bytearray(path.read_bytes())
    content[place : place + 100] = bytes(100)
    path.write_bytes(content)
    assert resume.load("key", start().state) == []


def test_other_software_or_another_instruction_set_starts_anew(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_until(images, 1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert resume.load("key", start().state) == []


def test_a_finished_training_leaves_nothing(images: Images, tmp_path: Path) -> None:
    train_until(images, 1)
    resume.discard("key")
    resume.discard("key")
    assert list((tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()) == []


@pytest.mark.parametrize("name", [".dvc", ".dvc/tmp", ".dvc/tmp/fashionboard"])
def test_nothing_is_written_read_or_removed_through_a_link(tmp_path: Path, images: Images, name: str) -> None:
    train_until(images, 1)
    (saved,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    (saved.parent / f".{saved.name}.1.partial").touch()
    (tmp_path / name).rename(tmp_path / "elsewhere")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    before = seen(tmp_path / "elsewhere")
    assert resume.load("key", start().state) == []
    resume.discard("key")
    with pytest.raises(PathError, match="found a symbolic link; remove it"):
        train_until(images, 1)
    assert seen(tmp_path / "elsewhere") == before


def test_a_link_in_the_place_of_what_was_saved_is_nothing(tmp_path: Path, images: Images) -> None:
    train_until(images, 1)
    (saved,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    saved.rename(tmp_path / "elsewhere")
    saved.symlink_to(tmp_path / "elsewhere")
    before = seen(tmp_path / "elsewhere")
    assert resume.load("key", start().state) == []
    train_until(images, 1)
    assert seen(tmp_path / "elsewhere") == before and not saved.is_symlink()
