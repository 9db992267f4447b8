"""The learning rate of each step, as a function of nothing but the step."""

import math

from fashionboard.base.params import Schedule

# of 1cycle: the share of the steps in which the rate rises; highest to first rate; first to last rate
_RISE, _FIRST, _LAST = 0.3, 25, 1e4


def learning_rate(schedule: Schedule, highest: float, step: int, steps: int) -> float:
    """Return the learning rate of `step`, which counts from 0 to `steps` - 1.

    constant: `highest` throughout.
    cosine: from `highest` to zero along half a cosine, the first cycle of Loshchilov and Hutter, "SGDR:
        Stochastic Gradient Descent with Warm Restarts" (2017), equation 5, with T_max = `steps`; as
        `torch.optim.lr_scheduler.CosineAnnealingLR`.
    one-cycle: from a 25th of `highest` up to it in three tenths of the steps, then down to a 250,000th,
        each along half a cosine: Smith and Topin, "Super-Convergence" (2018), in the two phases that
        `torch.optim.lr_scheduler.OneCycleLR` has by default. The momentum stays as it is.
    """
    if schedule == "constant":
        return highest
    if schedule == "cosine":
        return _cosine(highest, 0, step / steps)
    top = _RISE * steps - 1
    if step <= top:
        return _cosine(highest / _FIRST, highest, step / top)
    return _cosine(highest, highest / _FIRST / _LAST, (step - top) / (steps - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    """Go from `start` to `end` along half a cosine as `share` goes from 0 to 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
