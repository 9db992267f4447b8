import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid

from fashionboard.data.dataset import Images
from fashionboard.events import images


@pytest.mark.parametrize(("columns", "padding"), [(4, 2), (11, 2), (3, 0), (1, 5)])
def test_the_grid_is_torchvisions(noise: Images, columns: int, padding: int) -> None:
    ours = images.grid(noise.pixels, columns, padding)
    theirs = make_grid(torch.tensor(noise.pixels).unsqueeze(1), nrow=columns, padding=padding)[0]
    assert np.array_equal(ours, theirs.numpy())


def test_the_sprite_is_square_and_holds_every_image(noise: Images) -> None:
    sprite = images.sprite(noise.pixels)
    assert sprite.shape == (4 * 5, 4 * 4)
    for index, image in enumerate(noise.pixels):
        row, column = divmod(index, 4)
        assert np.array_equal(sprite[row * 5 :, column * 4 :][:5, :4], image)
    assert not sprite[3 * 5 :, :].any()


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_png_loses_nothing(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(images.png(pixels)))), pixels)
