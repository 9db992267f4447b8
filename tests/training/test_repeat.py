from collections.abc import Callable

import torch
from torch import Tensor

from fashionboard.training import repeat


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
