"""Stage `download`: the four files of the data set, fetched, drawn or of one's own pictures, and verified."""

import os
from pathlib import Path

from fashionboard.base import errors, params
from fashionboard.data import dataset
from fashionboard.sources import class_folders, download, drawn, idx_files, own

OUT = Path("data/raw")


def main() -> None:
    settings = params.load(Path("params.yaml")).data
    if settings.dataset == "drawn":
        train = drawn.draw(settings.drawn.train_images, settings.drawn.seed, "train")
        test = drawn.draw(settings.drawn.test_images, settings.drawn.seed, "test")
        dataset.save(OUT, drawn.DESCRIPTION, {"train": train, "test": test})
    elif settings.dataset == "folder":
        how = class_folders.Options(settings.test_share, settings.split_seed, settings.unreadable)
        about, splits = class_folders.read(own.folder(settings.path), settings.kind, how)
        dataset.save(OUT, about, splits)
    elif settings.dataset == "idx":
        about, splits = idx_files.read(own.folder(settings.path), settings.kind)
        dataset.save(OUT, about, splits)
    else:
        sources = download.sources(settings.mirrors, os.environ)
        download.fetch(OUT, sources, settings.timeout, settings.retries, keep=True)


if __name__ == "__main__":
    errors.run(main)
