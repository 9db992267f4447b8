from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionboard.training import tape


def test_a_repetition_does_the_same_to_other_inputs() -> None:
    repeat = tape.record(lambda x, y: (x * 2 + y).sum(), torch.zeros(3), torch.zeros(3))
    assert repeat(torch.tensor([1.0, 2, 3]), torch.tensor([10.0, 20, 30])) == 72
    assert repeat(torch.ones(3), torch.zeros(3)) == 6


def test_what_comes_from_outside_is_read_and_written_anew_each_time() -> None:
    weight, total = torch.tensor([1.0, 2.0]), torch.zeros(())

    def add(x: Tensor) -> Tensor:
        total.add_((weight.view(2) * x).sum())
        return total.clone()

    repeat = tape.record(add, torch.ones(2))
    assert total == 3
    assert repeat(torch.ones(2)) == 6
    weight.mul_(10)
    assert repeat(torch.tensor([1.0, 0])) == 16
    assert total == 16


def test_several_outputs_of_an_operation_are_told_apart() -> None:
    def second_largest_place(x: Tensor) -> Tensor:
        values, places = x.topk(2)
        return places[1] + 0 * values[0]

    repeat = tape.record(second_largest_place, torch.tensor([1.0, 2, 3]))
    assert repeat(torch.tensor([5.0, 9, 7])) == 2


def test_the_backward_pass_is_recorded_with_the_same_bits() -> None:
    torch.manual_seed(0)
    nets = []
    batches = [torch.randn(5, 3) for _ in range(20)]
    for recorded in (False, True):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))

        def step(x: Tensor, net: nn.Module = net) -> Tensor:
            gradients = torch.autograd.grad(functional.mse_loss(net(x), x[:, :2]), list(net.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(net.parameters(), gradients, strict=True):
                    weight.sub_(0.1 * gradient)
            return gradients[0]

        step(batches[0])
        repeat = tape.record(step, batches[1]) if recorded else step
        for batch in batches[2 if recorded else 1 :]:
            repeat(batch)
        nets.append(net)
    for one, other in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_random_operations_are_random_each_time() -> None:
    repeat = tape.record(lambda x: functional.dropout(x, 0.5), torch.ones(100))
    assert not torch.equal(repeat(torch.ones(100)), repeat(torch.ones(100)))


@pytest.mark.parametrize("reads", [lambda x: x.sum().item(), lambda x: torch.equal(x, x), bool])
def test_reading_a_number_is_refused(reads: Callable[[Tensor], float]) -> None:
    with pytest.raises(ValueError, match="reads a number from a tensor, which cannot be recorded"):
        tape.record(lambda x: x * reads(x), torch.ones(1))


def test_a_constant_made_within_is_made_anew_each_time() -> None:
    repeat = tape.record(lambda x: torch.tensor(1.0).add_(x.sum()), torch.ones(2))
    assert [repeat(torch.ones(2)).item() for _ in range(3)] == [3, 3, 3]
