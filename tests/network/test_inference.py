from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torchvision import transforms

from fashionboard.base.errors import ModelError
from fashionboard.base.kind import Kind
from fashionboard.data.dataset import Images
from fashionboard.network import inference, nets

SHIFTS = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
COLOUR = Kind(32, "rgb", "crop")


@pytest.fixture
def coloured() -> npt.NDArray[np.uint8]:
    """11 images in colour."""
    return np.random.default_rng(0).integers(0, 256, (11, *COLOUR.shape), np.uint8)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize("model", ["net", "cnn", "mobilenet_v3_small"])
def test_every_image_in_colour_gets_its_own_probabilities(
    coloured: npt.NDArray[np.uint8], model: str, batch_size: int
) -> None:
    net = nets.initial(0, 5, model, COLOUR).eval()
    ours = inference.log_probabilities(net, coloured, batch_size)
    features = inference.features(net, coloured, batch_size)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    with torch.no_grad():
        each = [net(transform(image)[None]).log_softmax(dim=1)[0] for image in coloured]
        last = net.get_submodule(net.last)(torch.from_numpy(features)).log_softmax(dim=1)
    # sums in float32, in another order for another batch
    assert ours == pytest.approx(torch.stack(each).numpy(), abs=1e-5)
    assert ours == pytest.approx(last.numpy(), abs=1e-5)
    assert len(features) == 11 and features.ndim == 2


@pytest.mark.parametrize("augment", ["none", "flip", "flip-shift"])
def test_images_that_are_mapped_count_as_those_in_memory(
    tmp_path: Path, coloured: npt.NDArray[np.uint8], augment: Literal["none", "flip", "flip-shift"]
) -> None:
    coloured.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "c", shape=coloured.shape)
    net = nets.initial(0, 5, "cnn", COLOUR)
    found = []
    for pixels in (coloured, mapped):
        logs = inference.log_probabilities(net, pixels, 4)
        views = inference.with_views(logs, net, pixels, 4, augment)
        found.append((logs, views, inference.features(net, pixels, 4)))
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("batch_size", [1, 7, 200, 10_000])
def test_every_image_gets_its_own_probabilities(images: Images, batch_size: int) -> None:
    net = nets.initial(0)
    ours = inference.log_probabilities(net, images.pixels[:20], batch_size)
    with torch.no_grad():
        each = [
            net(nets.normalise(torch.tensor(image)[None])).log_softmax(dim=1)[0]
            for image in images.pixels[:20]
        ]
    assert ours.dtype == np.float64
    # sums in float32, in another order for another batch
    assert ours == pytest.approx(torch.stack(each).numpy(), abs=1e-5)
    assert np.exp(ours).sum(axis=1) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_every_image_gets_its_own_features(images: Images, batch_size: int) -> None:
    net = nets.initial(0)
    assert isinstance(net, nets.Net)
    ours = inference.features(net, images.pixels[:20], batch_size)
    seen: list[torch.Tensor] = []
    net.fc3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inference.log_probabilities(net, images.pixels[:20], 20)
    assert ours.dtype == np.float32 and ours.shape == (20, 84)
    # sums in float32, in another order for another batch
    assert ours == pytest.approx(seen[0].numpy(), abs=1e-5)


def test_no_images_have_no_features(images: Images) -> None:
    assert inference.features(nets.initial(0), images.pixels[:0], 10).shape == (0, 84)


@pytest.mark.parametrize(("weight", "found"), [(1e38, "inf"), (-1e38, "-inf")])
def test_finite_weights_that_give_no_finite_logits_are_refused(
    images: Images, weight: float, found: str
) -> None:
    net = nets.initial(0)
    torch.nn.init.constant_(net.get_parameter("fc3.weight"), weight)
    torch.nn.init.constant_(net.get_parameter("fc2.bias"), 1e3)
    with pytest.raises(ModelError, match=f"^expected finite logits, found {found}; train again "):
        inference.log_probabilities(net, images.pixels[:20], 7)


