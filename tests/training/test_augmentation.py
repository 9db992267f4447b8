import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from fashionboard.data.dataset import Images
from fashionboard.network import nets
from fashionboard.training import augmentation, loop


def test_an_image_is_mirrored_and_then_moved() -> None:
    pixels = torch.tensor([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], dtype=torch.uint8)
    for change, expected in (
        ([0, 0, 0], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ([1, 0, 0], [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
        ([0, 1, 0], [[0, 0, 0], [1, 2, 3], [4, 5, 6]]),
        ([0, 0, -1], [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),
        ([1, -2, 2], [[0, 0, 9], [0, 0, 0], [0, 0, 0]]),
    ):
        assert augmentation.flip_shift(pixels, torch.tensor([change]))[0].tolist() == expected


def test_each_image_is_changed_as_torchvision_does_it(images: Images) -> None:
    changes = augmentation.draw(len(images), seed=0, epoch=0)
    pixels = torch.tensor(images.pixels)
    ours = augmentation.flip_shift(pixels, changes)
    assert ours.dtype == torch.uint8
    for found, image, (mirrored, down, right) in zip(ours, pixels, changes.tolist(), strict=True):
        expected = v2.functional.horizontal_flip(image[None]) if mirrored else image[None]
        moved = v2.functional.affine(expected, angle=0, translate=[right, down], scale=1, shear=[0, 0])
        assert torch.equal(found, moved[0])


def test_all_changes_are_equally_likely() -> None:
    changes = augmentation.draw(50_000, seed=0, epoch=0).numpy()
    kinds, counts = np.unique(changes, axis=0, return_counts=True)
    assert {tuple(kind) for kind in kinds} == {
        (mirrored, down, right) for mirrored in (0, 1) for down in range(-2, 3) for right in range(-2, 3)
    }
    # 1,000 expected; five standard deviations
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_a_seed_and_an_epoch_of_its_own() -> None:
    drawn = {(s, e): augmentation.draw(20, s, e).numpy().tobytes() for s in (0, 1) for e in (0, 1)}
    assert len(set(drawn.values())) == 4
    assert augmentation.draw(20, 0, 1).numpy().tobytes() == drawn[0, 1]
    # nor that of the images' order
    of_order = np.random.default_rng([0, 0]).integers([0, -2, -2], [2, 3, 3], (20, 3))
    assert drawn[0, 0] != of_order.tobytes()


@pytest.mark.parametrize("batch_size", [7, 64, 6000])
def test_batches_are_augmented_image_by_image(images: Images, batch_size: int) -> None:
    pixels, labels = torch.tensor(images.pixels), torch.tensor(images.labels, dtype=torch.int64)
    positions = torch.from_numpy(np.random.default_rng(0).integers(0, len(images), 9000))
    changes = augmentation.draw(9000, seed=0, epoch=0)
    found = list(loop.batches(pixels, labels, positions, batch_size, changes))
    together = torch.cat([inputs for inputs, _, _ in found])
    assert torch.equal(together, nets.normalise(augmentation.flip_shift(pixels[positions], changes)))
    assert torch.equal(torch.cat([targets for _, targets, _ in found]), labels[positions])
    assert torch.equal(torch.cat([at for _, _, at in found]), positions)
