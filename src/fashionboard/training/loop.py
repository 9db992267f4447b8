"""The tutorial's training loop: images, a net and settings in; reports out, and the net trained."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from fashionboard.base.errors import TrainingError
from fashionboard.base.kind import FASHION_MNIST
from fashionboard.base.params import Train
from fashionboard.data import mapped
from fashionboard.data.dataset import Images
from fashionboard.network.nets import Network, normalise
from fashionboard.training import augmentation, optimizer, repeat, schedule, validation
from fashionboard.training.best import Best
from fashionboard.training.feed import Feed
from fashionboard.training.optimizer import Optimizer
from fashionboard.training.progress import Report

# the tutorial's batches of four, all of which it shows
_SHOWN = 4
# numbers normalised at a time, those of 4,096 images of 28 x 28 pixels: many small operations cost more than
# one large, and this is 13 MB
_CHUNK = 4096 * FASHION_MNIST.values


def order(images: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the order of the images in `epoch`: int64 (images,), a permutation from its own generator."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def first_batch(images: Images, settings: Train) -> Tensor:
    """Return the first batch of the training, as the images are, on the CPU.

    Returns float32 (batch, channels, size, size), normalised.
    """
    positions = order(len(images), settings.seed, epoch=0)[: settings.batch_size]
    return normalise(torch.from_numpy(mapped.take(images.pixels, positions)))


def batches(
    feed: Feed, positions: Tensor, batch_size: int, changes: Mapping[str, Tensor] | None = None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the images at `positions` as the net takes them, `batch_size` at a time; the last may be fewer.

    positions: int64 (n,), where the images are. changes: how they are augmented, see `augmentation.draw`; by
    name, int64 (n, ...), where the images are.

    Yields float32 (batch, channels, size, size), normalised, on the net's device; int64 (batch,), their
    labels, likewise; int64 (batch,), their positions, where the images are.
    """
    size = batch_size * max(1, _CHUNK // feed.values // batch_size)
    for index, chunk in enumerate(positions.split(size)):
        pixels, labels = feed.at(chunk)
        if changes:
            part = {name: drawn[index * size :][:size] for name, drawn in changes.items()}
            pixels = augmentation.change(pixels, part)
        # as bytes, which are a quarter
        pixels, labels = pixels.to(feed.device), labels.to(feed.device)
        together = normalise(pixels), labels, chunk
        yield from zip(*(tensor.split(batch_size) for tensor in together), strict=True)


def training_step(net: nn.Module, optimizer: Optimizer, label_smoothing: float = 0.0) -> repeat.Step:
    """Return a function that trains `net` on a batch and its labels, and returns the loss.

    label_smoothing: the share of the target that all classes have in equal parts, [0, 1): Szegedy et al.,
    "Rethinking the Inception Architecture" (2016), section 7.
    """

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(inputs), targets, label_smoothing=label_smoothing)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


