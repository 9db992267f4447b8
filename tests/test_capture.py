"""The recording itself needs a GPU: here what is around it, with a recording that calls the function."""

from collections.abc import Callable

import torch
from torch import Tensor

from fashionboard import capture


def called_again(function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
    output = function().clone()
    return output, lambda: output.copy_(function())


class Adder:
    """Adds the sum of what it is given to its total."""

    def __init__(self) -> None:
        self.total = torch.tensor(1.0)
        self.direct = 0

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.direct += 1
        self.total += (inputs * targets).sum()
        return self.total


def test_recording_leaves_the_state_as_it_was() -> None:
    adder = Adder()
    capture.record(adder.step, torch.ones(4), torch.ones(4), [adder.total], called_again)
    assert adder.direct == 1
    assert adder.total == 1


def test_each_batch_is_seen_and_the_loss_is_that_of_the_last_call() -> None:
    adder = Adder()
    step = capture.record(adder.step, torch.ones(4), torch.ones(4), [adder.total], called_again)
    assert step(torch.full((4,), 2.0), torch.ones(4)).item() == 9
    assert step(torch.ones(4), torch.full((4,), 3.0)).item() == 21
    assert adder.total == 21


def test_a_batch_of_another_size_is_done_directly() -> None:
    adder = Adder()
    replays = []
    step = capture.record(
        adder.step,
        torch.ones(4),
        torch.ones(4),
        [adder.total],
        lambda function: (called_again(function)[0], lambda: replays.append(1)),
    )
    step(torch.ones(3), torch.ones(3))
    assert adder.total == 4 and not replays
    step(torch.ones(4), torch.ones(4))
    assert replays == [1]
