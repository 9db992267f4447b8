"""The networks that can be trained, and what goes into them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionboard.base.errors import ParameterError


class Network(nn.Module, ABC):
    """A network for grey images of 28 x 28 pixels, made for a number of classes; its last layer is linear."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to the last layer's input: float32 (batch, width)."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to logits, float32 (batch, classes)."""


class Net(Network):
    """Two convolutions and three linear layers.

    Source: the PyTorch tutorial "Visualizing Models, Data, and Training with TensorBoard".
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to the last layer's input: float32 (batch, 84)."""
        x = self.pool(functional.relu(self.conv1(x)))  # (batch, 6, 12, 12)
        x = self.pool(functional.relu(self.conv2(x)))  # (batch, 16, 4, 4)
        x = x.flatten(1)  # (batch, 256)
        x = functional.relu(self.fc1(x))  # (batch, 120)
        return functional.relu(self.fc2(x))  # (batch, 84)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to logits, float32 (batch, classes)."""
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
    """Three blocks, each with twice the channels of the one before, and two linear layers.

    Batch normalisation is that of Ioffe and Szegedy, "Batch Normalization" (2015).
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.block1 = Block(1, 32)
        self.block2 = Block(32, 64)
        self.block3 = Block(64, 128)
        self.fc1 = nn.Linear(128 * 3 * 3, 256)
        self.fc2 = nn.Linear(256, classes)
        # the order that oneDNN computes in: it need not reorder in each step
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to the last layer's input: float32 (batch, 256)."""
        x = self.block1(x)  # (batch, 32, 14, 14)
        x = self.block2(x)  # (batch, 64, 7, 7)
        x = self.block3(x)  # (batch, 128, 3, 3)
        x = x.flatten(1)  # (batch, 1152)
        return functional.relu(self.fc1(x))  # (batch, 256)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to logits, float32 (batch, classes)."""
        logits: Tensor = self.fc2(self.features(x))
        return logits


# by their names in params.yaml; a further network is a class above, with both methods, and a line here
MODELS: dict[str, type[Network]] = {"net": Net, "cnn": Cnn}


def initial(seed: int, classes: int = 10, model: str = "net") -> Network:
    """Return a network with PyTorch's own initial weights, drawn from `seed`; no other generator is touched.

    model: a name in MODELS.

    Raises:
        ParameterError: there is no such name.
    """
    if model not in MODELS:
        raise ParameterError(f"params.yaml: train.model is '{model}', allowed: {' or '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return MODELS[model](classes)


def normalise(pixels: Tensor) -> Tensor:
    """Map grey images, uint8 (batch, 28, 28) from 0 to 255, to float32 (batch, 1, 28, 28) from -1 to 1.

    The same bits as torchvision's ToTensor followed by Normalize((0.5,), (0.5,)).
    """
    return pixels.unsqueeze(1).to(torch.float32).div_(255).sub_(0.5).div_(0.5)
