"""A training step recorded once and repeated: on the CPU as a tape, if it pays; on a GPU as a CUDA graph."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from fashionboard.base.kind import FASHION_MNIST
from fashionboard.training import tape

# trains on a batch and its labels and returns the loss
Step = Callable[[Tensor, Tensor], Tensor]
# calls a function, and returns its output and what computes that anew in its place
Capture = Callable[[Callable[[], Tensor]], tuple[Tensor, Callable[[], object]]]

# runs before a capture, as many as PyTorch's recipe has: the first ones choose algorithms and allocate
_WARM_UP = 3
# numbers in a batch of 64 images of 28 x 28 pixels. On two cores a step of the tutorial's net was 1.3 to 1.5
# times as fast from a tape with 4 images, 1.08 times with 16, 1.04 times with 64. With 128 and more, and with
# resnet18 in colour, no gain could be told from noise, and recording costs a step
_TAPED = 64 * FASHION_MNIST.values


def record(step: Step, inputs: Tensor, targets: Tensor, state: Iterable[Tensor]) -> Step:
    """Return a function that does what `step` does, from a recording of it; `step` itself if none pays.

    None pays on the CPU with batches of more than 50,176 numbers. The bits are the same either way.

    inputs, targets: a batch to record with; batches of another shape, such as the last one of an
    epoch, are given to `step` itself. state: all tensors that `step` changes; they are as before
    when this returns. A returned loss is good until the next call.
    """
    if not inputs.is_cuda and inputs.numel() > _TAPED:
        return step
    before = [(tensor, tensor.detach().clone()) for tensor in state]
    repeat = (cuda_graph if inputs.is_cuda else tape.record)(step, inputs, targets)
    with torch.no_grad():
        for tensor, value in before:
            tensor.copy_(value)
    shape = inputs.shape

    def recorded(inputs: Tensor, targets: Tensor) -> Tensor:
        return repeat(inputs, targets) if inputs.shape == shape else step(inputs, targets)

    return recorded


def _capture(function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
    # source: PyTorch, "CUDA semantics", section "CUDA Graphs"
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


def cuda_graph(step: Step, inputs: Tensor, targets: Tensor, capture: Capture = _capture) -> Step:
    """Return `step` as a CUDA graph, for batches of these shapes, which are copied to where it reads."""
    static_inputs, static_targets = inputs.clone(), targets.clone()
    loss, replay = capture(lambda: step(static_inputs, static_targets))

    def repeat(inputs: Tensor, targets: Tensor) -> Tensor:
        static_inputs.copy_(inputs)
        static_targets.copy_(targets)
        replay()
        return loss

    return repeat
