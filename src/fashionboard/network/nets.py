"""The networks that can be trained, and what goes into them."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionboard.base import clock
from fashionboard.base.errors import ParameterError
from fashionboard.base.kind import FASHION_MNIST, Kind

# what is left of an image after the last block of `Cnn` has at least so many pixels an edge
_LEAST = 3


class Network(nn.Module, ABC):
    """A network for square images of one kind, made for a number of classes; its last layer is linear."""

    @property
    @abstractmethod
    def last(self) -> str:
        """The name of the last layer, an `nn.Linear` that maps the features to the logits."""

    @property
    def architecture(self) -> str:
        """The name by which a model's file tells which network its weights are of."""
        return type(self).__name__

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to the last layer's input.

        Returns float32 (batch, width).
        """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to logits, float32 (batch, classes)."""


class Maker(Protocol):
    """What makes a network: a class of this module, or a function."""

    def __call__(self, classes: int = 10, kind: Kind = FASHION_MNIST) -> Network:
        """Return a network for images of `kind`, its initial weights drawn from torch's own generator.

        On the way it reads no number from a tensor: on torch's meta device, where `checkpoint` looks for the
        shapes of the weights, there are none.
        """


class Net(Network):
    """Two convolutions and three linear layers.

    Source: the PyTorch tutorial "Visualizing Models, Data, and Training with TensorBoard", which has it for
    grey images of 28 x 28 pixels: the shapes below are those. Of other images only the first and the third
    layer have other inputs.
    """

    last = "fc3"

    def __init__(self, classes: int = 10, kind: Kind = FASHION_MNIST) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(kind.channels, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        edge = ((kind.size - 4) // 2 - 4) // 2
        self.fc1 = nn.Linear(16 * edge * edge, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to the last layer's input: (batch, 84)."""
        x = self.pool(functional.relu(self.conv1(x)))  # (batch, 6, 12, 12)
        x = self.pool(functional.relu(self.conv2(x)))  # (batch, 16, 4, 4)
        x = x.flatten(1)  # (batch, 256)
        x = functional.relu(self.fc1(x))  # (batch, 120)
        return functional.relu(self.fc2(x))  # (batch, 84)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to logits, float32 (batch, classes)."""
        logits: Tensor = self.fc3(self.features(x))
        return logits


class Block(nn.Module):
    """A convolution of 3 x 3, max pooling that halves the image, batch normalisation and ReLU.

    Pooled before they are normalised, the images have a quarter of the pixels to normalise.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)  # the norm has a bias
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, inputs, size, size) to float32 (batch, outputs, size // 2, size // 2)."""
        return functional.relu(self.norm(self.pool(self.conv(x))))


class Cnn(Network):
    """Three blocks or more, each with twice the channels of the one before, and two linear layers.

    There are as many blocks as leave 3 to 5 pixels of an edge: three for 28 x 28 pixels, whose shapes are
    below, four from 48 x 48 on, five from 96 x 96 on, six from 192 x 192 on. Batch normalisation is that of
    Ioffe and Szegedy, "Batch Normalization" (2015).
    """

    last = "fc2"

    def __init__(self, classes: int = 10, kind: Kind = FASHION_MNIST) -> None:
        super().__init__()
        self._blocks: list[str] = []
        inputs, outputs, edge = kind.channels, 32, kind.size
        while edge // 2 >= _LEAST:
            self._blocks.append(f"block{len(self._blocks) + 1}")
            self.add_module(self._blocks[-1], Block(inputs, outputs))
            inputs, outputs, edge = outputs, 2 * outputs, edge // 2
        self.fc1 = nn.Linear(inputs * edge * edge, 256)
        self.fc2 = nn.Linear(256, classes)
        # the order that oneDNN computes in: it need not reorder in each step
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to the last layer's input: (batch, 256)."""
        for name in self._blocks:
            x = self.get_submodule(name)(x)  # (batch, 32, 14, 14), (batch, 64, 7, 7), (batch, 128, 3, 3)
        x = x.flatten(1)  # (batch, 1152)
        return functional.relu(self.fc1(x))  # (batch, 256)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to logits, float32 (batch, classes)."""
        logits: Tensor = self.fc2(self.features(x))
        return logits


def borrowed(name: str) -> Maker:
    """Return what makes the network that `torchvision.models` has by this name, see `zoo`."""

    def make(classes: int = 10, kind: Kind = FASHION_MNIST) -> Network:
        # not before it is asked for: it needs this module, and torchvision, which takes a second
        with clock.part("imports"), torch.device("cpu"):
            from fashionboard.network import zoo

        return zoo.Borrowed(name, classes, kind)

    return make


# by their names in params.yaml; a further network of one's own is a class above and a line here, one of
# torchvision's a line alone
MODELS: dict[str, Maker] = {
    "net": Net,
    "cnn": Cnn,
    "resnet18": borrowed("resnet18"),
    "resnet34": borrowed("resnet34"),
    "mobilenet_v3_small": borrowed("mobilenet_v3_small"),
    "efficientnet_b0": borrowed("efficientnet_b0"),
}


def architectures() -> dict[str, Maker]:
    """Return what makes each network, by the name that a model's file has: see `Network.architecture`."""
    return {make.__name__ if isinstance(make, type) else name: make for name, make in MODELS.items()}


def initial(seed: int, classes: int = 10, model: str = "net", kind: Kind = FASHION_MNIST) -> Network:
    """Return a network with its own initial weights, drawn from `seed`; no other generator is touched.

    model: a name in MODELS. kind: what the images are like that it is for.

    Raises:
        ParameterError: there is no such name.
    """
    if model not in MODELS:
        raise ParameterError(f"params.yaml: train.model is '{model}', allowed: {' or '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return MODELS[model](classes, kind)


def normalise(pixels: Tensor) -> Tensor:
    """Map images from 0 to 255 to what a net takes, from -1 to 1.

    pixels: uint8 (batch, height, width), grey, or (batch, height, width, 3), red, green and blue.

    Returns float32 (batch, 1, height, width) or (batch, 3, height, width), contiguous; the same bits as
    torchvision's ToTensor followed by Normalize with means and deviations of 0.5.
    """
    planes = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(255).sub_(0.5).div_(0.5)
