"""Stage `visualize`: the data set in pictures and in words."""

from pathlib import Path

from fashionboard.base import errors, params
from fashionboard.data import dataset, survey
from fashionboard.events import images, inputs
from fashionboard.events.writer import EventWriter
from fashionboard.figures import card, examples
from fashionboard.repository import times

RAW = Path("data/raw")
OUT = Path("runs/visualize")
# the tutorial's tag, and the one for a data set of one's own, whose name says what its files are
FOUR, FOUR_OWN = "four_fashion_mnist_images", "four_images"
UNUSUAL = 6  # images of each sort


def main() -> None:
    settings = params.load(Path("params.yaml")).visualize
    about = dataset.describe(RAW)
    train, test = dataset.load(RAW, "train"), dataset.load(RAW, "test")
    four = dataset.choose(train, 4, settings.seed)
    of_each = dataset.choose_by_class(train, settings.images_per_class, settings.seed)
    found = survey.extremes(train, UNUSUAL)
    darkest, most_uniform = dataset.take(train, found.darkest), dataset.take(train, found.most_uniform)
    key = inputs.key("visualize", settings)
    with EventWriter(OUT, key) as events:
        events.image(FOUR_OWN if ":" in about.name else FOUR, images.grid(four.pixels, columns=4))
        events.image(
            "class_grid",
            examples.class_grid(of_each.pixels, of_each.labels, about.classes, settings.images_per_class),
        )
        events.image("class_balance", examples.class_balance(train.labels, test.labels, about.classes))
        events.image("unusual", examples.unusual(darkest, most_uniform, about.classes))
        events.text("data_set", card.markdown(about, train, test))
    times.keep("visualize", key)


if __name__ == "__main__":
    errors.run(main)
