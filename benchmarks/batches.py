"""Steps a second of training at several batch sizes, by one of three ways.

    python benchmarks/batches.py WAY DEVICE        in a repository whose data set is there

WAY: `portable` or `native`, the project's loop with that arithmetic; `plain`, PyTorch's own on tensors that
are in memory, normalised, with torch's own settings but for the number of threads. Prints a line of JSON:
steps a second by batch size, for the tutorial's net, and for the recipe of docs/experiments.md (`cnn`).
"""

import json
import sys
import time
from pathlib import Path

from fashionboard.base import arithmetic

WAY, DEVICE = sys.argv[1:]
arithmetic.prepare()
arithmetic.choose("portable" if WAY == "portable" else "native")

import torch
from torch import optim
from torch.nn import functional

from fashionboard.base import params
from fashionboard.data import dataset
from fashionboard.network import compute, nets
from fashionboard.training import loop

# steps that are timed, of each batch size
_STEPS = {4: 2000, 64: 200, 1024: 20}
_RECIPE = {
    "model": "cnn",
    "batch_size": 64,
    "log_every": 60,
    "optimizer": "adamw",
    "lr": 0.005,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "augment": ("flip-shift",),
}


def ours(images: dataset.Images, settings: params.Train) -> float:
    """Return steps a second of the second interval: what is done once was done in the first."""
    compute.configure(DEVICE, settings.threads, settings.batch_size)
    net = nets.initial(settings.seed, model=settings.model).to(settings.device)
    reports = loop.Trainer(net, settings).train(images)
    next(reports)
    started = time.perf_counter()
    next(reports)
    return settings.log_every / (time.perf_counter() - started)


def plain(images: dataset.Images, settings: params.Train) -> float:
    """Return steps a second of the tutorial's loop on tensors that are on the device already."""
    torch.set_num_threads(settings.threads)
    net = nets.initial(settings.seed).to(settings.device)
    optimizer = optim.SGD(net.parameters(), lr=settings.lr, momentum=settings.momentum)
    pixels = nets.normalise(torch.from_numpy(images.pixels)).to(settings.device)
    labels = torch.from_numpy(images.labels).to(settings.device, torch.int64)
    order = torch.from_numpy(loop.order(len(images), settings.seed, 0)).to(settings.device)
    for step, positions in enumerate(order.split(settings.batch_size)[: 2 * settings.log_every]):
        if step == settings.log_every:
            started = time.perf_counter()
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(pixels[positions]), labels[positions])
        loss.backward()
        optimizer.step()
        loss.item()
    return settings.log_every / (time.perf_counter() - started)


def main() -> None:
    """Measure each batch size and print."""
    images = dataset.load(Path("data/raw"), "train")
    defaults = params.load(Path("params.yaml")).train.model_copy(update={"device": DEVICE})
    found = {}
    for batch_size, steps in _STEPS.items():
        settings = defaults.model_copy(update={"batch_size": batch_size, "log_every": steps})
        found[str(batch_size)] = plain(images, settings) if WAY == "plain" else ours(images, settings)
    if WAY != "plain":
        found["cnn"] = ours(images, defaults.model_copy(update=_RECIPE))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
