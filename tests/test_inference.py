import numpy as np
import pytest
import torch

from fashionboard import inference, network
from fashionboard.dataset import Images


@pytest.mark.parametrize("batch_size", [1, 7, 200, 10_000])
def test_every_image_gets_its_own_probabilities(images: Images, batch_size: int) -> None:
    net = network.initial(0)
    ours = inference.log_probabilities(net, images.pixels[:20], batch_size)
    with torch.no_grad():
        each = [
            net(network.normalise(torch.tensor(image)[None])).log_softmax(dim=1)[0]
            for image in images.pixels[:20]
        ]
    assert ours.dtype == np.float64
    # sums in float32, in another order for another batch
    assert ours == pytest.approx(torch.stack(each).numpy(), abs=1e-5)
    assert np.exp(ours).sum(axis=1) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_every_image_gets_its_own_features(images: Images, batch_size: int) -> None:
    net = network.initial(0)
    assert isinstance(net, network.Net)
    ours = inference.features(net, images.pixels[:20], batch_size)
    seen: list[torch.Tensor] = []
    net.fc3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    inference.log_probabilities(net, images.pixels[:20], 20)
    assert ours.dtype == np.float32 and ours.shape == (20, 84)
    # sums in float32, in another order for another batch
    assert ours == pytest.approx(seen[0].numpy(), abs=1e-5)


def test_no_images_have_no_features(images: Images) -> None:
    assert inference.features(network.initial(0), images.pixels[:0], 10).shape == (0, 84)
