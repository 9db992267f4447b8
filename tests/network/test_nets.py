from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from fashionboard.base import params
from fashionboard.base.errors import ParameterError
from fashionboard.network import checkpoint, nets


def test_normalising_gives_the_bits_of_the_tutorials_transforms() -> None:
    levels = np.arange(784, dtype=np.int64).astype(np.uint8).reshape(28, 28)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    theirs = transform(Image.fromarray(levels))
    assert torch.equal(nets.normalise(torch.tensor(levels)[None])[0], theirs)


def test_the_net_has_the_tutorials_layers() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in nets.Net().state_dict().items()}
    assert shapes == {
        "conv1.weight": (6, 1, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 256),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    }


def test_a_network_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ParameterError, match=r"train\.model is 'vgg', allowed: net or cnn$"):
        nets.initial(0, model="vgg")


def test_a_network_without_features_is_refused_before_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(nets.Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    monkeypatch.setitem(nets.MODELS, "blind", Blind)
    with pytest.raises(TypeError, match=r"abstract class Blind .* abstract method '?features"):
        nets.initial(0, model="blind")


def test_a_line_in_the_registry_is_all_that_a_further_network_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    class Linear(nets.Network):
        def __init__(self, classes: int = 10) -> None:
            super().__init__()
            self.last = nn.Linear(784, classes)

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.last(self.features(x))
            return logits

    monkeypatch.setitem(nets.MODELS, "linear-1", Linear)
    text = (root / "params.yaml").read_text().replace("model: net", "model: linear-1")
    (tmp_path / "params.yaml").write_text(text)
    net = nets.initial(0, 26, params.load(tmp_path / "params.yaml").train.model)
    origin = checkpoint.Origin("x", tuple(map(str, range(26))))
    checkpoint.save(tmp_path / "net", net, origin)
    assert isinstance(checkpoint.load(tmp_path / "net", origin)[0], Linear)


@pytest.mark.parametrize("model", nets.MODELS)
@pytest.mark.parametrize("classes", [2, 10, 26])
def test_a_logit_a_class(model: str, classes: int) -> None:
    assert nets.initial(0, classes, model)(torch.zeros(3, 1, 28, 28)).shape == (3, classes)


@pytest.mark.parametrize(("model", "width"), [("net", 84), ("cnn", 256)])
def test_features_are_what_the_last_layer_reads(model: str, width: int) -> None:
    net = nets.initial(0, model=model).eval()
    *_, last = net.children()
    assert isinstance(last, nn.Linear)
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = net.features(images)
        assert torch.equal(last(features), net(images))
    assert features.shape == (3, width)
    assert (features >= 0).all() and (features > 0).any()


@pytest.mark.parametrize("model", nets.MODELS)
def test_initial_weights_come_from_the_seed_alone(model: str) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = (nets.initial(seed, model=model).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    # the tutorial's own: nothing but the global generator, seeded
    torch.manual_seed(0)
    plain = nets.MODELS[model]().state_dict()
    assert all(torch.equal(one[name], plain[name]) for name in one)
