from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from fashionboard.network import nets
from fashionboard.training import optimizer
from tests.support.settings import settings

STEPS = 20


def steps_of(net: nn.Module, optimizer: Any, before: Callable[[int], object] = lambda step: None) -> None:
    generator = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        before(step)
        inputs = torch.randn(8, 1, 28, 28, generator=generator)
        targets = torch.randint(0, 10, (8,), generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(net(inputs), targets).backward()
        optimizer.step()


def theirs(net: nn.Module, kind: str, momentum: float, decay: float) -> optim.Optimizer:
    weights = net.parameters()
    if kind == "sgd":
        return optim.SGD(weights, lr=0.01, momentum=momentum, weight_decay=decay, fused=True)
    return optim.AdamW(weights, lr=0.01, betas=(momentum, 0.999), weight_decay=decay, fused=True)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(weight, expected) for weight, expected in pairs)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_training_with_torchs_fused_optimizer_has_the_same_bits(
    kind: str, momentum: float, decay: float
) -> None:
    wanted = settings(optimizer=kind, lr=0.01, momentum=momentum, weight_decay=decay)
    one, other = nets.initial(0), nets.initial(0)
    steps_of(one, optimizer.make(one, wanted))
    steps_of(other, theirs(other, kind, momentum, decay))
    assert same(one, other)
    assert not same(one, nets.initial(0))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_rate_that_changes_has_the_bits_of_torchs_scheduler(kind: str) -> None:
    wanted = settings(optimizer=kind, lr=0.01, weight_decay=0.1, schedule="cosine")
    one, other = nets.initial(0), nets.initial(0)
    ours, reference = optimizer.make(one, wanted), theirs(other, kind, 0.9, 0.1)
    assert isinstance(ours.lr, torch.Tensor)
    steps_of(one, ours, lambda step: ours.lr.fill_(0.01 / (1 + step)))  # type: ignore[union-attr]
    scheduler = optim.lr_scheduler.LambdaLR(reference, lambda step: 1 / (1 + step))
    steps_of(other, reference, lambda step: scheduler.step() if step else None)
    assert same(one, other)


@pytest.mark.parametrize(("kind", "tensors"), [("sgd", 10), ("adamw", 21)])
def test_the_state_is_all_that_steps_go_on_from(kind: str, tensors: int) -> None:
    wanted = settings(optimizer=kind, lr=0.01)
    one, other = nets.initial(0), nets.initial(0)
    ours, again = optimizer.make(one, wanted), optimizer.make(other, wanted)
    steps_of(one, ours)
    other.load_state_dict(one.state_dict())
    assert len(again.state) == tensors
    for name, tensor in again.state.items():
        tensor.copy_(ours.state[name])
    steps_of(one, ours)
    steps_of(other, again)
    assert same(one, other)
