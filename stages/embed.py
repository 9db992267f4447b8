"""Stage `embed`: random training images as points in TensorBoard's projector."""

from pathlib import Path

from fashionboard.base import errors, params
from fashionboard.base.kind import FASHION_MNIST
from fashionboard.data import dataset
from fashionboard.events import images, inputs
from fashionboard.events.writer import EventWriter
from fashionboard.repository import times

RAW = Path("data/raw")
OUT = Path("runs/embed")
POINT = FASHION_MNIST.size  # pixels an edge, of which each is a coordinate, or three in colour


def main() -> None:
    settings = params.load(Path("params.yaml")).embed
    about = dataset.describe(RAW)
    train = dataset.load(RAW, "train")
    chosen = dataset.choose(train, settings.points, settings.seed)
    key = inputs.key("embed", settings)
    with EventWriter(OUT, key) as events:
        labels = {"label": [about.classes[label] for label in chosen.labels]}
        points = images.thumbnails(chosen.pixels, POINT)
        events.projector("images", points, labels, chosen.pixels)
        events.text("data_set", f"{len(chosen):,} training images of `{about.name}` are in the Projector.")
    times.keep("embed", key)


if __name__ == "__main__":
    errors.run(main)
