"""Exact histograms of a net's weights, and of more activations than memory should hold at once."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fashionboard.base.errors import ModelError

# edges, float64 (bins + 1,), rising, and counts, int64 (bins,)
Buckets = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]

# bins on either side of 0; the largest number lies in the outer half of them
_HALF = 128
# that of the least float32 above 0: a range for nothing but zeros, which every other value widens
_LEAST = -148
# values counted at a time: in float64 they fit into a core's cache
_CHUNK = 65_536


class Histogram:
    """Counts of numbers in bins of equal width, exact, whatever the portions and order they come in.

    The bins reach from -2^n to 2^n, n being the least for which that holds every number so far, so
    their width is a power of two. A larger number doubles it as often as needed: then bins become
    one in pairs, which loses no count. So no range has to be known beforehand, and no number is kept.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _HALF, np.int64)
        self._exponent = _LEAST

    def add(self, values: Tensor) -> None:
        """Count more numbers: float32 or float16 of any shape, on the CPU.

        Raises:
            ValueError: one of them is not finite.
        """
        if values.numel() == 0:
            return
        low, high = torch.aminmax(values)
        largest = max(-low.item(), high.item())
        if not math.isfinite(largest):
            raise ValueError(f"expected finite numbers, found {largest}")
        self._widen(math.frexp(largest)[1] if largest else _LEAST)
        for chunk in values.detach().flatten().split(_CHUNK):
            # in float64, where scaling by a power of two never rounds
            bins = chunk.double().mul_(1 / self._width).floor_().add_(_HALF).to(torch.uint8)
            self._counts += torch.bincount(bins, minlength=2 * _HALF).numpy()

    def buckets(self) -> Buckets:
        """Return the edges of the bins from the first to the last that is not empty, and their counts.

        A number on an edge is counted right of it. Without any number there is no bin.
        """
        filled = np.flatnonzero(self._counts)
        first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (_HALF, _HALF)
        edges = np.arange(first - _HALF, last - _HALF + 1, dtype=np.float64) * self._width
        return edges, self._counts[first:last].copy()

    @property
    def _width(self) -> float:
        return math.ldexp(1.0, self._exponent) / _HALF

    def _widen(self, exponent: int) -> None:
        """Let the bins reach from -2^exponent to 2^exponent, if they do not reach as far."""
        if exponent > self._exponent:
            # a shift to the right halves, rounding down, as the bins that become one are numbered
            old = np.arange(-_HALF, _HALF) >> min(exponent - self._exponent, _HALF.bit_length())
            counts = np.zeros_like(self._counts)
            np.add.at(counts, old + _HALF, self._counts)
            self._counts, self._exponent = counts, exponent


def weights(net: nn.Module) -> dict[str, Buckets]:
    """Count the numbers in each parameter of `net`, by its name.

    Raises:
        ValueError: one of them is not finite.
    """
    found = {}
    for name, parameter in net.named_parameters():
        histogram = Histogram()
        histogram.add(parameter)
        found[name] = histogram.buckets()
    return found


@contextmanager
def activations(net: nn.Module) -> Iterator[dict[str, Buckets]]:
    """Count the numbers that each layer of `net` puts out within the block, by the layer's name.

    A layer is a module without modules in it. One that is called again in the same pass counts as
    another layer: `pool`, then `pool 2`. What a function makes of a layer's output, such as a
    rectifier that is no module, does not show. The counts are there when the block has ended.

    Raises:
        ModelError: a layer puts out what is not finite.
    """
    counted: dict[str, Histogram] = {}
    calls = Counter[str]()

    def count(name: str, output: object) -> None:
        calls[name] += 1
        if isinstance(output, Tensor):
            own = name if calls[name] == 1 else f"{name} {calls[name]}"
            try:
                counted.setdefault(own, Histogram()).add(output)
            except ValueError as error:
                raise ModelError(f"layer {own}: {error}; train again with a smaller train.lr") from None

    found: dict[str, Buckets] = {}
    with ExitStack() as hooks:
        hooks.enter_context(net.register_forward_pre_hook(lambda *_: calls.clear()))
        for name, module in net.named_modules():
            if not any(module.children()):
                hook = module.register_forward_hook(lambda _, __, output, name=name: count(name, output))
                hooks.enter_context(hook)
        yield found
    found.update({name: histogram.buckets() for name, histogram in counted.items()})
