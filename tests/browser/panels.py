"""What TensorBoard's tabs must show of a pipeline's outputs, held against other people's calculations.

Each function opens a tab as a person does, and raises AssertionError where it shows anything else.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from PIL import Image
from sklearn.metrics import precision_score, recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.datasets import FashionMNIST
from torchvision.utils import make_grid

from fashionboard.data.dataset import CLASSES
from fashionboard.network import checkpoint
from tests.browser.page import Page

REPORTS = 15
_SHOWN = 350  # pixels: the width of an image in the Images tab
_CELLS = "return Array.from(arguments[0].querySelectorAll('td')).map(cell => cell.textContent)"


def images(page: Page, root: Path) -> None:
    """The four-image grid, the class grid, and the last figure of the training."""
    page.open("images&tagFilter=.")
    cards = {page.script("return arguments[0].tag", card): card for card in page.wait("tf-image-loader", 5)}
    shown = {tag: page.wait("img", within=card)[0] for tag, card in cards.items()}
    pixels = {tag: page.pixels(image) for tag, image in shown.items()}
    # text in figures is drawn for this width
    assert {image.size["width"] for image in shown.values()} == {_SHOWN}

    train = FashionMNIST(root / "data" / "raw", train=True)
    seed = settings(root)["visualize"]["seed"]
    four = train.data[torch.from_numpy(np.random.default_rng(seed).permutation(len(train))[:4])]
    expected = make_grid(four[:, None], nrow=4)[0].numpy()
    assert expected.shape == (32, 122)
    grid = pixels["four_fashion_mnist_images"]
    assert grid.shape == (32, 122, 3), f"the grid's natural size is {grid.shape}"
    assert np.array_equal(grid, np.stack([expected] * 3, axis=2)), "the grid's pixels are not the images'"

    for run, tag in (("visualize", "class_grid"), ("train", "predictions vs. actuals")):
        last = events(root, run).Images(tag)[-1]
        assert (pixels[tag].shape[1], pixels[tag].shape[0]) == (last.width, last.height)
        assert f"step {last.step}" in heading(page, cards[tag])
    # scaled by two programs: 0.96 as they are, 0.78 if they were clipped, 0.66 if each lay one place further
    assert likeness(pixels["class_grid"], train, seed) > 0.9
    steps = page.script("return arguments[0]._steps.map(each => each.step)", cards["predictions vs. actuals"])
    assert steps == [point.step for point in events(root, "train").Scalars("training loss")]


def heading(page: Page, card: Any) -> str:
    words: str = page.script(
        "return arguments[0].shadowRoot.querySelector('tf-card-heading').innerText", card
    )
    return " ".join(words.split())


def likeness(picture: npt.NDArray[np.uint8], train: FashionMNIST, seed: int) -> float:
    """Return the correlation of what a class grid shows with ten training images of each class."""
    dark = (picture == 0).all(axis=2)
    # the images lie on one black square; what is left of it are names
    rows, columns = (np.flatnonzero(dark.mean(axis=axis) > 0.2) for axis in (1, 0))
    square = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]
    order = np.random.default_rng(seed).permutation(len(train))
    labels = np.asarray(train.targets)[order]
    data = np.stack([train.data.numpy()[order[labels == label][:10]] for label in range(10)])
    canvas = Image.fromarray(data.swapaxes(1, 2).reshape(280, 280))
    expected = np.asarray(canvas.resize((square.shape[1], square.shape[0]), Image.Resampling.BILINEAR))
    return float(np.corrcoef(square.ravel(), expected.ravel())[0, 1])


def scalars(page: Page, root: Path) -> None:
    """Fifteen points of `training loss`, read from the tooltip that follows the mouse."""
    page.open("scalars&tagFilter=training%20loss&_smoothingWeight=0")
    chart = page.wait("vz-line-chart2", within=page.wait("tf-scalar-card")[0])[0]
    page.wait(".tick-label", 10, chart)
    (box,) = [each for each in page.find("paper-checkbox") if each.text.startswith("Ignore outliers")]
    box.click()  # points outside the view have no tooltip
    found = traced(page, chart, "tbody tr", value=3, step=4)
    assert found == losses(root)


def time_series(page: Page, root: Path) -> None:
    """The same points in the Time Series tab."""
    page.open("timeseries")
    page.wait('input[placeholder="Filter tags (regex)"]')[0].send_keys("training loss")
    page.wait('scalar-card [title="training loss"]')
    chart = page.wait("line-chart-interactive-view svg", within=page.find("scalar-card")[0])[0]
    found = traced(page, chart, ".tooltip-container tr.tooltip-row", value=3, step=4)
    assert found == losses(root)


def traced(page: Page, chart: Any, rows: str, value: int, step: int) -> dict[int, float]:
    """Move the mouse over a chart of one line; return each step and value that its tooltip has shown."""
    found: dict[int, float] = {}
    for _ in range(5):
        for x in np.linspace(0.01, 0.99, 4 * REPORTS):
            page.hover(chart, x, 0.5)
            time.sleep(0.05)  # it follows with the next frame
            for row in page.find(rows):
                cells = [cell.strip() for cell in page.script(_CELLS, row)]
                if cells[1] == "train":
                    found[int(cells[step].replace(",", ""))] = float(cells[value])
        if len(found) >= REPORTS:
            break
    return found


def losses(root: Path) -> dict[int, float]:
    """Return what the event file says, in the four digits that tooltips have."""
    points = events(root, "train").Scalars("training loss")
    assert len(points) == REPORTS
    return {point.step: float(f"{point.value:.4g}") for point in points}


def graph(page: Page, root: Path) -> None:
    """`Net` opens into its layers."""
    page.open("graphs")
    page.wait('g.node[data-name="Net"] rect')
    assert names(page) == {"input", "output", "Net"}
    time.sleep(1)  # the graph moves into its place
    page.double_click(page.find('g.node[data-name="Net"] rect')[0])
    net, _ = checkpoint.load(root / "models" / "net.safetensors")
    layers = {f"Net/{type(layer).__name__}[{name}]" for name, layer in net.named_children()}
    assert len(layers) == 6
    page.wait('g.node[data-name^="Net/"]', len(layers))
    assert layers < names(page)


def names(page: Page) -> set[str]:
    return {str(node.get_attribute("data-name")) for node in page.find("g.node")}


def projector(page: Page, root: Path) -> None:
    """A hundred labelled thumbnails; colours by label; a search for `Bag` selects exactly the bags."""
    with projected(page, "embed", width=784) as view:
        assert page.script("return arguments[0].dataSet.points.length", view) == 100
        labels = page.script("return arguments[0].dataSet.points.map(each => each.metadata.label)", view)
        assert labels == chosen(root)
        assert set(labels) == set(CLASSES)
        sprites = page.script(
            "return arguments[0].dataSet.spriteAndMetadataInfo.spriteImage?.naturalWidth", view
        )
        assert sprites == 280, "the thumbnails are not shown"

        (menu,) = page.find("#colorby")
        menu.click()
        (item,) = [each for each in page.wait("paper-item", 2, menu) if each.text.startswith("label")]
        item.click()
        legend = page.wait("vz-projector-legend")[0].text.split("\n")
        assert {name: int(count) for name, count in zip(legend[::2], legend[1::2], strict=True)} == {
            name: labels.count(name) for name in CLASSES
        }

        page.find("input", page.find("#search-box")[0])[0].send_keys("Bag")
        bags = [index for index, label in enumerate(labels) if label == "Bag"]
        page.eventually("return arguments[0].selectedPointIndices.length == arguments[1]", view, len(bags))
        assert page.script("return arguments[0].selectedPointIndices", view) == bags


@contextlib.contextmanager
def projected(page: Page, run: str, width: int) -> Iterator[Any]:
    """Open the Projector, choose a run, whose points have so many numbers, and yield the view."""
    page.open("projector")
    # its page is within another that TensorBoard makes for every plugin
    for _ in range(2):
        page.driver.switch_to.frame(page.wait("iframe")[0])
    try:
        view = page.wait("vz-projector")[0]
        # either run may be the one that is shown first
        page.eventually("return arguments[0].dataSet?.spriteAndMetadataInfo?.stats", view)
        for menu in [each for each in page.find("paper-dropdown-menu") if "2 runs found" in each.text]:
            menu.click()
            (item,) = [each for each in page.wait("paper-item", 2, menu) if each.text == run]
            item.click()
        page.eventually("return arguments[0].dataSet?.dim[1] == arguments[1]", view, width)
        page.eventually("return arguments[0].dataSet.spriteAndMetadataInfo?.stats", view)
        yield view
    finally:
        page.driver.switch_to.default_content()


def chosen(root: Path) -> list[str]:
    """Name the class of each image that the embed stage chooses."""
    train = FashionMNIST(root / "data" / "raw", train=True)
    embed = settings(root)["embed"]
    order = np.random.default_rng(embed["seed"]).permutation(len(train))[: embed["points"]]
    return [CLASSES[label] for label in np.asarray(train.targets)[order]]


def pr_curves(page: Page, root: Path) -> None:
    """Ten cards in one pane, with scikit-learn's precision and recall at the same thresholds."""
    page.open("pr_curves")
    cards = page.wait("tf-pr-curve-card", 10)
    shown = {
        page.script("return arguments[0].tag", card): page.eventually(
            "return arguments[0]._runToPrCurveEntry?.evaluate", card
        )
        for card in cards
    }
    assert list(shown) == [f"pr_curve/{name}" for name in sorted(CLASSES)]
    panes = page.script(
        "return arguments[0].map(pane => pane.category.name)", page.find("tf-category-paginated-view")
    )
    assert panes.count("pr_curve") == 1 and not any("/" in pane for pane in panes)

    probabilities, labels = probabilities_and_labels(root)
    thresholds = np.linspace(0, 1, settings(root)["evaluate"]["thresholds"])
    for index, name in enumerate(CLASSES):
        curve = shown[f"pr_curve/{name}"]
        truth, scores = labels == index, probabilities[:, index]
        # TensorBoard leaves out the thresholds that no image reaches
        reached = thresholds[thresholds <= scores.max()]
        assert np.allclose(curve["thresholds"], reached), name
        for key, score in (("precision", precision_score), ("recall", recall_score)):
            expected = [score(truth, scores >= each) for each in reached]
            assert np.allclose(curve[key], expected, rtol=0, atol=1e-7), name  # as far as float32 goes


