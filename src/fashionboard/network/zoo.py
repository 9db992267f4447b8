"""Torchvision's networks, with weights of this project's own."""

from torch import Tensor, nn
from torchvision import models, ops

from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.network.nets import Network

# pixels of an edge up to which an image is a small one
SMALL = 64
# of the mean and the variance over batches, what a batch counts for: torch's own default
_MOMENTUM = 0.1


class Borrowed(Network):
    """A network of `torchvision.models` for classification, with initial weights drawn as torchvision does.

    Four things differ from torchvision's own:

    - The first layer takes the channels that the images have.
    - Small images, of up to 64 x 64 pixels, are not halved at once: the first layer is a convolution of 3 x 3
      with a stride of 1, and no pooling follows, as in the networks for CIFAR of He et al., "Deep Residual
      Learning for Image Recognition" (2015), section 4.2.
    - There is no dropout, and no layer is left out at random. Both would draw from torch's own generator, so
      that a training that was stopped would go on with other numbers.
    - Batch normalisation has a momentum of 0.1 throughout. MobileNetV3's is 0.01, for trainings of very many
      steps: after a few hundred, the statistics that an evaluation uses would still be those of the start.

    body: torchvision's network, whose last layer is left out, so that it puts out the features. fc: that
    layer.
    """

    last = "fc"

    def __init__(self, name: str, classes: int = 10, kind: Kind = FASHION_MNIST) -> None:
        """name: that of a function in `torchvision.models`, such as resnet18."""
        super().__init__()
        self._name = name
        self.body: nn.Module = models.get_model(name, weights=None, num_classes=classes)
        self._fit_stem(kind)
        for path, module in list(self.body.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _MOMENTUM
            if isinstance(module, nn.Dropout | ops.StochasticDepth):
                self.body.set_submodule(path, nn.Identity())
        path, self.fc = [each for each in self.body.named_modules() if isinstance(each[1], nn.Linear)][-1]
        self.body.set_submodule(path, nn.Identity())

    @property
    def architecture(self) -> str:
        """The name by which `torchvision.models` has it."""
        return self._name

    def _fit_stem(self, kind: Kind) -> None:
        """Make the first layer one for images of `kind`."""
        modules = self.body.named_modules()
        path, first = next(each for each in modules if isinstance(each[1], nn.Conv2d))
        small = kind.size <= SMALL
        if small and hasattr(self.body, "maxpool"):
            self.body.maxpool = nn.Identity()
        if not small and kind.channels == first.in_channels:
            return
        size, stride, padding = (3, 1, 1) if small else (first.kernel_size, first.stride, first.padding)
        biased = first.bias is not None
        fitting = nn.Conv2d(kind.channels, first.out_channels, size, stride, padding, bias=biased)
        # as torchvision draws all convolutions of these networks
        nn.init.kaiming_normal_(fitting.weight, mode="fan_out", nonlinearity="relu")
        self.body.set_submodule(path, fitting)

    def features(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to float32 (batch, width)."""
        features: Tensor = self.body(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map float32 (batch, channels, size, size), normalised, to logits, float32 (batch, classes)."""
        logits: Tensor = self.fc(self.features(x))
        return logits
