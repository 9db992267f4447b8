import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fashionboard.base.errors import ModelError, TrainingError
from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.network import checkpoint, nets
from fashionboard.network.checkpoint import Origin
from fashionboard.training import start

SMALL = Kind(32, "rgb", "crop")
ORIGIN = Origin("mine", ("cat", "dog", "owl"), SMALL)
MODELS = ("net", "cnn", "mobilenet_v3_small")


def saved(path: Path, model: str = "cnn", origin: Origin = ORIGIN) -> nets.Network:
    """Return a net no tensor of which is as it was initially, and write it to `path`."""
    kind = origin.kind
    net = nets.initial(1, len(origin.classes), model, kind)
    net(torch.rand(4, kind.channels, kind.size, kind.size))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.01)
    checkpoint.save(path, net, origin)
    return net


def weights(net: nets.Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    """Name the tensors that are the same in both, which must have the same names."""
    assert one.keys() == other.keys()
    return {name for name in one if torch.equal(one[name], other[name])}


@pytest.mark.parametrize("model", MODELS)
def test_the_same_classes_bring_all_weights_and_statistics(tmp_path: Path, model: str) -> None:
    old = weights(saved(tmp_path / "model", model))
    net = nets.initial(0, 3, model, SMALL)
    before = weights(net)
    assert not same(before, old)
    strides = {name: tensor.stride() for name, tensor in net.state_dict().items()}
    # what they are called together, and how they became square, does not count
    origin = replace(ORIGIN, data_set="yours", kind=replace(SMALL, fit="pad"))
    assert start.begin(net, tmp_path / "model", origin) == ORIGIN
    assert same(weights(net), old) == set(old)
    # in the order that the net computes in
    assert {name: tensor.stride() for name, tensor in net.state_dict().items()} == strides


@pytest.mark.parametrize(
    "classes",
    [("cat", "dog"), ("cat", "dog", "elk"), ("dog", "cat", "owl"), ("cat", "dog", "owl", "elk")],
)
@pytest.mark.parametrize("model", MODELS)
def test_other_classes_get_a_new_last_layer(tmp_path: Path, model: str, classes: tuple[str, ...]) -> None:
    old = weights(saved(tmp_path / "model", model))
    net = nets.initial(0, len(classes), model, SMALL)
    before = weights(net)
    last = {f"{net.last}.weight", f"{net.last}.bias"}
    assert start.begin(net, tmp_path / "model", replace(ORIGIN, classes=classes)) == ORIGIN
    after = weights(net)
    assert same(after, old) == set(old) - last
    assert same(after, before) >= last


def test_a_page_in_its_place_means_none(tmp_path: Path) -> None:
    net = nets.initial(0, 3, "cnn", SMALL)
    before = weights(net)
    (tmp_path / "README.md").touch()
    assert start.begin(net, tmp_path / "README.md", ORIGIN) is None
    assert same(weights(net), before) == set(before)


@pytest.mark.parametrize(
    ("model", "kind", "found"),
    [
        ("net", SMALL, "Net for 32 x 32 rgb images"),
        ("cnn", Kind(33, "rgb", "crop"), "Cnn for 33 x 33 rgb images"),
        ("cnn", Kind(32, "grey", "crop"), "Cnn for 32 x 32 grey images"),
        ("cnn", FASHION_MNIST, "Cnn for 28 x 28 grey images"),
        ("resnet18", SMALL, "resnet18 for 32 x 32 rgb images"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path: Path, model: str, kind: Kind, found: str) -> None:
    saved(tmp_path / "model", model, replace(ORIGIN, kind=kind))
    net = nets.initial(0, 3, "cnn", SMALL)
    before = weights(net)
    expected = (
        f"train.start is {tmp_path}/model: expected a model of Cnn for 32 x 32 rgb images, "
        f"found one of {found}; set train.start to "
    )
    with pytest.raises(TrainingError, match=re.escape(expected)) as caught:
        start.begin(net, tmp_path / "model", ORIGIN)
    assert "\n" not in str(caught.value)
    assert same(weights(net), before) == set(before)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_what_is_no_model_is_refused_with_what_to_set(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model").write_bytes(content)
    with pytest.raises(ModelError, match=r"/model: .*; set train\.start to a model of this project, or to "):
        start.begin(nets.initial(0, 3, "cnn", SMALL), tmp_path / "model", ORIGIN)


def test_training_goes_on_where_the_model_was(tmp_path: Path) -> None:
    old, new = saved(tmp_path / "model"), nets.initial(0, 3, "cnn", SMALL)
    start.begin(new, tmp_path / "model", ORIGIN)
    images = torch.rand(4, 3, 32, 32)
    for net in (old, new):
        net.eval()
    with torch.no_grad():
        assert torch.equal(old(images), new(images))
