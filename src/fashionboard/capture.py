"""A training step recorded as a CUDA graph: the GPU repeats it without Python starting each operation.

Source of the recipe (warm up on a stream of its own, then capture): PyTorch, "CUDA semantics", section
"CUDA Graphs".
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], Tensor]
# runs a function until it is settled, and returns its output and what computes that anew in its place
Capture = Callable[[Callable[[], Tensor]], tuple[Tensor, Callable[[], object]]]

# as many as the recipe has: the first ones choose algorithms and allocate
_WARM_UP = 3


def cuda_graph(function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
    """Record what `function` does on the GPU; return its output and what repeats it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function()
    return output, graph.replay


def record(
    step: Step, inputs: Tensor, targets: Tensor, state: Iterable[Tensor], capture: Capture = cuda_graph
) -> Step:
    """Return a function that does what `step` does, from a recording for batches of the shape of `inputs`.

    inputs, targets: a batch to record with. state: all tensors that `step` changes; they are as
    before when this returns. Batches of another shape, such as the last one of an epoch, are given
    to `step` itself. The returned loss is overwritten by the next call.
    """
    before = [(tensor, tensor.detach().clone()) for tensor in state]
    static_inputs, static_targets = inputs.clone(), targets.clone()
    loss, replay = capture(lambda: step(static_inputs, static_targets))
    with torch.no_grad():
        for tensor, value in before:
            tensor.copy_(value)

    def recorded(inputs: Tensor, targets: Tensor) -> Tensor:
        if inputs.shape != static_inputs.shape:
            return step(inputs, targets)
        static_inputs.copy_(inputs)
        static_targets.copy_(targets)
        replay()
        return loss

    return recorded
