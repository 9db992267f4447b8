import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fashionboard.network import compute, nets
from fashionboard.training import loop, optimizer, repeat
from tests.support.settings import settings


class Adder:
    """Adds the sum of what it is given to its total."""

    def __init__(self) -> None:
        self.total = torch.tensor(1.0)
        self.calls = 0

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        self.total += (inputs * targets).sum()
        return self.total.clone()


def test_recording_leaves_the_state_as_it_was() -> None:
    adder = Adder()
    repeat.record(adder.step, torch.ones(4), torch.ones(4), [adder.total])
    assert adder.calls == 1
    assert adder.total == 1


def test_batches_are_repeated_without_the_step_and_others_are_given_to_it() -> None:
    adder = Adder()
    step = repeat.record(adder.step, torch.ones(4), torch.ones(4), [adder.total])
    assert step(torch.full((4,), 2.0), torch.ones(4)).item() == 9
    assert step(torch.ones(4), torch.full((4,), 3.0)).item() == 21
    assert adder.calls == 1
    assert step(torch.ones(3), torch.ones(3)).item() == 24
    assert adder.calls == 2
    assert step(torch.ones(4), torch.ones(4)).item() == 28


def test_a_cuda_graph_reads_each_batch_from_the_same_place() -> None:
    """The capture itself needs a GPU; here one that calls the function stands in for it."""

    def called_again(function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
        output = function()
        return output, lambda: output.copy_(function())

    adder = Adder()
    again = repeat.cuda_graph(adder.step, torch.ones(4), torch.ones(4), called_again)
    assert adder.total == 5
    assert again(torch.full((4,), 2.0), torch.ones(4)).item() == 13
    assert again(torch.ones(4), torch.full((4,), 3.0)).item() == 25


@pytest.mark.parametrize(
    ("shape", "recorded"),
    [
        ((4, 1, 28, 28), True),
        ((64, 1, 28, 28), True),
        ((65, 1, 28, 28), False),
        ((5, 3, 64, 64), False),
        ((4, 3, 64, 64), True),
    ],
)
def test_batches_that_are_too_large_to_gain_are_given_to_the_step(
    shape: tuple[int, ...], recorded: bool
) -> None:
    adder = Adder()
    inputs, targets = torch.ones(shape), torch.ones(shape)
    step = repeat.record(adder.step, inputs, targets, [adder.total])
    assert adder.total == 1
    assert step(inputs, targets).item() == 1 + math.prod(shape)
    assert adder.calls == 1
    assert step(inputs, 2 * targets).item() == 1 + 3 * math.prod(shape)
    assert adder.calls == (1 if recorded else 2)


@pytest.mark.parametrize("batch_size", [4, 40])
def test_a_recording_and_the_step_itself_give_the_same_bits(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute.configure("cpu", 1, batch_size)
    generator = torch.Generator().manual_seed(0)
    found = []
    for most in (0, 10**9):
        monkeypatch.setattr(repeat, "_TAPED", most)
        net = nets.initial(0)
        ours = optimizer.make(net, settings())
        state = [*net.state_dict().values(), *ours.state.values()]
        plain = loop.training_step(net, ours)
        batches = [torch.randn(batch_size, 1, 28, 28, generator=generator.manual_seed(i)) for i in range(5)]
        targets = torch.arange(batch_size) % 10
        step = repeat.record(plain, batches[0], targets, state)
        assert (step is plain) == (most == 0)
        losses = [step(inputs, targets).item() for inputs in batches]
        found.append((losses, [tensor.clone() for tensor in state]))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
