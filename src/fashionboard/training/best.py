"""The weights of the report with the least validation loss, kept while the training goes on."""

import math

import torch
from torch import Tensor

from fashionboard.network.nets import Network
from fashionboard.training.validation import Score


class Best:
    """The best weights of `net` so far.

    state: by name, the tensors that hold them, and their validation loss.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self._weights = {name: weight.clone() for name, weight in net.state_dict().items()}
        self._loss = torch.tensor(math.inf, dtype=torch.float64)
        self.state: dict[str, Tensor] = {f"best weight {name}": each for name, each in self._weights.items()}
        self.state["least validation loss"] = self._loss

    def update(self, score: Score) -> None:
        """Keep the net's weights if `score`, which is theirs, is better than that of those kept."""
        if score.loss < self._loss:
            self._loss.fill_(score.loss)
            for name, weight in self._net.state_dict().items():
                self._weights[name].copy_(weight)

    def restore(self) -> None:
        """Give the net the weights that are kept."""
        self._net.load_state_dict(self._weights)
