"""The tutorial's optimizer without what torch's own class costs around it."""

import torch
from torch import Tensor, nn


class SGD:
    """Stochastic gradient descent with momentum, as `torch.optim.SGD(..., fused=True)`, to the bit.

    v <- momentum * v + gradient; weight <- weight - lr * v, with v = 0 before the first step.

    It calls torch's own fused kernel. For batches as small as the tutorial's, what
    `torch.optim.Optimizer` does around that kernel in each step takes several times as long as the
    kernel, and making one imports torch's compiler.
    """

    def __init__(self, net: nn.Module, lr: float, momentum: float) -> None:
        """Prepare to train `net`, which must be on its device already; momentum: [0, 1)."""
        self.weights: list[Tensor] = list(net.parameters())
        # the kernel takes none where there is no momentum
        self.momenta = [torch.zeros_like(weight) for weight in self.weights] if momentum else []
        self._lr, self._momentum = lr, momentum

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for weight in self.weights:
            weight.grad = None

    def step(self) -> None:
        """Change the weights by their gradients."""
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        with torch.no_grad():
            torch._fused_sgd_(
                self.weights,
                gradients,
                self.momenta,
                lr=self._lr,
                momentum=self._momentum,
                weight_decay=0.0,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
