import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fashionboard.data import idx
from fashionboard.data.dataset import Images
from fashionboard.training.feed import Feed

CPU = torch.device("cpu")
# a device without a memory: it tells where things are put
META = torch.device("meta")


@pytest.fixture
def on_disk(images: Images, tmp_path: Path) -> Images:
    (tmp_path / "pixels").write_bytes(images.pixels.tobytes())
    return Images(np.memmap(tmp_path / "pixels", np.uint8, "c", shape=images.pixels.shape), images.labels)


@pytest.mark.parametrize("kind", ["images", "on_disk"])
def test_images_and_labels_come_by_their_positions(kind: str, request: pytest.FixtureRequest) -> None:
    images = request.getfixturevalue(kind)
    feed = Feed(images, CPU)
    positions = np.array([3, 199, 3, 0])
    pixels, labels = feed.at(torch.from_numpy(positions))
    assert pixels.dtype == torch.uint8 and np.array_equal(pixels.numpy(), images.pixels[positions])
    assert labels.dtype == torch.int64 and np.array_equal(labels.numpy(), images.labels[positions])
    assert (len(feed), feed.size, feed.values) == (200, 28, 784)


def test_what_comes_is_a_copy(images: Images) -> None:
    before = images.pixels.copy()
    Feed(images, CPU).at(torch.arange(10))[0].fill_(0)
    assert np.array_equal(images.pixels, before)


def test_images_are_on_the_device_unless_they_are_mapped_or_changed_on_the_cpu(
    images: Images, on_disk: Images
) -> None:
    for feed, home in (
        (Feed(images, META), META),
        (Feed(images, META, on_cpu=True), CPU),
        (Feed(on_disk, META), CPU),
    ):
        assert (feed.device, feed.home) == (META, home)
        assert {tensor.device for tensor in feed.at(torch.arange(3))} == {home}


def test_what_was_read_of_mapped_images_is_forgotten(
    on_disk: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[object] = []
    monkeypatch.setattr(idx, "forget", forgotten.append)
    feed = Feed(on_disk, CPU)
    feed.at(torch.arange(3))
    assert len(forgotten) == 1 and forgotten[0] is on_disk.pixels
    feed.at(torch.arange(100))
    assert len(forgotten) == 1 + 4  # some at a time: Linux reads ahead


def test_a_whole_epoch_of_mapped_images_takes_no_more_memory_than_a_part(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(bytes(2**26))
    pixels = np.memmap(tmp_path / "pixels", np.uint8, "c", shape=(2**14, 64, 64))
    feed = Feed(Images(pixels, np.zeros(2**14, np.uint8)), CPU)
    most, before = 0, resident()
    for part in torch.randperm(2**14).split(2**10):
        assert feed.at(part)[0].sum() == 0
        most = max(most, resident() - before)
    assert most < 2**25
    pixels.sum()
    assert resident() - before > 2**25  # else this test sees nothing


def resident() -> int:
    """Return the bytes of this process that are in memory; see proc(5)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
