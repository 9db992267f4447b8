"""Torch's fused optimizers without what torch's own classes cost around them.

For batches as small as the tutorial's, what `torch.optim.Optimizer` does around its kernel in each
step takes several times as long as the kernel, and making one imports torch's compiler.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from fashionboard.base.params import Train

# AdamW's other two numbers, as torch has them
_BETA2, _EPSILON = 0.999, 1e-8


class Optimizer(ABC):
    """Changes the weights of a net by their gradients.

    weights: those of the net. state: by name, the other tensors that a step changes.

    lr: the learning rate: a number, or one that changes between steps, also where those are
    recorded: a tensor without dimensions, float64 on the CPU, float32 on CUDA, to be filled anew.
    """

    def __init__(self, net: nn.Module, lr: float | Tensor, weight_decay: float) -> None:
        """Prepare to train `net`, which must be on its device already."""
        self.weights: list[Tensor] = list(net.parameters())
        self.state: dict[str, Tensor] = {}
        self.lr, self._weight_decay = lr, weight_decay

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for weight in self.weights:
            weight.grad = None

    def step(self) -> None:
        """Change the weights by their gradients."""
        with torch.no_grad():
            self._change([weight.grad for weight in self.weights if weight.grad is not None])

    @abstractmethod
    def _change(self, gradients: list[Tensor]) -> None: ...

    def _zeros(self, name: str) -> list[Tensor]:
        """Return zeros in the shape of each weight, as `name` and a number in `state`."""
        zeros = [torch.zeros_like(weight) for weight in self.weights]
        self.state |= {f"{name} {index}": tensor for index, tensor in enumerate(zeros)}
        return zeros


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD(..., fused=True)`, to the bit.

    g <- gradient + weight_decay * weight; v <- momentum * v + g; weight <- weight - lr * v, with v = 0
    before the first step.
    """

    def __init__(
        self, net: nn.Module, lr: float | Tensor, momentum: float, weight_decay: float = 0.0
    ) -> None:
        """Prepare to train `net`, which must be on its device already; momentum: [0, 1)."""
        super().__init__(net, lr, weight_decay)
        self._momentum = momentum
        # the kernel takes none where there is no momentum
        self._momenta = self._zeros("momentum") if momentum else []

    def _change(self, gradients: list[Tensor]) -> None:
        torch._fused_sgd_(
            self.weights,
            gradients,
            self._momenta,
            lr=self.lr,
            momentum=self._momentum,
            weight_decay=self._weight_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay, as `torch.optim.AdamW(..., fused=True)`, to the bit.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2; the decay
    is multiplied by the learning rate, as torch does it: weight <- weight - lr * weight_decay * weight.
    """

    def __init__(self, net: nn.Module, lr: float | Tensor, beta1: float, weight_decay: float = 0.0) -> None:
        """Prepare to train `net`, which must be on its device already; beta1: [0, 1)."""
        super().__init__(net, lr, weight_decay)
        self._beta1 = beta1
        self._means, self._squares = self._zeros("mean"), self._zeros("mean square")
        # the kernel reads it as a tensor, which also counts where steps are recorded
        self._steps = self.state["steps"] = torch.zeros((), device=self.weights[0].device)

    def _change(self, gradients: list[Tensor]) -> None:
        self._steps += 1
        torch._fused_adamw_(
            self.weights,
            gradients,
            self._means,
            self._squares,
            [],
            [self._steps] * len(self.weights),
            lr=self.lr,
            beta1=self._beta1,
            beta2=_BETA2,
            weight_decay=self._weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


def make(net: nn.Module, settings: Train) -> Optimizer:
    """Return the optimizer that `settings` ask for, to train `net`, which must be on its device already."""
    kind = {"sgd": SGD, "adamw": AdamW}[settings.optimizer]
    lr: float | Tensor = settings.lr
    if settings.schedule != "constant":
        device = next(net.parameters()).device
        # the types that the kernels read
        lr = torch.tensor(lr, device=device, dtype=torch.float32 if device.type == "cuda" else torch.float64)
    return kind(net, lr, settings.momentum, settings.weight_decay)
