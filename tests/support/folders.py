"""A small data set of somebody's own, with any number of classes, as files in a folder."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashionboard.data import dataset, idx
from fashionboard.data.dataset import Images


def images(classes: int, each: int, seed: int) -> Images:
    """Noise around a pattern of its own for each class, which takes little to tell apart."""
    patterns = np.random.default_rng(0).integers(0, 200, (classes, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(classes), each)).astype(np.uint8)
    noise = generator.integers(0, 56, (len(labels), 28, 28))
    return Images((patterns[labels] + noise).astype(np.uint8), labels)


def write(folder: Path, names: Sequence[str], each: int = 10, packed: bool = False) -> Path:
    """Write four files and classes.txt; `each` images of a class are to train with, half as many to test."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count, seed in (("train", each, 1), ("test", each // 2, 2)):
        split_images = images(len(names), count, seed)
        for place, array in (
            (dataset.images_path, split_images.pixels),
            (dataset.labels_path, split_images.labels),
        ):
            name, content = place(Path(), split).name, idx.encode(array)  # type: ignore[arg-type]
            (folder / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(content) if packed else content)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return folder