def probabilities_and_labels(root: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the model's probabilities of the test images and their labels, without this project's loops."""
    test = FashionMNIST(root / "data" / "raw", train=False)
    net, _ = checkpoint.load(root / "models" / "net.safetensors")
    with torch.no_grad():
        logits = net((test.data[:, None].float() / 255 - 0.5) / 0.5)
    return torch.softmax(logits.double(), dim=1).numpy(), np.asarray(test.targets)


def text(page: Page, root: Path) -> None:
    """The data set's card, with mean and deviation as torch has them."""
    page.open("text")
    cards = page.wait("tf-text-loader", 4)
    (card,) = [each for each in cards if page.script("return arguments[0].run", each) == "visualize"]
    cells = [cell.text for cell in page.wait("td:not(:has(td))", 18, card)]
    shown = dict(zip(cells[::2], cells[1::2], strict=True))
    pixels = FashionMNIST(root / "data" / "raw", train=True).data.double() / 255
    assert shown["training images"] == str(len(pixels))
    assert shown["pixel mean"] == f"{pixels.mean():.4f}"
    assert shown["pixel standard deviation"] == f"{pixels.std(correction=0):.4f}"
    assert shown["classes"] == ", ".join(CLASSES)


def hparams(page: Page, expected: dict[str, tuple[float, float]]) -> None:
    """A row for each experiment; expected: learning rate and accuracy by name."""
    page.open("hparams")
    page.wait("#sessionGroupsTable")
    cells = page.wait("vaadin-grid-cell-content", 20)
    end = time.monotonic() + 30
    while not set(expected) <= {cell.text for cell in cells}:
        assert time.monotonic() < end, f"expected rows {sorted(expected)}, found {texts(cells)}"
        cells = page.find("vaadin-grid-cell-content")
    found = [each for each in texts(cells) if each]
    header = found[: min(found.index(name) for name in expected)]
    columns = len(header) - 1  # the one of check boxes has no text
    rows = {
        name: dict(zip([header[0], *header[2:]], found[found.index(name) :][:columns], strict=True))
        for name in expected
    }
    # the table has five digits
    assert {name: (float(row["train.lr"]), float(row["accuracy"])) for name, row in rows.items()} == {
        name: tuple(float(f"{each:.5g}") for each in pair) for name, pair in expected.items()
    }


def texts(cells: Sequence[Any]) -> list[str]:
    return [str(cell.text) for cell in cells]


def events(root: Path, run: str) -> EventAccumulator:
    """Return a run as TensorBoard's own reader has it, with nothing left out."""
    reader = EventAccumulator(
        str(root / "runs" / run), size_guidance={"images": 0, "scalars": 0, "tensors": 0}
    )
    reader.Reload()
    return reader


def settings(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    return found


def metrics(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "metrics" / "evaluate.json").read_text())
    return found


def histograms(page: Page, root: Path) -> None:
    """One of each of the model's tensors, and of each layer's output, with all their values in it."""
    page.open("histograms")
    net, _ = checkpoint.load(root / "models" / "net.safetensors")
    weights = {f"weights/{name}": tensor for name, tensor in net.named_parameters()}
    # the pooling layer is called twice
    outputs = {f"activations/{name}" for name, _ in net.named_children()} | {"activations/pool 2"}
    cards = page.wait("tf-histogram-loader", len(weights) + len(outputs))
    shown = {page.script("return arguments[0].tag", card): card for card in cards}
    assert set(shown) == set(weights) | outputs
    for tag, tensor in weights.items():
        chart = page.wait("vz-histogram-timeseries", within=shown[tag])[0]
        (drawn,) = page.eventually("return arguments[0]._data", chart)
        # TensorBoard spreads the counts over thirty bins of its own
        assert np.isclose(sum(each["y"] for each in drawn["bins"]), tensor.numel(), rtol=1e-9, atol=0), tag
        first, last = drawn["bins"][0], drawn["bins"][-1]
        assert first["x"] <= tensor.min() and tensor.max() <= last["x"] + last["dx"], tag


def features(page: Page, root: Path) -> None:
    """The second projector: test images where the net has them, with what it took them for."""
    with projected(page, "evaluate", width=84) as view:
        page.eventually("return arguments[0].dataSet.spriteAndMetadataInfo?.spriteImage?.naturalWidth", view)
        told = page.script("return arguments[0].dataSet.points.map(each => each.metadata)", view)
        probabilities, labels = probabilities_and_labels(root)
        # fewer than are asked for: all of them, in the generator's order
        order = np.random.default_rng(settings(root)["evaluate"]["seed"]).permutation(len(labels))
        predicted = probabilities.argmax(axis=1)
        assert told == [
            {
                "label": CLASSES[labels[each]],
                "predicted": CLASSES[predicted[each]],
                "correct": "yes" if predicted[each] == labels[each] else "no",
            }
            for each in order
        ]
