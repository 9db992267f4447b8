"""The training step at several batch sizes, against a plain PyTorch loop on the same device.

    python benchmarks/batches.py DEVICE        in a repository whose data set is there

Prints a line of JSON: for each batch size steps a second of ours and of the plain loop, pair by pair.
"""

import json
import sys
import time
from pathlib import Path

import torch
from torch import optim
from torch.nn import functional

from fashionboard import compute, dataset, network, params, training

# steps that are timed, of each batch size
_STEPS = {4: 2000, 64: 200, 1024: 20}
_PAIRS = 3


def ours(images: dataset.Images, settings: params.Train) -> float:
    """Return steps a second of the second interval: what is done once was done in the first."""
    net = network.initial(settings.seed).to(settings.device)
    reports = training.Trainer(net, settings).train(images)
    next(reports)
    started = time.perf_counter()
    next(reports)
    return settings.log_every / (time.perf_counter() - started)


def plain(images: dataset.Images, settings: params.Train) -> float:
    """Return steps a second of the tutorial's loop on tensors that are on the device already."""
    net = network.initial(settings.seed).to(settings.device)
    optimizer = optim.SGD(net.parameters(), lr=settings.lr, momentum=settings.momentum)
    pixels = network.normalise(torch.from_numpy(images.pixels)).to(settings.device)
    labels = torch.from_numpy(images.labels).to(settings.device, torch.int64)
    order = torch.from_numpy(training.order(len(images), settings.seed, 0)).to(settings.device)
    for step, positions in enumerate(order.split(settings.batch_size)[: 2 * settings.log_every]):
        if step == settings.log_every:
            started = time.perf_counter()
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(pixels[positions]), labels[positions])
        loss.backward()
        optimizer.step()
        loss.item()
    return settings.log_every / (time.perf_counter() - started)


def main(device: str) -> None:
    """Measure each batch size and print."""
    images = dataset.load(Path("data/raw"), "train")
    defaults = params.load(Path("params.yaml")).train
    found: dict[int, dict[str, list[float]]] = {}
    for batch_size, steps in _STEPS.items():
        changes = {"batch_size": batch_size, "log_every": steps, "device": device}
        settings = defaults.model_copy(update=changes)
        found[batch_size] = {"ours": [], "plain": []}
        for _ in range(_PAIRS):
            compute.configure(device, settings.threads, batch_size)
            found[batch_size]["ours"].append(ours(images, settings))
            # torch's own settings, but for the threads
            torch.backends.mkldnn.enabled = True  # type: ignore[assignment]
            torch.set_deterministic_debug_mode("default")
            found[batch_size]["plain"].append(plain(images, settings))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
