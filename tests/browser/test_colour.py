"""What TensorBoard shows of pictures in colour: thumbnails in the Projector, images in their tab."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import panels
from tests.browser.page import MISSING, REASON, Page
from tests.support import shapes
from tests.support.repository import Repository
from tests.support.servers import tensorboard

pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING and "CI" not in os.environ, reason=REASON)]

SIZE, POINTS = 40, 30
# what the page has of its thumbnails, drawn anew: red, green, blue and opacity of each pixel
_DRAWN = """
const picture = arguments[0].dataSet.spriteAndMetadataInfo.spriteImage;
const canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
canvas.getContext("2d").drawImage(picture, 0, 0);
return Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
"""


@pytest.fixture(scope="module")
def shown(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose stages visualize and embed have run on shapes in colour."""
    repository = Repository.create(tmp_path_factory.mktemp("colour"), root)
    shapes.write(repository.path / "shapes", ("circle", "square", "triangle"), each=20)
    own = {"data.dataset": "folder", "data.path": "shapes", "data.image_size": SIZE, "data.colour": "rgb"}
    repository.set({**own, "embed.points": POINTS})
    repository.dvc("repro", "visualize", "embed")
    return repository


def test_thumbnails_are_in_colour(page: Page, shown: Repository, tmp_path: Path) -> None:
    with (
        tensorboard(shown.path / "runs", True) as page.address,
        panels.projected(page, "embed", width=28 * 28 * 3) as view,
    ):
        page.eventually("return arguments[0].dataSet.spriteAndMetadataInfo?.spriteImage?.naturalWidth", view)
        drawn = np.array(page.script(_DRAWN, view), np.uint8).reshape(6 * SIZE, 6 * SIZE, 4)
        page.screenshot(tmp_path / "sprites.png")
    with Image.open(shown.path / "runs/embed/images/sprite.png") as picture:
        sprite = np.asarray(picture)
    assert (drawn[:, :, :3] == sprite).all() and (drawn[:, :, 3] == 255).all()
    # light shapes in all colours, and no grey picture
    assert (np.ptp(sprite[:SIZE, :SIZE].astype(int), axis=2) > 20).any()


def test_images_are_in_colour(page: Page, shown: Repository, tmp_path: Path) -> None:
    with tensorboard(shown.path / "runs", True) as page.address:
        page.open("images&tagFilter=four_images")
        pixels = page.pixels(page.wait("img", within=page.wait("tf-image-loader")[0])[0])
        page.screenshot(tmp_path / "images.png")
    four = panels.events(shown.path, "visualize").Images("four_images")[-1]
    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(four.encoded_image_string))))
    assert (np.ptp(pixels.astype(int), axis=2) > 20).mean() > 0.3
