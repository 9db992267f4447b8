import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from fashionboard.base import params
from fashionboard.base.errors import ParameterError
from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.network import checkpoint, nets

OWN = ("net", "cnn")
# one of each shape that a net of this project's has, and both ends
KINDS = [FASHION_MNIST, *(Kind(size, "rgb", "crop") for size in (28, 47, 48, 64, 95, 224))]


@pytest.mark.parametrize("shape", [(28, 28), (64, 64, 3)])
def test_normalising_gives_the_bits_of_the_tutorials_transforms(shape: tuple[int, ...]) -> None:
    levels = np.arange(2 * np.prod(shape), dtype=np.int64).astype(np.uint8).reshape(2, *shape)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    theirs = torch.stack([transform(Image.fromarray(each)) for each in levels])
    ours = nets.normalise(torch.tensor(levels))
    assert torch.equal(ours, theirs)
    assert ours.is_contiguous() and ours.dtype == torch.float32


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
    allowed = "net or cnn or resnet18 or resnet34 or mobilenet_v3_small or efficientnet_b0"
    with pytest.raises(ParameterError, match=rf"train\.model is 'vgg', allowed: {allowed}$"):
        nets.initial(0, model="vgg")


@pytest.mark.parametrize(("size", "edge"), [(28, 4), (29, 4), (32, 5), (224, 53)])
def test_the_net_has_the_tutorials_layers_for_other_images_too(size: int, edge: int) -> None:
    plain, other = nets.Net(7), nets.Net(7, Kind(size, "rgb", "crop"))
    # what a convolution of 5 x 5 and a pooling of 2 x 2 leave, twice
    changed = {"conv1.weight": (6, 3, 5, 5), "fc1.weight": (120, 16 * edge * edge)}
    shapes = {name: tuple(tensor.shape) for name, tensor in plain.state_dict().items()}
    assert {name: tuple(tensor.shape) for name, tensor in other.state_dict().items()} == shapes | changed


@pytest.mark.parametrize(
    ("size", "blocks", "edge"),
    [(28, 3, 3), (47, 3, 5), (48, 4, 3), (95, 4, 5), (96, 5, 3), (191, 5, 5), (192, 6, 3), (224, 6, 3)],
)
def test_the_cnn_has_blocks_until_3_to_5_pixels_are_left(size: int, blocks: int, edge: int) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(each.shape) for name, each in nets.Cnn(7, Kind(size)).named_parameters()}
    convolutions = [shape for name, shape in shapes.items() if name.endswith("conv.weight")]
    inputs = [1, *(32 * 2**number for number in range(blocks))]
    assert convolutions == [(out, into, 3, 3) for into, out in itertools.pairwise(inputs)]
    assert shapes["fc1.weight"] == (256, inputs[-1] * edge * edge)
    assert shapes["fc2.weight"] == (7, 256)


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        ("net", "45d9ef0a7e220a1a"),
        ("cnn", "1872d68ab5056153"),
    ],
)
def test_initial_weights_are_those_of_models_that_people_have(model: str, digest: str) -> None:
    weights = nets.initial(0, model=model).state_dict()
    found = hashlib.sha256()
    for name, tensor in weights.items():
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    assert found.hexdigest()[:16] == digest


def test_a_network_without_features_is_refused_before_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(nets.Network):
        last = "fc"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    monkeypatch.setitem(nets.MODELS, "blind", Blind)
    with pytest.raises(TypeError, match=r"abstract class Blind .* abstract method '?features"):
        nets.initial(0, model="blind")


def test_a_network_that_does_not_name_its_last_layer_is_refused_before_it_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Endless(nets.Net):
        last = nets.Network.last

    monkeypatch.setitem(nets.MODELS, "endless", Endless)
    with pytest.raises(TypeError, match=r"abstract class Endless .* abstract method '?last"):
        nets.initial(0, model="endless")


def test_a_line_in_the_registry_is_all_that_a_further_network_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    class Linear(nets.Network):
        last = "logits"

        def __init__(self, classes: int = 10, kind: Kind = FASHION_MNIST) -> None:
            super().__init__()
            self.logits = nn.Linear(kind.channels * kind.size**2, classes)

        def features(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.logits(self.features(x))
            return logits

    monkeypatch.setitem(nets.MODELS, "linear-1", Linear)
    text = (root / "params.yaml").read_text().replace("model: net", "model: linear-1")
    (tmp_path / "params.yaml").write_text(text)
    kind = Kind(30, "rgb", "pad")
    net = nets.initial(0, 26, params.load(tmp_path / "params.yaml").train.model, kind)
    origin = checkpoint.Origin("x", tuple(map(str, range(26))), kind)
    checkpoint.save(tmp_path / "net", net, origin)
    assert isinstance(checkpoint.load(tmp_path / "net", origin)[0], Linear)


@pytest.mark.parametrize("model", nets.MODELS)
@pytest.mark.parametrize("classes", [2, 26])
def test_a_logit_a_class(model: str, classes: int) -> None:
    assert nets.initial(0, classes, model)(torch.zeros(3, 1, 28, 28)).shape == (3, classes)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("model", OWN)
def test_images_of_any_size_and_colour_get_a_logit_a_class(model: str, kind: Kind) -> None:
    net = nets.initial(0, 3, model, kind)
    logits = net(nets.normalise(torch.zeros(1, *kind.shape, dtype=torch.uint8)))
    assert logits.shape == (1, 3)


@pytest.mark.parametrize("kind", [FASHION_MNIST, Kind(64, "rgb", "crop")], ids=str)
@pytest.mark.parametrize(
    ("model", "width"),
    [("net", 84), ("cnn", 256), ("resnet18", 512), ("mobilenet_v3_small", 1024), ("efficientnet_b0", 1280)],
)
def test_features_are_what_the_last_layer_reads(model: str, width: int, kind: Kind) -> None:
    net = nets.initial(0, 10, model, kind).eval()
    *_, last = net.children()
    assert isinstance(last, nn.Linear) and net.get_submodule(net.last) is last
    images = torch.randn(3, kind.channels, kind.size, kind.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = net.features(images)
        assert torch.equal(last(features), net(images))
    assert features.shape == (3, width)
    if model in OWN:
        assert (features >= 0).all() and (features > 0).any()


@pytest.mark.parametrize("model", nets.MODELS)
def test_a_network_tells_the_name_by_which_it_is_made_again(model: str) -> None:
    architecture = nets.initial(0, model=model).architecture
    assert nets.architectures()[architecture] is nets.MODELS[model]
    assert architecture == {"net": "Net", "cnn": "Cnn"}.get(model, model)


@pytest.mark.parametrize("model", nets.MODELS)
def test_a_network_is_made_without_memory_where_only_its_shapes_matter(model: str) -> None:
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in nets.MODELS[model](3).state_dict().items()}
    assert shapes == {name: each.shape for name, each in nets.MODELS[model](3).state_dict().items()}


@pytest.mark.slow
def test_torchvision_is_imported_for_its_own_networks_alone() -> None:
    program = (
        "import sys; from fashionboard.network import checkpoint, nets;"
        "nets.initial(0, model=sys.argv[1]); print('torchvision' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    for model, imported in (("cnn", "False"), ("resnet18", "True")):
        command = [sys.executable, "-c", program, model]
        assert subprocess.check_output(command, env=environment, text=True).strip() == imported


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
