import hashlib
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from fashionboard.base.errors import PathError
from fashionboard.base.params import Train
from fashionboard.data.dataset import Images
from fashionboard.network import compute, nets
from fashionboard.training import resume, validation
from fashionboard.training.loop import Trainer
from fashionboard.training.progress import Report
from tests.support import rights
from tests.support.hostile import seen
from tests.support.settings import settings

SETTINGS = settings(epochs=2)
# of 200 images, as the fixture has
EXPECTED = resume.Expected((19, 39, 49, 69, 89, 99), 200, 10)


@pytest.fixture(autouse=True)
def main_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    compute.configure("cpu", 1)


def start(wanted: Train = SETTINGS) -> Trainer:
    return Trainer(nets.initial(0, model=wanted.model), wanted)


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
    images_of_training = len(parts[0])
    known = resume.Expected(trainer.steps(images_of_training), images_of_training, classes=10)
    reports = resume.load("key", trainer.state, known)
    steps = [report.step for report in reports]
    reports += trainer.train(*parts, after=steps[-1])
    assert [repr(report) for report in reports] == [repr(report) for report in expected]
    assert list(trainer.state) == list(whole.state)
    for name, tensor in whole.state.items():
        assert torch.equal(trainer.state[name], tensor), name
    kept, best = trainer.kept().state_dict(), whole.kept().state_dict()
    assert all(torch.equal(kept[name], best[name]) for name in best)
    return steps


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3, 6])
@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0},
        {"optimizer": "adamw", "schedule": "cosine"},
        {"augment": "flip-shift", "weight_decay": 0.01},
        {"validation": 40, "keep": "best", "lr": 0.03},
        {"label_smoothing": 0.1},
        {"model": "mobilenet_v3_small", "augment": ["crop-flip", "randaugment", "erase"]},
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
    assert resume.load("key", trainer.state, EXPECTED) == []
    assert all(torch.equal(trainer.state[name], tensor) for name, tensor in untouched.state.items())


def test_another_runs_training_is_not_taken_up(images: Images) -> None:
    train_until(images, 1)
    assert resume.load("other", start().state, EXPECTED) == []


