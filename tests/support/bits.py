"""What the library computes, in short: digests of the bits of many small trainings and evaluations."""

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.data.dataset import CLASSES, Images
from fashionboard.evaluation import calibration, histograms, scores
from fashionboard.network import compute, inference, nets
from fashionboard.pictures import decode, fit
from fashionboard.predict import image
from fashionboard.sources import drawn
from fashionboard.training import loop, validation
from tests.predict.test_image import on_page
from tests.support.settings import MODERN, settings

# two steps of each, but one where it takes long to emulate; oneDNN takes part from 32 images a step on
TRAININGS: dict[str, dict[str, object]] = {
    "the tutorial's": {},
    "two threads": {"threads": 2},
    # not without momentum: there torch's fused kernel masks a load from address 0, at which QEMU 7.2 crashes
    "weight decay": {"momentum": 0.5, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.05},
    "cosine": {"schedule": "cosine", "lr": 0.01},
    "one-cycle": {"schedule": "one-cycle", "lr": 0.01},
    "augmented": {"augment": "flip-shift"},
    "changed by torchvision": {"augment": ["crop-flip", "randaugment", "erase"]},
    "smoothed": {"label_smoothing": 0.1},
    "validated": {"validation": 60, "keep": "best"},
    "a single image": {"batch_size": 1},
    "a batch of 31": {"batch_size": 31},
    "a batch of 32": {"batch_size": 32},
    "a batch of 64, two threads": {"batch_size": 64, "threads": 2},
    "a batch of 150": {"batch_size": 150},
    "cnn": {"model": "cnn"},
    "cnn, two threads": {"model": "cnn", "threads": 2, "optimizer": "adamw"},
    "cnn, a batch of 7": {"model": "cnn", "batch_size": 7},
    "cnn, a batch of 64": {"model": "cnn", "batch_size": 64, "log_every": 1},
    "cnn, modern": {**MODERN, "epochs": 1},
    "cnn, modern, two threads, validated": {**MODERN, "epochs": 1, "threads": 2, "validation": 60},
}
# likewise, on images in colour; larger ones are halved by the first layer of a net of torchvision
COLOUR, LARGER = Kind(32, "rgb", "pad"), Kind(66, "rgb", "pad")
IN_COLOUR: dict[str, tuple[Kind, dict[str, object]]] = {
    "the tutorial's": (COLOUR, {"augment": ["crop-flip", "randaugment", "erase", "flip-shift"]}),
    "a batch of 32": (COLOUR, {"batch_size": 32}),
    "cnn": (COLOUR, {"model": "cnn"}),
    "mobilenet": (COLOUR, {"model": "mobilenet_v3_small"}),
    "resnet18": (LARGER, {"model": "resnet18", "batch_size": 1, "log_every": 1}),
}

# digests by what they are of
Digests = Iterable[tuple[str, str]]


def digest(*values: object) -> str:
    """Return a digest of arrays, tensors, and whatever shows all its digits."""
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, torch.Tensor):
            value = value.detach().contiguous().numpy()
        found.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return found.hexdigest()[:16]


def trained(name: str, changes: dict[str, object], kind: Kind = FASHION_MNIST) -> Iterator[tuple[str, str]]:
    wanted = settings(**{"log_every": 2, **changes})
    compute.configure("cpu", wanted.threads, wanted.batch_size)
    images = drawn.draw(max(200, wanted.batch_size), seed=0, split="train")
    if kind != FASHION_MNIST:
        images = Images(
            np.random.default_rng(0).integers(0, 256, (40, *kind.shape), np.uint8), images.labels[:40]
        )
    images, held_out = validation.hold_out(images, wanted.validation, seed=0)
    net = nets.initial(0, model=wanted.model, kind=kind)
    trainer = loop.Trainer(net, wanted)
    report = next(trainer.train(images, held_out))
    yield name, digest(*asdict(report).values(), *trainer.kept().state_dict().values())


def evaluated(model: str, batch_size: int, threads: int) -> Iterator[tuple[str, str]]:
    compute.configure("cpu", threads, batch_size)
    net = nets.initial(1, model=model)
    # one of each class at least, and two batches at most: emulated, each image takes its time
    images = drawn.draw(max(10, min(40, 2 * batch_size)), seed=0, split="test")
    name = f"{model} on {batch_size}, {threads} threads"
    with histograms.activations(net) as activations:
        logs = inference.log_probabilities(net, images.pixels, batch_size)
    yield f"{name}: log probabilities", digest(logs)
    views = inference.with_views(logs[:2], net, images.pixels[:2], batch_size, "flip-shift")
    yield f"{name}: ten views", digest(views)
    yield f"{name}: features", digest(inference.features(net, images.pixels, batch_size))
    # further apart than those of a net that was not trained
    probabilities, predicted, confidence = scores.decide(4 * logs)
    bins = calibration.measure(confidence, predicted == images.labels)
    yield f"{name}: decisions", digest(probabilities, predicted, confidence)
    yield f"{name}: summary", digest(scores.summarise(logs, images.labels, CLASSES))
    yield f"{name}: calibration", digest(*asdict(bins).values(), bins.error)
    buckets = [*activations.values(), *histograms.weights(net).values()]
    yield f"{name}: histograms", digest(*(each for bucket in buckets for each in bucket))
    yield (
        f"{name}: curves",
        digest(
            *scores.pr_counts_by_class(probabilities, images.labels, CLASSES, 127).values(),
            scores.curve_points(probabilities, images.labels, CLASSES),
        ),
    )


def functions() -> Iterator[tuple[str, str]]:
    """What numpy and glibc choose by processor, on more numbers than an evaluation has."""
    numbers = np.random.default_rng(0).standard_normal(100_000)
    for function in (np.exp, np.log, np.cos, np.sqrt, np.sum, np.cumsum, np.sort):
        yield f"numpy's {function.__name__}", digest(function(np.abs(numbers)))
    some = np.abs(numbers[:10_000]).tolist()
    for name in ("exp", "log", "cos"):
        yield f"glibc's {name}", digest([getattr(math, name)(each) for each in some])
    yield "glibc's pow", digest([math.pow(each, 2.5) for each in some])


def pictures(folder: Path) -> Iterator[tuple[str, str]]:
    """What pictures on white pages of several sizes, as files with losses, become."""
    garments = drawn.draw(10, seed=0, split="test").pixels
    for number, garment in enumerate(garments):
        path = folder / f"{number}.jpg"
        on_page(garment, 40 + number, scale=3 + number).save(path, quality=60 + 3 * number)
        picture = decode.read(path)
        yield f"picture {number}", digest(image.convert(picture).pixels)
        for way in ("crop", "pad", "stretch"):
            yield f"picture {number}, {way}", digest(fit.fit(picture, Kind(40, "rgb", way)))


def pieces(folder: Path) -> dict[str, Callable[[], Digests]]:
    """Return what computes all digests, piece by piece; pictures are made in `folder`."""
    found: dict[str, Callable[[], Digests]] = {}
    trainings = {f"trained: {name}": (FASHION_MNIST, changes) for name, changes in TRAININGS.items()}
    trainings |= {f"in colour: {name}": training for name, training in IN_COLOUR.items()}
    for name, (kind, changes) in trainings.items():
        found[name] = functools.partial(trained, name, changes, kind)
    for model in ("net", "cnn"):
        for batch_size, threads in ((1, 1), (20, 2), (40, 1), (40, 2)):
            found[f"{model} on {batch_size}, {threads} threads"] = functools.partial(
                evaluated, model, batch_size, threads
            )
    return found | {"functions": functions, "pictures": functools.partial(pictures, folder)}
