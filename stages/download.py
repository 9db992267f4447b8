"""Stage `download`: the four files of the data set, fetched, drawn or one's own, and verified."""

import os
from pathlib import Path

from fashionboard.base import errors, params
from fashionboard.data import dataset
from fashionboard.sources import download, drawn, own

OUT = Path("data/raw")


def main() -> None:
    settings = params.load(Path("params.yaml")).data
    if settings.dataset == "drawn":
        wanted = settings.drawn
        train = drawn.draw(wanted.train_images, wanted.seed, "train")
        test = drawn.draw(wanted.test_images, wanted.seed, "test")
        dataset.save(OUT, drawn.DESCRIPTION, {"train": train, "test": test})
    elif settings.dataset.startswith(own.PREFIX):
        about, splits = own.read(own.folder(settings.dataset, os.environ))
        dataset.save(OUT, about, splits)
    else:
        sources = download.sources(settings.mirrors, os.environ)
        download.fetch(OUT, sources, settings.timeout, settings.retries, keep=True)


if __name__ == "__main__":
    errors.run(main)