def test_the_largest_finite_logits_give_finite_logarithms(images: Images) -> None:
    net = nets.initial(0, classes=2)
    torch.nn.init.zeros_(net.get_parameter("fc3.weight"))
    limit = torch.finfo(torch.float32).max
    net.get_parameter("fc3.bias").data.copy_(torch.tensor([limit, -limit]))
    # exact: each is a float32, and so in float64 is twice its value
    assert inference.log_probabilities(net, images.pixels[:1], 1).tolist() == [[0, -2 * limit]]


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
@pytest.mark.parametrize(("augment", "shifts"), [("flip", [(0, 0)]), ("flip-shift", SHIFTS)])
@pytest.mark.parametrize("colour", [False, True])
def test_views_give_the_mean_probability_of_an_image_mirrored_and_moved(
    images: Images,
    coloured: npt.NDArray[np.uint8],
    batch_size: int,
    augment: Literal["flip", "flip-shift"],
    shifts: list[tuple[int, int]],
    colour: bool,
) -> None:
    net, pixels = nets.initial(0), images.pixels[:20]
    if colour:
        net, pixels = nets.initial(0, 10, "net", COLOUR), coloured
    logs = inference.log_probabilities(net, pixels, batch_size)
    ours = inference.with_views(logs, net, pixels, batch_size, augment)
    expected = []
    with torch.no_grad():
        for image in pixels:
            as_tensor = transforms.functional.to_tensor(image)
            both = [as_tensor, transforms.functional.hflip(as_tensor)]
            # what comes in is black
            views = [
                transforms.functional.affine(one, 0.0, [right, down], 1.0, [0.0])
                for one in both
                for down, right in shifts
            ]
            each = [net((one[None] - 0.5) / 0.5).double().softmax(dim=1)[0] for one in views]
            expected.append(torch.stack(each).mean(dim=0).numpy())
    assert ours.dtype == np.float64
    # sums in float32, in another order for another batch
    assert np.exp(ours) == pytest.approx(np.array(expected), abs=1e-6)
    assert not np.allclose(ours, logs, atol=1e-4)
    assert np.exp(ours).sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_without_views_nothing_changes(images: Images) -> None:
    net, pixels = nets.initial(0), images.pixels[:5]
    logs = inference.log_probabilities(net, pixels, 5)
    assert inference.with_views(logs, net, pixels, 5, "none") is logs


def test_no_images_have_no_views(images: Images) -> None:
    net, none = nets.initial(0), images.pixels[:0]
    logs = inference.log_probabilities(net, none, 5)
    assert inference.with_views(logs, net, none, 5, "flip-shift").shape == (0, 10)


def test_a_mirrored_image_has_the_same_mean(images: Images) -> None:
    net, pixels = nets.initial(0), images.pixels[:20]
    swapped = np.ascontiguousarray(pixels[:, :, ::-1])
    one, other = (
        inference.with_views(inference.log_probabilities(net, each, 7), net, each, 7, "flip")
        for each in (pixels, swapped)
    )
    assert np.array_equal(one, other)


def test_certain_classes_stay_certain_and_impossible_ones_finite(images: Images) -> None:
    net = nets.initial(0, classes=2)
    torch.nn.init.zeros_(net.get_parameter("fc3.weight"))
    limit = torch.finfo(torch.float32).max
    net.get_parameter("fc3.bias").data.copy_(torch.tensor([limit, -limit]))
    logs = inference.log_probabilities(net, images.pixels[:1], 1)
    augments: list[Literal["flip", "flip-shift"]] = ["flip", "flip-shift"]
    for augment in augments:
        found = inference.with_views(logs, net, images.pixels[:1], 1, augment)
        # ten sums of float64
        assert found == pytest.approx(np.array([[0, -2 * limit]]), rel=1e-15, abs=1e-14)
        assert np.isfinite(found).all() and found.max() <= 0
