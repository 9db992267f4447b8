"""A network as the graph that TensorBoard draws."""

import warnings

import torch
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.versions_pb2 import VersionDef
from torch import Tensor, nn
from torch.utils.tensorboard import _pytorch_graph

from fashionboard.base import clock

# what torch.utils.tensorboard writes as the graph's version
_PRODUCER = 22


@clock.part("figures")
def trace(net: nn.Module, images: Tensor) -> GraphDef:
    """Return the graph of `net` applied to `images`, a batch as the network takes it.

    The same graph as `SummaryWriter.add_graph` writes: one node an operation, named by the module
    in which it happens (`Net/Conv2d[conv1]/...`), with the shapes of what flows between them.
    """
    with warnings.catch_warnings(), _pytorch_graph._set_model_to_eval(net):
        # torch has no other tracer that keeps module names for TensorBoard
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*torch.jit.trace.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.trace.*")
        # its check runs the net twice more and imports torch.distributed, which takes longer than the rest
        traced = torch.jit.trace(net, images, check_trace=False)
    torch._C._jit_pass_inline(traced.graph)
    nodes = _pytorch_graph.parse(traced.graph, traced, images)
    return GraphDef(node=nodes, versions=VersionDef(producer=_PRODUCER))
