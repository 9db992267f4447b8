"""The page of `dvc plots` in a real browser; vega, which it takes from the network, is put in its place."""

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import vl_convert
from PIL import Image
from sklearn.metrics import confusion_matrix

from fashionboard.data.dataset import CLASSES
from tests.browser.page import MISSING, REASON, Page
from tests.browser.panels import REPORTS, probabilities_and_labels
from tests.support.repository import Repository
from tests.support.servers import files

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING and "CI" not in os.environ, reason=REASON)]

_SCRIPT = re.compile(r'<script[^>]*src="(https://[^"]+)"[^>]*></script>')
# the page keeps no hold of what it draws: this does
_VEGA = """
    window.drawn = [];
    window.vegaEmbed = async (...all) => {
        const made = await vegaEmbed(...all);
        window.drawn.push(made.view);
        return made;
    };
"""
_DRAWN = "return Promise.all(window.drawn.map(view => view.toSVG()))"


def test_dvc_plots_draw_loss_precision_recall_confusion_and_the_picture(
    page: Page, ran: Repository, tmp_path: Path
) -> None:
    ran.dvc("plots", "show", "--out", str(tmp_path / "plots"))
    file = tmp_path / "plots" / "index.html"
    asked = " ".join(_SCRIPT.findall(file.read_text()))
    # what docs/experiments.md says that the page takes from the network
    assert all(f"/{name}@" in asked for name in ("vega", "vega-lite", "vega-embed"))
    (tmp_path / "plots" / "vega.js").write_text(vl_convert.javascript_bundle(_VEGA))
    offline = _SCRIPT.sub("", file.read_text())
    file.write_text(
        offline.replace("<head>", '<head><link rel="icon" href="data:,"><script src="vega.js"></script>', 1)
    )

    with files(file.parent) as address:
        page.driver.get(f"{address}/index.html")
        page.eventually("return window.drawn.length == 3")
        pictures = [ElementTree.fromstring(svg) for svg in page.script(_DRAWN)]
        (picture,) = [each for each in page.find("img") if "confusion.png" in str(each.get_attribute("src"))]
        with Image.open(ran.path / "plots" / "evaluate" / "confusion.png") as written:
            assert np.array_equal(page.pixels(picture), np.asarray(written))
        page.screenshot(tmp_path / "plots.png")

    titles = ("training loss", "precision-recall", "confusion")
    loss, curves, confusion = (next(each for each in pictures if title in texts(each)) for title in titles)
    # DVC's own template draws a line twice: as it is, and smoothed by nothing
    assert len(lines(loss)) == 2
    # to the first report, and on to the others
    assert re.findall("[ML]", lines(loss)[0]) == ["M", *"L" * (REPORTS - 1)]
    # a small plot a class
    assert len(lines(curves)) == len(CLASSES)
    assert set(CLASSES) <= set(texts(curves))
    probabilities, labels = probabilities_and_labels(ran.path)
    expected = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(CLASSES)))
    shown = cells(confusion)
    assert sum(shown.values()) == len(labels)
    assert all(
        shown[CLASSES[row], CLASSES[column]] == count
        for (row, column), count in np.ndenumerate(expected)
        if count
    )


def texts(svg: ElementTree.Element) -> list[str]:
    return [node.text or "" for node in svg.iter("{http://www.w3.org/2000/svg}text")]


def cells(svg: ElementTree.Element) -> dict[tuple[str, str], int]:
    """Return the count of each pair of label and prediction, from what a cell tells a screen reader."""
    told = [str(each.get("aria-label")) for each in svg.iter()]
    found = [re.fullmatch(r"actual: (.+); predicted: (.+); xy_count: (\d+)", each) for each in told]
    return {(each[1], each[2]): int(each[3]) for each in found if each}


def lines(svg: ElementTree.Element) -> list[str]:
    """Return the paths of the marks that are lines."""
    groups = [each for each in svg.iter() if "mark-line" in str(each.get("class"))]
    return [str(path.get("d")) for group in groups for path in group.iter("{http://www.w3.org/2000/svg}path")]
