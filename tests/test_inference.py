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
