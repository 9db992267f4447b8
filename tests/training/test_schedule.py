import pytest
from torch import nn, optim
from torch.optim import lr_scheduler

from fashionboard.base.params import Schedule
from fashionboard.training import schedule

HIGHEST = 0.3


def theirs(kind: Schedule, steps: int) -> list[float]:
    """The rates that torch's schedulers give to the steps of a training."""
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=HIGHEST)
    scheduler: lr_scheduler.LRScheduler
    if kind == "cosine":
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, steps)
    else:
        scheduler = lr_scheduler.OneCycleLR(optimizer, HIGHEST, steps, cycle_momentum=False)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


def ours(kind: Schedule, steps: int) -> list[float]:
    return [schedule.learning_rate(kind, HIGHEST, step, steps) for step in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10, 1001])
def test_one_cycle_is_torchs(steps: int) -> None:
    assert ours("one-cycle", steps) == theirs("one-cycle", steps)


@pytest.mark.parametrize("steps", [1, 2, 10, 1001])
def test_cosine_is_torchs(steps: int) -> None:
    # torch multiplies from step to step, and so adds up what it rounds off
    assert ours("cosine", steps) == pytest.approx(theirs("cosine", steps), rel=1e-9, abs=1e-15)


def test_constant_is_constant() -> None:
    assert ours("constant", 5) == [HIGHEST] * 5


def test_one_cycle_goes_up_for_three_tenths_and_then_down() -> None:
    rates = ours("one-cycle", 100)
    assert rates[0] == pytest.approx(HIGHEST / 25)
    assert rates[29] == HIGHEST
    assert rates[-1] == pytest.approx(HIGHEST / 250_000)
    assert rates[:30] == sorted(rates[:30]) and rates[29:] == sorted(rates[29:], reverse=True)
