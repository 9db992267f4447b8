"""The tutorial's network, and what goes into it."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Net(nn.Module):
    """Two convolutions and three linear layers, for grey images of 28 x 28 pixels.

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
        """Map float32 (batch, 1, 28, 28), normalised, to what the last layer sees, float32 (batch, 84)."""
        x = self.pool(functional.relu(self.conv1(x)))  # (batch, 6, 12, 12)
        x = self.pool(functional.relu(self.conv2(x)))  # (batch, 16, 4, 4)
        x = x.flatten(1)  # (batch, 256)
        x = functional.relu(self.fc1(x))  # (batch, 120)
        return functional.relu(self.fc2(x))  # (batch, 84)

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, 1, 28, 28), normalised, to logits, float32 (batch, classes)."""
        logits: Tensor = self.fc3(self.features(x))  # (batch, classes)
        return logits


def initial(seed: int, classes: int = 10) -> Net:
    """Return a Net with PyTorch's own initial weights, drawn from `seed`; no other generator is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Net(classes)


def normalise(pixels: Tensor) -> Tensor:
    """Map grey images, uint8 (batch, 28, 28) from 0 to 255, to float32 (batch, 1, 28, 28) from -1 to 1.

    The same bits as torchvision's ToTensor followed by Normalize((0.5,), (0.5,)).
    """
    return pixels.unsqueeze(1).to(torch.float32).div_(255).sub_(0.5).div_(0.5)
