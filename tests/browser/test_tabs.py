"""Each of TensorBoard's tabs in a real browser, on a pipeline's outputs, and on outputs that are broken."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dvc.api
import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from fashionboard.data import dataset
from fashionboard.data.dataset import CLASSES
from fashionboard.evaluation import scores
from fashionboard.events import images
from fashionboard.events.writer import EventWriter
from fashionboard.figures import examples
from tests.browser import panels
from tests.browser.conftest import ALL_IMAGES, EXPERIMENTS
from tests.browser.page import MISSING, REASON, Page
from tests.support.repository import Repository
from tests.support.servers import board, tensorboard

# where everything must run, a missing browser is a failure
pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING and "CI" not in os.environ, reason=REASON)]

Panel = Callable[[Page, Path], None]
PANELS = (
    panels.images,
    panels.scalars,
    panels.time_series,
    panels.graph,
    panels.projector,
    panels.pr_curves,
    panels.text,
    panels.histograms,
    panels.features,
)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_a_tab_shows_what_it_should(
    page: Page, served: str, ran: Repository, panel: Panel, tmp_path: Path
) -> None:
    page.address = served
    panel(page, ran.path)
    page.screenshot(tmp_path / f"{panel.__name__}.png")
    assert (tmp_path / f"{panel.__name__}.png").stat().st_size > 10_000


def test_hparams_has_a_row_for_each_experiment(page: Page, ran: Repository, tmp_path: Path) -> None:
    rates = {"main": 0.01, **EXPERIMENTS}
    with board(ran.path, "HEAD", "--experiments") as served:
        page.address = served.address
        panels.hparams(page, {name: (rate, accuracy(ran, name)) for name, rate in rates.items()})
        page.screenshot(tmp_path / "hparams.png")


def accuracy(repository: Repository, name: str) -> float:
    """Return an experiment's accuracy as DVC has it."""
    revision = repository.git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()
    text = dvc.api.read("metrics/evaluate.json", str(repository.path), rev=revision or name)
    return float(json.loads(text)["accuracy"])


def without_sprites(root: Path) -> None:
    path = root / "runs" / "embed" / "projector_config.pbtxt"
    config = text_format.Parse(path.read_text(), ProjectorConfig())
    config.embeddings[0].ClearField("sprite")
    path.unlink()  # it may be a link into the cache
    path.write_text(text_format.MessageToString(config))


def with_truth_taken_from_predictions(root: Path) -> None:
    probabilities, _ = panels.probabilities_and_labels(root)
    with EventWriter(root / "runs" / "evaluate", "0" * 16) as events:
        for index, name in enumerate(CLASSES):
            truth = probabilities.argmax(axis=1) == index
            thresholds = panels.settings(root)["evaluate"]["thresholds"]
            counts = scores.pr_counts(truth, probabilities[:, index], thresholds)
            events.pr_curve(f"pr_curve/{name}", counts)


def with_a_clipped_grid(root: Path) -> None:
    """Draw the four images as they are for the net, -1 to 1, of which TensorBoard shows 0 to 1."""
    train = dataset.load(root / "data" / "raw", "train")
    four = dataset.choose(train, 4, panels.settings(root)["visualize"]["seed"])
    normalised = (four.pixels / 255 - 0.5) / 0.5
    clipped = (normalised.clip(0, 1) * 255).astype(np.uint8)
    some = dataset.choose_by_class(train, 10, 0)
    with EventWriter(root / "runs" / "visualize", "0" * 16) as events:
        events.image("four_fashion_mnist_images", images.grid(clipped, columns=4))
        events.image("class_grid", examples.class_grid(some.pixels, some.labels, CLASSES, 10))
        events.image("class_balance", images.grid(clipped, columns=4))


@pytest.mark.parametrize(
    ("damage", "panel", "found"),
    [
        (without_sprites, panels.projector, "the thumbnails are not shown"),
        (with_truth_taken_from_predictions, panels.pr_curves, "T-shirt/top"),
        (with_a_clipped_grid, panels.images, "the grid's pixels are not the images'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_panel_is_found(
    page: Page, ran: Repository, tmp_path: Path, damage: Callable[[Path], None], panel: Panel, found: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ran.path, copy, ignore=shutil.ignore_patterns(".git", ".dvc"))
    damage(copy)
    with (
        tensorboard(copy / "runs", True, *ALL_IMAGES) as page.address,
        pytest.raises(AssertionError, match=found),
    ):
        panel(page, copy)
