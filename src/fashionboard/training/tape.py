"""Tensor operations recorded as they happen, to be repeated without what decided on them.

With tensors of the same shapes, a training step does the same operations each time. On batches as
small as the tutorial's, much of a step's time goes into calling modules and keeping autograd's books
to find out which; a recording has the operations alone, those of the backward pass among them.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

_aten = torch.ops.aten


def record(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[..., Tensor]:
    """Call `function` on `inputs` once; return what does the same to other inputs of the same shapes.

    inputs: different tensors. Tensors that are not among them are used as they are at the time of a
    repetition. What a variable is bound to later does not count, and numbers are those of the
    recording: `function` must not get at them other than by operations of torch, as by `.numpy()`.
    A repetition gives the same bits as the function; no gradient can be taken through what it returns.

    Raises:
        ValueError: an operation reads a number from a tensor, which a repetition could not know.
    """
    recorder = _Recorder(inputs)
    with recorder:
        output = function(*inputs)
    return recorder.repetition(output)


class _Recorder(TorchDispatchMode):
    """Sees each operation below autograd and writes it into a graph."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._graph = fx.Graph()
        # weak: autograd copies a gradient that something else holds
        self._made = WeakTensorKeyDictionary()
        for index, tensor in enumerate(inputs):
            self._made[tensor] = self._graph.placeholder(f"input{index}")
        self._outside: dict[Tensor, fx.Node] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # else torch imports its compiler, to tell it to leave this alone: 1.2 s
        return False

    def __torch_dispatch__(
        self, operation: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        made = any(isinstance(leaf, Tensor) and leaf in self._made for leaf in tree_leaves((args, kwargs)))
        output = operation(*args, **kwargs)
        if not isinstance(output, Tensor | tuple | list | None):
            raise ValueError(f"{operation} reads a number from a tensor, which cannot be recorded")
        if operation is _aten.lift_fresh.default:  # a new constant, which may be written to
            self._made[output] = self._graph.call_function(
                _aten.clone.default, (self._node(args[0].clone()),)
            )
        elif made and operation is _aten.detach.default:
            self._made[output] = self._made[args[0]]
        elif made or not operation.is_view:  # a view of what comes from outside does so, too
            node = self._graph.call_function(operation, *tree_map_only(Tensor, self._node, (args, kwargs)))
            self._keep(output, node)
        return output

    def _node(self, tensor: Tensor) -> fx.Node:
        """Return what gives `tensor`: an operation, an input, or one more input for one from outside."""
        nodes = self._made if tensor in self._made else self._outside
        if tensor not in nodes:
            nodes[tensor] = self._graph.placeholder(f"outside{len(self._outside)}")
        node: fx.Node = nodes[tensor]
        return node

    def _keep(self, output: Any, node: fx.Node) -> None:
        if isinstance(output, Tensor):
            self._made[output] = node
        elif output is not None:
            for index, each in enumerate(output):
                self._keep(each, self._graph.call_function(operator.getitem, (node, index)))

    def repetition(self, output: Tensor) -> Callable[..., Tensor]:
        """Return the graph as a function of the inputs."""
        self._graph.output(self._node(output))
        forward = fx.GraphModule(torch.nn.Module(), self._graph).forward
        outside = {str(node.target): tensor for tensor, node in self._outside.items()}
        return torch.inference_mode()(functools.partial(forward, **outside))
