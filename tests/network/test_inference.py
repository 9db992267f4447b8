import numpy as np
import pytest
import torch

from fashionboard.base.errors import ModelError
from fashionboard.data.dataset import Images
from fashionboard.network import inference, nets


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
