import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional
from torchvision import transforms

from fashionboard import network


def test_normalising_gives_the_bits_of_the_tutorials_transforms() -> None:
    levels = np.arange(784, dtype=np.int64).astype(np.uint8).reshape(28, 28)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    theirs = transform(Image.fromarray(levels))
    assert torch.equal(network.normalise(torch.tensor(levels)[None])[0], theirs)


def test_the_net_has_the_tutorials_layers() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in network.Net().state_dict().items()}
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


@pytest.mark.parametrize("classes", [2, 10, 26])
def test_a_logit_a_class(classes: int) -> None:
    assert network.Net(classes)(torch.zeros(3, 1, 28, 28)).shape == (3, classes)


def test_the_last_layer_decides_on_the_features() -> None:
    net = network.initial(0)
    images = network.normalise(torch.arange(3 * 784).to(torch.uint8).reshape(3, 28, 28))
    features = net.features(images)
    assert features.shape == (3, 84) and features.min() == 0 < features.max()
    assert torch.equal(functional.linear(features, net.fc3.weight, net.fc3.bias), net(images))


def test_initial_weights_come_from_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, again, other = network.initial(0), network.initial(0), network.initial(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.fc1.weight, again.fc1.weight)
    assert not torch.equal(one.fc1.weight, other.fc1.weight)
    # the tutorial's own: nothing but the global generator, seeded
    torch.manual_seed(0)
    assert torch.equal(one.conv1.weight, network.Net().conv1.weight)
