"""Make the pictures that README shows, from the real data: docs/tabs.png and docs/board.png.

    make screenshots                                 # a few minutes; files at hand: FASHION_MNIST_MIRROR=...

The pipeline and its experiments run in a clone of what is committed, which shares the cache.
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tqdm import tqdm

from tests.browser.page import MISSING, REASON, Page, chromium
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get, tensorboard

ROOT = Path(__file__).resolve().parents[1]
TABS = (
    "images&tagFilter=four|class",
    "images&tagFilter=predictions|confusion",
    "images&tagFilter=mistakes|reliability",
    "scalars&tagFilter=training&_smoothingWeight=0",
    "graphs",
    "pr_curves",
    "histograms&tagFilter=activations",
    "projector",
    "text",
)
SETTLED = 6  # seconds until a tab has drawn everything and stopped moving
ENDED = {
    "lr-0.0005": "train.lr=0.0005",
    "lr-0.002": "train.lr=0.002",
    "lr-0.003": "train.lr=0.003",
    "momentum-0.5": "train.momentum=0.5",
}
RUNNING = ("lr-0.004", "train.lr=0.004")
# the columns of the table that the picture has room for
COLUMNS = ("train.lr", "train.momentum", "accuracy", "average_precision/macro", "loss")
_CHOOSE = """
    for (const box of arguments[0]) {
        const name = box.textContent.trim();
        // columns have a dot or are metrics; the others, also lists, are values and states, which choose rows
        const metric = arguments[2].some(each => name.startsWith(each));
        const column = metric || (name.includes('.') && !name.startsWith('['));
        if (column && box.checked !== arguments[1].includes(name)) box.click();
    }
"""


def main() -> None:
    if MISSING:
        sys.exit(f"error: {REASON}")
    steps = tqdm(total=len(TABS) + 3, desc="screenshots", disable=None)
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(ROOT).clone(Path(folder) / "fashionboard")
        repository.dvc("repro", "--quiet")
        steps.update()
        with tensorboard(repository.path / "runs", fast=True) as address, chromium(1100, 1040) as driver:
            views = []
            for tab in TABS:
                views.append(view(Page(driver, address), tab))
                steps.update()
        save(tiled(views, columns=3, width=440, height=360), ROOT / "docs" / "tabs.png")
        for name, change in ENDED.items():
            repository.dvc("exp", "run", "--quiet", "--temp", "--name", name, "--set-param", change)
        steps.update()
        # the last is caught while it runs; forced, since an earlier one may be in the run cache
        command = ["dvc", "exp", "run", "--temp", "--force", "--single-item", "--name", RUNNING[0]]
        running = repository.begin(*command, "--set-param", RUNNING[1], "train")
        try:
            stop_half_way(running, repository)
            with (
                board(repository.path, "HEAD", "--experiments", "--running") as served,
                chromium(1180, 800) as driver,
            ):
                views = board_views(Page(driver, served.address), served.address)
        finally:
            if running.poll() is None:
                for process in psutil.Process(running.pid).children(recursive=True):
                    process.kill()
                running.kill()
            running.communicate()
        save(
            tiled([each.crop((0, 0, 1180, 656)) for each in views], 1, 1180, 656), ROOT / "docs" / "board.png"
        )
        steps.update()


def view(page: Page, tab: str) -> Image.Image:
    """Open a tab, wait until it stands still, and return what is seen."""
    page.open(tab)
    time.sleep(SETTLED)
    if tab == "graphs":
        page.double_click(page.wait('g.node[data-name="Net"] rect')[0])
        time.sleep(SETTLED)
    return seen(page)


def stop_half_way(running: "subprocess.Popen[str]", repository: Repository) -> None:
    """Let an experiment stand still once it has written its eighth report."""
    reports = 0
    while reports < 8:
        if running.poll() is not None:
            sys.exit(f"error: {RUNNING[0]} has ended before its eighth report")
        for path in repository.path.glob(".dvc/tmp/exps/standalone/*/runs/train"):
            events = EventAccumulator(str(path)).Reload()
            reports = len(events.Scalars("training loss")) if events.Tags()["scalars"] else 0
    for process in psutil.Process(running.pid).children(recursive=True):
        process.suspend()


def board_views(page: Page, address: str) -> list[Image.Image]:
    """Return the training loss of all experiments and their rows."""
    # the running one is found last
    eventually(
        lambda: bool(get(address, "plugin/scalars/scalars", run=f"{RUNNING[0]}/train", tag="training loss")),
        True,
    )
    page.open("scalars&tagFilter=training%20loss&_smoothingWeight=0&regexInput=train$")
    time.sleep(SETTLED)
    page.find('paper-icon-button[icon="fullscreen"]')[0].click()
    time.sleep(1)
    curves = seen(page)
    page.open("hparams")
    page.wait("#sessionGroupsTable")
    time.sleep(SETTLED)
    metrics = ("accuracy", "average_precision", "loss", "training_loss", "last_step")
    page.script(_CHOOSE, page.find("paper-checkbox"), COLUMNS, metrics)
    time.sleep(1)
    return [curves, seen(page)]


def seen(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")


def tiled(views: list[Image.Image], columns: int, width: int, height: int) -> Image.Image:
    rows = -(-len(views) // columns)
    canvas = Image.new("RGB", (columns * width, rows * height), "white")
    for index, each in enumerate(views):
        scaled = each.resize((width, round(each.height * width / each.width)), Image.Resampling.LANCZOS)
        canvas.paste(scaled, ((index % columns) * width, (index // columns) * height))
    return canvas


def save(picture: Image.Image, path: Path) -> None:
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
