from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.network import nets, zoo
from fashionboard.training import graph, loop, optimizer, repeat
from tests.support.settings import settings

NAMES = ("resnet18", "resnet34", "mobilenet_v3_small", "efficientnet_b0")
# one a family
FAMILIES = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")
SMALL, LARGE = Kind(64, "rgb", "crop"), Kind(65, "rgb", "crop")


@pytest.fixture(autouse=True)
def as_in_a_stage() -> Iterator[None]:
    """Let every operation that is not repeatable fail."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    yield
    torch.set_deterministic_debug_mode(before)
    torch.backends.mkldnn.enabled = True  # type: ignore[assignment]


def batch(kind: Kind, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nets.normalise(torch.randint(0, 256, (count, *kind.shape), dtype=torch.uint8, generator=generator))


def torchvisions(name: str, classes: int) -> nn.Module:
    net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return net


def given(theirs: nn.Module, ours: nets.Network) -> nn.Module:
    """Give torchvision's own net the weights of ours, in their order."""
    pairs = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict({name: tensor.clone() for name, tensor in pairs})
    return theirs


@pytest.mark.parametrize("name", NAMES)
def test_colour_images_of_more_than_64_pixels_get_torchvisions_own_network_and_weights(name: str) -> None:
    ours = nets.initial(3, 5, name, LARGE).eval()
    torch.manual_seed(3)
    theirs = torchvisions(name, 5).eval()
    for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with torch.no_grad():
        assert torch.equal(ours(batch(LARGE, 2)), theirs(batch(LARGE, 2)))


@pytest.mark.parametrize("kind", [FASHION_MNIST, SMALL, Kind(65, "grey", "crop")], ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_other_images_change_nothing_but_the_stem(name: str, kind: Kind) -> None:
    ours, theirs = nets.initial(0, 5, name, kind), torchvisions(name, 5)
    small = kind.size == 28 or kind == SMALL
    if name.startswith("resnet"):
        stem = (3, 1, 1) if small else (7, 2, 3)
        theirs.conv1 = nn.Conv2d(kind.channels, 64, *stem, bias=False)
        theirs.maxpool = nn.Identity() if small else theirs.maxpool
    else:
        stem = (3, 1, 1) if small else (3, 2, 1)
        first = theirs.get_submodule("features.0")
        assert isinstance(first, nn.Sequential) and isinstance(first[0], nn.Conv2d)
        first[0] = nn.Conv2d(kind.channels, first[0].out_channels, *stem, bias=False)
    given(theirs, ours).eval()
    with torch.no_grad():
        assert torch.equal(ours.eval()(batch(kind, 3)), theirs(batch(kind, 3)))


@pytest.mark.parametrize(("kind", "edge"), [(FASHION_MNIST, 28), (SMALL, 64), (LARGE, 17)], ids=str)
def test_small_images_are_not_halved_before_the_first_block(kind: Kind, edge: int) -> None:
    net = nets.initial(0, 5, "resnet18", kind)
    seen: list[Tensor] = []
    net.get_submodule("body.layer1").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(batch(kind, 1))
    assert seen[0].shape == (1, 64, edge, edge)


@pytest.mark.parametrize("kind", [FASHION_MNIST, Kind(65, "grey", "crop")], ids=str)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_stem_of_another_shape_is_drawn_as_torchvision_draws_convolutions(name: str, kind: Kind) -> None:
    net = nets.initial(0, 5, name, kind)
    stem = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    # He et al. (2015): a variance of 2 over the values that an input goes to
    expected = (2 / (stem.out_channels * stem.kernel_size[0] ** 2)) ** 0.5
    # of at least 144 numbers
    assert stem.weight.std().item() == pytest.approx(expected, rel=0.2)
    assert stem.weight.mean().item() == pytest.approx(0, abs=expected / 3)


@pytest.mark.parametrize("name", FAMILIES)
def test_training_draws_no_random_numbers(name: str) -> None:
    net, before = nets.initial(0, 5, name).train(), torch.random.get_rng_state()
    first, second = net(batch(FASHION_MNIST, 4)), net(batch(FASHION_MNIST, 4))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", FAMILIES)
def test_statistics_of_batches_are_those_of_the_last_fifty_steps(name: str) -> None:
    net = nets.initial(0, 5, name).train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        images = torch.rand(2, norm.num_features, 3, 3)
        for _ in range(50):
            norm(images)
        # all but 0.9 ^ 50 of it
        torch.testing.assert_close(norm.running_mean, images.mean(dim=(0, 2, 3)), rtol=0.01, atol=0)
    assert len(norms) > 15


@pytest.mark.slow
@pytest.mark.parametrize("size", [28, 64, 65, 224])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_single_image_can_be_trained_on(name: str, size: int) -> None:
    kind = Kind(size, "rgb", "crop")
    net = nets.initial(0, 5, name, kind).train()
    nn.functional.cross_entropy(net(batch(kind, 1)), torch.tensor([3])).backward()
    gradients = [weight.grad for weight in net.parameters()]
    assert all(each is not None and each.isfinite().all() for each in gradients)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "onednn"),
    [("resnet18", LARGE, True), ("mobilenet_v3_small", FASHION_MNIST, False)],
    ids=str,
)
def test_recorded_steps_have_the_bits_of_plain_ones(name: str, kind: Kind, onednn: bool) -> None:
    count = 2
    torch.backends.mkldnn.enabled = onednn  # type: ignore[assignment]
    wanted, trained = settings(optimizer="adamw"), []
    targets = torch.arange(count)
    for recorded in (False, True):
        net = nets.initial(0, 5, name, kind).train()
        optimiser = optimizer.make(net, wanted)
        step = loop.training_step(net, optimiser)
        if recorded:
            state = [*net.state_dict().values(), *optimiser.state.values()]
            taped = repeat.record(step, batch(kind, count), targets, state)
            assert taped is not step
            step = taped
        losses = [step(batch(kind, count, seed), targets).item() for seed in range(3)]
        trained.append((losses, net.state_dict()))
    (one, weights), (other, theirs) = trained
    assert one == other and len(set(one)) == 3
    assert all(torch.equal(weights[name], theirs[name]) for name in weights)


def test_the_graph_opens_into_torchvisions_layers() -> None:
    traced = graph.trace(nets.initial(0, 5, "resnet18", LARGE), batch(LARGE, 2))
    paths = {tuple(node.name.split("/")[:3]) for node in traced.node}
    layers = ("Conv2d[conv1]", "BatchNorm2d[bn1]", "MaxPool2d[maxpool]", "Sequential[layer4]")
    assert {("Borrowed", "ResNet[body]", layer) for layer in layers} <= paths
    assert ("Borrowed", "Linear[fc]") in {path[:2] for path in paths}


def test_another_network_of_torchvision_needs_no_more_than_its_name() -> None:
    net = zoo.Borrowed("mobilenet_v2", 5, SMALL).eval()
    assert net.architecture == "mobilenet_v2"
    images = batch(SMALL, 2)
    with torch.no_grad():
        assert torch.equal(net.fc(net.features(images)), net(images))
    assert net(images).shape == (2, 5)
