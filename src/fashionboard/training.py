"""The tutorial's training loop: images, a net and settings in; reports out, and the net trained."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from fashionboard import recording
from fashionboard.dataset import Images
from fashionboard.errors import TrainingError
from fashionboard.network import normalise
from fashionboard.optimizer import SGD
from fashionboard.params import Train

# the tutorial's batches of four, all of which it shows
_SHOWN = 4
# images normalised at a time: many small operations cost more than one large, and this is 13 MB
_CHUNK = 4096


@dataclass(frozen=True)
class Report:
    """What is known at the end of an interval of `train.log_every` batches.

    step: number of the last batch, counted from 0 over all epochs.
    loss: mean over the batches of the interval.
    positions: int64 (n,), n <= 4: the first images of that batch, as indices into the data set.
    predicted: int64 (n,), the likeliest class of each. confidence: float32 (n,), its probability.
    """

    step: int
    loss: float
    positions: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]


def order(images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order of the images in `epoch`: int64 (images,), a permutation from its own generator."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def first_batch(images: Images, settings: Train) -> Tensor:
    """Return the first batch that the net will see, normalised: float32 (batch, 1, 28, 28), on the CPU."""
    positions = order(len(images), settings.seed, epoch=0)[: settings.batch_size]
    return normalise(torch.tensor(images.pixels[positions]))


def sgd(net: nn.Module, settings: Train) -> SGD:
    """Return the tutorial's optimizer for `net`, which must be on its device already."""
    return SGD(net, settings.lr, settings.momentum)


def batches(
    pixels: Tensor, labels: Tensor, positions: Tensor, batch_size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the images at `positions` as the net takes them, `batch_size` at a time; the last may be fewer.

    pixels: uint8 (images, 28, 28). labels: int64 (images,). positions: int64 (n,).

    Yields float32 (batch, 1, 28, 28), normalised; int64 (batch,), their labels; int64 (batch,),
    their positions; all on the device of `pixels`.
    """
    for chunk in positions.split(batch_size * max(1, _CHUNK // batch_size)):
        together = normalise(pixels[chunk]), labels[chunk], chunk
        yield from zip(*(tensor.split(batch_size) for tensor in together), strict=True)


def training_step(net: nn.Module, optimizer: SGD) -> recording.Step:
    """Return a function that trains `net` on a batch and its labels, and returns the loss."""

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def train(
    net: nn.Module, optimizer: SGD, images: Images, settings: Train, after: int = -1
) -> Iterator[Report]:
    """Train `net` in place, on its device, and yield a report every `log_every` batches.

    An interval ends with its epoch, too: where `log_every` does not divide the number of batches,
    the last report of an epoch is the mean over fewer.

    after: the step of a report, to go on from there with net and optimizer as they were then.

    Raises:
        TrainingError: the loss is not finite, or the weights are not at the end of an interval.
    """
    net.train()
    device = next(net.parameters()).device
    pixels = torch.from_numpy(images.pixels).to(device)
    labels = torch.from_numpy(images.labels).to(device, torch.int64)
    steps = math.ceil(len(images) / settings.batch_size)
    state = [*net.state_dict().values(), *optimizer.momenta]
    size = settings.batch_size
    step = recording.record(training_step(net, optimizer), normalise(pixels[:size]), labels[:size], state)
    # disable=None: no bar where nobody watches
    with tqdm(
        total=settings.epochs * steps, initial=after + 1, desc="train", unit="batch", disable=None
    ) as bar:
        for epoch in range((after + 1) // steps, settings.epochs):
            first = max(0, after + 1 - epoch * steps)
            permutation = torch.from_numpy(order(len(images), settings.seed, epoch)).to(device)
            rest = batches(pixels, labels, permutation[first * settings.batch_size :], settings.batch_size)
            running_loss, since = 0.0, 0
            for i, (inputs, targets, positions) in enumerate(rest, first):
                running_loss += _finite(step(inputs, targets).item(), epoch * steps + i, settings.lr)
                since += 1
                if since == settings.log_every or i == steps - 1:
                    bar.set_postfix(loss=f"{running_loss / since:.3f}", refresh=False)
                    yield _report(net, epoch * steps + i, running_loss / since, inputs, positions)
                    running_loss, since = 0.0, 0
                bar.update()


def _finite(loss: float, step: int, lr: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the training loss is {loss} at step {step} with train.lr={lr:g}, expected a finite number; "
            "try a smaller train.lr"
        )
    return loss


def _report(net: nn.Module, step: int, loss: float, inputs: Tensor, positions: Tensor) -> Report:
    with torch.no_grad():
        probabilities = functional.softmax(net(inputs[:_SHOWN]), dim=1)
    confidence, predicted = (tensor.cpu().numpy() for tensor in probabilities.max(dim=1))
    if not np.isfinite(confidence).all():
        raise TrainingError(f"the weights are not finite after step {step}; try a smaller train.lr")
    return Report(step, loss, positions[:_SHOWN].cpu().numpy(), predicted, confidence)
