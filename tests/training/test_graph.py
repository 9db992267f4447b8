from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch.utils.tensorboard import SummaryWriter

from fashionboard.network import nets
from fashionboard.training import graph


def test_the_graph_holds_the_layers_by_name_with_shapes() -> None:
    traced = graph.trace(nets.initial(0), torch.zeros(4, 1, 28, 28))
    names = {part for node in traced.node for part in node.name.split("/")}
    layers = {
        "Conv2d[conv1]",
        "MaxPool2d[pool]",
        "Conv2d[conv2]",
        "Linear[fc1]",
        "Linear[fc2]",
        "Linear[fc3]",
    }
    assert layers | {"Net"} <= names
    shapes = {
        tuple(dim.size for dim in shape.dim)
        for node in traced.node
        for shape in node.attr["_output_shapes"].list.shape
    }
    assert {(4, 1, 28, 28), (4, 6, 24, 24), (4, 16, 8, 8), (4, 120), (4, 84), (4, 10)} <= shapes


def test_the_graph_of_the_cnn_opens_into_blocks_and_layers() -> None:
    traced = graph.trace(nets.initial(0, model="cnn"), torch.zeros(4, 1, 28, 28))
    paths = {tuple(node.name.split("/")[:3]) for node in traced.node}
    layers = ("Conv2d[conv]", "MaxPool2d[pool]", "BatchNorm2d[norm]")
    for block in ("block1", "block2", "block3"):
        assert {("Cnn", f"Block[{block}]", layer) for layer in layers} <= paths
    assert {("Cnn", "Linear[fc1]"), ("Cnn", "Linear[fc2]")} <= {path[:2] for path in paths}


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
@pytest.mark.parametrize("model", nets.MODELS)
def test_the_graph_is_the_one_that_torch_writes(tmp_path: Path, model: str) -> None:
    net, batch = nets.initial(0, model=model), torch.zeros(4, 1, 28, 28)
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(net, batch)
    theirs: GraphDef = EventAccumulator(str(tmp_path)).Reload().Graph()
    assert graph.trace(net, batch) == theirs


def test_tracing_leaves_the_net_in_training() -> None:
    net = nets.initial(0).train()
    graph.trace(net, torch.zeros(4, 1, 28, 28))
    assert net.training and all(module.training for module in net.modules())