@pytest.mark.parametrize("size", [0, 10, 1000, -1])
def test_a_damaged_file_is_not_taken_up(images: Images, tmp_path: Path, size: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    path.write_bytes(path.read_bytes()[:size])
    assert resume.load("key", start().state, EXPECTED) == []


@pytest.mark.parametrize("place", [0, 70, 200, -4000])
def test_a_file_with_zeros_in_it_is_not_taken_up(images: Images, tmp_path: Path, place: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    content = bytearray(path.read_bytes())
    content[place : place + 100] = bytes(100)
    path.write_bytes(content)
    assert resume.load("key", start().state, EXPECTED) == []


def test_other_software_or_another_instruction_set_starts_anew(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_until(images, 1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert resume.load("key", start().state, EXPECTED) == []


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
    assert resume.load("key", start().state, EXPECTED) == []
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
    assert resume.load("key", start().state, EXPECTED) == []
    train_until(images, 1)
    assert seen(tmp_path / "elsewhere") == before and not saved.is_symlink()


NAME = "train-key.safetensors"


def kept(tmp_path: Path) -> Path:
    return tmp_path / ".dvc" / "tmp" / "fashionboard" / NAME


def assert_starts_anew(capfd: pytest.CaptureFixture[str], said: str) -> None:
    """Expect nothing of what was saved in a training, and one line that says why."""
    capfd.readouterr()
    trainer, untouched = start(), start()
    assert resume.load("key", trainer.state, EXPECTED) == []
    assert all(torch.equal(trainer.state[name], tensor) for name, tensor in untouched.state.items())
    (line,) = capfd.readouterr().err.splitlines()
    assert NAME in line and said in line
    assert line.endswith("; training starts from the beginning")
    assert len(line) < 700


def test_what_is_not_there_is_not_spoken_of(capfd: pytest.CaptureFixture[str]) -> None:
    assert resume.load("key", start().state, EXPECTED) == []
    assert capfd.readouterr().err == ""


def test_a_damaged_file_is_named(images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train_until(images, 1)
    content = kept(tmp_path).read_bytes()
    for damaged in (content[:-1], content[:1000], b"", b"junk"):
        kept(tmp_path).write_bytes(damaged)
        assert_starts_anew(capfd, "expected a saved training, found a damaged one")


def test_a_file_of_other_software_is_named(
    images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_until(images, 1)
    about, tensors = parts(kept(tmp_path))
    version = torch.__version__.split("+")[0]
    about["platform"] = f"torch 1.0, numpy 1.0, \x1b[2J{'x' * 10_000}"
    write(kept(tmp_path), about, tensors)
    assert_starts_anew(capfd, f"expected one of torch {version}")
    resume.load("key", start().state, EXPECTED)
    assert ", found one of torch 1.0, numpy 1.0, \\x1b[2Jxxx" in capfd.readouterr().err


def parts(path: Path) -> tuple[Any, bytes]:
    """Return what a saved training holds: the words about it, and the tensors' bytes."""
    _, about, tensors = path.read_bytes().split(b"\n", 2)
    return json.loads(about), tensors


def write(path: Path, about: Any, tensors: bytes) -> None:
    """Write a saved training with a valid checksum, whatever is in it; `about` may be bytes."""
    content = (about if isinstance(about, bytes) else json.dumps(about).encode()) + b"\n" + tensors
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def test_junk_with_a_valid_checksum_is_a_damaged_file(
    images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_until(images, 1)
    about, tensors = parts(kept(tmp_path))
    (report,) = about["reports"]
    changes: list[dict[str, object]] = [
        {"step": "1"},
        {"step": -1},
        {"step": 2**70},
        {"loss": None},
        {"positions": 3},
        {"positions": [[1]]},
        {"positions": [0.5, 1, 2, 3]},
        {"positions": [2**70]},
        {"predicted": []},
        {"confidence": ["a"]},
        {"validation": {"loss": 1.0}},
        {"step": 5},
        {"step": 1_000_000},
        {"loss": math.nan},
        {"positions": [10**9, 1, 2, 3]},
        {"predicted": [10, 0, 0, 0]},
        {"confidence": [2.0, 0.5, 0.5, 0.5]},
        {"positions": [], "predicted": [], "confidence": []},
        {"positions": [1] * 20_000, "predicted": [1] * 20_000, "confidence": [0.5] * 20_000},
        {"more": 1},
    ]
    junk: list[Any] = [b"", b"junk", b"\xff", b"[" * 100_000, b"null", [], {}, {**about, "reports": []}]
    junk += [{**about, "reports": None}, {**about, "reports": [1]}, {"reports": about["reports"]}]
    junk += [{**about, "reports": [{**report, **change}]} for change in changes]
    junk += [{**about, "reports": [{k: v for k, v in report.items() if k != name}]} for name in report]
    for each in junk:
        write(kept(tmp_path), each, tensors)
        assert_starts_anew(capfd, "found a damaged one")
    weights = {
        name: torch.full_like(each, math.nan) for name, each in safetensors.torch.load(tensors).items()
    }
    write(kept(tmp_path), about, safetensors.torch.save(weights))
    assert_starts_anew(capfd, "found a damaged one")
    generator = random.Random(0)
    for _ in range(100):
        # in the tensors' header, where their names, types and places are
        changed = bytearray(tensors)
        changed[generator.randrange(200)] = generator.randrange(256)
        write(kept(tmp_path), about, bytes(changed))
        trainer = start()
        assert all(each.step == report["step"] for each in resume.load("key", trainer.state, EXPECTED))
    capfd.readouterr()
    write(kept(tmp_path), about, tensors[:100])
    assert_starts_anew(capfd, "found a damaged one")


def test_tensors_of_another_net_change_nothing(
    images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_until(images, 1)
    about, tensors = parts(kept(tmp_path))
    own = safetensors.torch.load(tensors)
    last = list(own)[-1]
    others: list[dict[str, torch.Tensor]] = [
        {},
        {name: tensor for name, tensor in own.items() if name != last},
        {**own, last: own[last].double()},
        {**own, last: own[last][None]},
    ]
    for other in others:
        write(kept(tmp_path), about, safetensors.torch.save(other))
        assert_starts_anew(capfd, "expected a saved training, found that of another net")


def test_a_folder_in_the_place_of_what_is_saved_is_named_and_not_touched(
    images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (kept(tmp_path) / "mine").mkdir(parents=True)
    assert_starts_anew(capfd, "expected a file, found a folder; remove it")
    with pytest.raises(PathError, match=rf"{NAME}: expected a file, found a folder; remove it$"):
        train_until(images, 1)
    resume.discard("key")
    assert [path.name for path in kept(tmp_path).parent.rglob("*")] == [NAME, "mine"]


def test_what_never_ends_in_the_place_of_what_is_saved_is_not_read(
    images: Images, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path).parent.mkdir(parents=True)
    os.mkfifo(kept(tmp_path))
    assert_starts_anew(capfd, "expected a file, found something else; remove it")


_LOAD = """
import sys
from fashionboard.training import resume
print(resume.load("key", {}, resume.Expected((), 0, 0)))
"""


@rights.needed
def test_a_file_that_may_not_be_read_is_named(images: Images, tmp_path: Path, root: Path) -> None:
    train_until(images, 1)
    kept(tmp_path).chmod(0)
    ended = subprocess.run(
        rights.without(sys.executable, "-c", _LOAD),
        env={**os.environ, "DVC_ROOT": str(tmp_path), "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "[]\n"
    (line,) = ended.stderr.splitlines()
    assert line == (
        f"train: {kept(tmp_path)}: cannot be read (Permission denied); training starts from the beginning"
    )


def test_of_half_written_files_only_those_go_that_nobody_writes(images: Images, tmp_path: Path) -> None:
    train_until(images, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        partials = {
            number: kept(tmp_path).with_name(f".{NAME}.{number}.partial")
            for number in (os.getpid(), dead.pid, living.pid)
        }
        other = kept(tmp_path).with_name(f".train-other.safetensors.{dead.pid}.partial")
        for path in (*partials.values(), other):
            path.touch()
        resume.discard("key")
        assert sorted(kept(tmp_path).parent.iterdir()) == sorted([partials[living.pid], other])
        # a kill in the middle of saving leaves nothing for ever
        partials[dead.pid].touch()
        train_until(images, 1)
        assert sorted(kept(tmp_path).parent.iterdir()) == sorted(
            [partials[living.pid], other, kept(tmp_path)]
        )
        living.communicate(b"\n")
