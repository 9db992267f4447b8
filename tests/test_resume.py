from pathlib import Path

import pytest
import torch
from torch import nn

from fashionboard import compute, network, resume, training
from fashionboard.dataset import Images
from fashionboard.optimizer import SGD
from fashionboard.params import Train

SETTINGS = Train(
    seed=0, epochs=2, batch_size=4, lr=0.001, momentum=0.9, log_every=20, device="cpu", threads=1
)


@pytest.fixture(autouse=True)
def main_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    compute.configure("cpu", 1)


def start() -> tuple[nn.Module, SGD]:
    net = network.initial(0)
    return net, training.sgd(net, SETTINGS)


def train_until(images: Images, stop: int) -> None:
    """Train as the stage does, and be killed after `stop` reports."""
    net, optimizer = start()
    reports: list[training.Report] = []
    for report in training.train(net, optimizer, images, SETTINGS):
        if len(reports) == stop:
            # the kill comes somewhere within the next interval, with the weights gone on
            return
        reports.append(report)
        resume.save("key", net, optimizer, reports)


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_training_that_was_killed_ends_in_the_same_bits(images: Images, stop: int) -> None:
    whole, optimizer = start()
    expected = list(training.train(whole, optimizer, images, SETTINGS))
    train_until(images, stop)
    net, optimizer = start()
    reports = resume.load("key", net, optimizer)
    assert [report.step for report in reports] == [19, 39, 49, 69, 89][:stop]
    reports += training.train(net, optimizer, images, SETTINGS, after=reports[-1].step)
    assert [repr(report) for report in reports] == [repr(report) for report in expected]
    for one, other in zip(net.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_momentum_a_training_goes_on_too(images: Images) -> None:
    plain = SETTINGS.model_copy(update={"momentum": 0.0})
    whole, net = network.initial(0), network.initial(0)
    optimizer = training.sgd(whole, plain)
    for report in training.train(whole, optimizer, images, plain):
        if report.step == 39:
            resume.save("key", whole, optimizer, [report])
    again = training.sgd(net, plain)
    (saved,) = resume.load("key", net, again)
    list(training.train(net, again, images, plain, after=saved.step))
    for one, other in zip(net.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_taken_up_that_was_not_there(images: Images) -> None:
    net, optimizer = start()
    assert resume.load("key", net, optimizer) == []
    assert not any(momentum.any() for momentum in optimizer.momenta)


def test_another_runs_training_is_not_taken_up(images: Images) -> None:
    train_until(images, 1)
    assert resume.load("other", *start()) == []


@pytest.mark.parametrize("size", [0, 10, 1000, -1])
def test_a_damaged_file_is_not_taken_up(images: Images, tmp_path: Path, size: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    path.write_bytes(path.read_bytes()[:size])
    assert resume.load("key", *start()) == []


@pytest.mark.parametrize("place", [0, 70, 200, -4000])
def test_a_file_with_zeros_in_it_is_not_taken_up(images: Images, tmp_path: Path, place: int) -> None:
    train_until(images, 1)
    (path,) = (tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()
    content = bytearray(path.read_bytes())
    content[place : place + 100] = bytes(100)
    path.write_bytes(content)
    assert resume.load("key", *start()) == []


def test_other_software_or_another_instruction_set_starts_anew(
    images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_until(images, 1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert resume.load("key", *start()) == []


def test_a_finished_training_leaves_nothing(images: Images, tmp_path: Path) -> None:
    train_until(images, 1)
    resume.discard("key")
    resume.discard("key")
    assert list((tmp_path / ".dvc" / "tmp" / "fashionboard").iterdir()) == []
