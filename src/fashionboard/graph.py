"""A network as the graph that TensorBoard draws."""

import warnings

from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import Tensor, nn
from torch.utils.tensorboard import _pytorch_graph


def trace(net: nn.Module, images: Tensor) -> GraphDef:
    """Return the graph of `net` applied to `images`, a batch as the network takes it.

    The same graph as `SummaryWriter.add_graph` writes: one node an operation, named by the module
    in which it happens (`Net/Conv2d[conv1]/...`), with the shapes of what flows between them.
    """
    with warnings.catch_warnings():
        # torch has no other tracer that keeps module names for TensorBoard
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*torch.jit.trace.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.trace.*")
        graph, _ = _pytorch_graph.graph(net, images)
    return graph