class Trainer:
    """A net in training.

    state: by name, every tensor that changes on the way. Where all of them have been given what they held
    at a report, training goes on from that report.
    """

    def __init__(self, net: Network, settings: Train) -> None:
        """Prepare to train `net` in place; it must be on its device already."""
        self._net, self._settings = net, settings
        self._device = next(net.parameters()).device
        self._optimizer = optimizer.make(net, settings)
        weights = net.state_dict()
        self._stepped = [*weights.values(), *self._optimizer.state.values()]
        self.state = {f"weight {name}": weight for name, weight in weights.items()} | self._optimizer.state
        self._best = Best(net) if settings.keep == "best" else None
        if self._best:
            self.state |= self._best.state

    def train(self, images: Images, held_out: Images | None = None, after: int = -1) -> Iterator[Report]:
        """Train on `images`, and yield a report every `log_every` batches.

        An interval ends with its epoch, too: where `log_every` does not divide the number of batches,
        the last report of an epoch is the mean over fewer.

        held_out: images to validate on at each report. after: the step of a report, to go on from
        there with `state` as it was then.

        Raises:
            TrainingError: the loss is not finite, or the weights are not at the end of an interval.
        """
        settings, size = self._settings, self._settings.batch_size
        feed = Feed(images, self._device, on_cpu=not augmentation.on_device(settings.augment))
        unseen = Feed(held_out, self._device) if held_out else None
        steps = math.ceil(len(images) / size)
        total = settings.epochs * steps
        self._net.train()
        function = training_step(self._net, self._optimizer, settings.label_smoothing)
        inputs, targets, _ = next(batches(feed, torch.arange(min(size, len(feed))), size))
        step = repeat.record(function, inputs, targets, self._stepped)
        # disable=None: no bar where nobody watches
        with tqdm(total=total, initial=after + 1, desc="train", unit="batch", disable=None) as bar:
            for epoch in range((after + 1) // steps, settings.epochs):
                first = max(epoch * steps, after + 1)
                running_loss, since = 0.0, 0
                rest = self._batches(feed, epoch, first - epoch * steps)
                for number, (inputs, targets, positions) in enumerate(rest, first):
                    self._set_learning_rate(number, total)
                    running_loss += _finite(step(inputs, targets).item(), number, settings.lr)
                    since += 1
                    if since == settings.log_every or (number + 1) % steps == 0:
                        bar.set_postfix(loss=f"{running_loss / since:.3f}", refresh=False)
                        shown = positions[:_SHOWN]
                        report = self._report(number, running_loss / since, feed, shown, unseen)
                        if self._best and report.validation:
                            self._best.update(report.validation)
                        yield report
                        running_loss, since = 0.0, 0
                    bar.update()

    def steps(self, images: int) -> list[int]:
        """Return the steps of all reports of a whole training on so many images."""
        epoch = math.ceil(images / self._settings.batch_size)
        every = self._settings.log_every
        ends = [*range(every - 1, epoch - 1, every), epoch - 1]
        return [number * epoch + end for number in range(self._settings.epochs) for end in ends]

    def kept(self) -> Network:
        """Return the net, once trained, with the weights that become the model: the last, or the best."""
        if self._best:
            self._best.restore()
        return self._net

    def _batches(self, feed: Feed, epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the batches of `epoch` from number `first` of it on."""
        settings, images = self._settings, len(feed)
        start = first * settings.batch_size
        positions = torch.from_numpy(order(images, settings.seed, epoch)[start:]).to(feed.home)
        drawn = augmentation.draw(settings.augment, images, feed.size, settings.seed, epoch)
        changes = {name: each[start:].to(feed.home) for name, each in drawn.items()}
        return batches(feed, positions, settings.batch_size, changes)

    def _set_learning_rate(self, step: int, steps: int) -> None:
        # a constant one is a number
        if isinstance(self._optimizer.lr, Tensor):
            rate = schedule.learning_rate(self._settings.schedule, self._settings.lr, step, steps)
            self._optimizer.lr.fill_(rate)

    def _report(self, step: int, loss: float, feed: Feed, positions: Tensor, unseen: Feed | None) -> Report:
        self._net.eval()
        shown = normalise(feed.at(positions)[0].to(feed.device))
        with torch.no_grad():
            probabilities = functional.softmax(self._net(shown), dim=1)
        confidence, predicted = (tensor.cpu().numpy() for tensor in probabilities.max(dim=1))
        score = validation.score(self._net, unseen) if unseen else None
        self._net.train()
        if not np.isfinite([*confidence, score.loss if score else 0]).all():
            raise TrainingError(f"the weights are not finite after step {step}; try a smaller train.lr")
        return Report(step, loss, positions.cpu().numpy(), predicted, confidence, score)


def _finite(loss: float, step: int, lr: float) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the training loss is {loss} at step {step} with train.lr={lr:g}, expected a finite number; "
            "try a smaller train.lr"
        )
    return loss
