from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from fashionboard import projector
from fashionboard.dataset import Images

LABELS = [f"class {index}" for index in range(11)]


@pytest.fixture
def folder(tmp_path: Path, noise: Images) -> Path:
    projector.write(tmp_path / "ours", "images", noise.pixels[:, :4], LABELS)
    return tmp_path / "ours"


def test_points_labels_and_thumbnails_are_those_of_torchs_writer(folder: Path, noise: Images) -> None:
    pixels = torch.tensor(noise.pixels[:, :4])  # torch cuts a sprite of images that are not square
    with SummaryWriter(str(folder.parent / "theirs")) as writer:
        # as float: from uint8, torch makes a sprite of two levels
        writer.add_embedding(pixels.flatten(1), LABELS, pixels.unsqueeze(1) / 255)
    theirs = folder.parent / "theirs" / "00000" / "default"
    for name in ("tensors.tsv", "metadata.tsv"):
        assert (folder / "images" / name).read_bytes() == (theirs / name).read_bytes()
    ours_sprite = np.asarray(Image.open(folder / "images" / "sprite.png").convert("RGB"), np.int16)
    theirs_sprite = np.asarray(Image.open(theirs / "sprite.png"), np.int16)
    # torch multiplies by 255 in float32 and cuts off, which loses one level now and then
    assert np.abs(ours_sprite - theirs_sprite).max() <= 1


def test_the_config_names_files_that_are_there(folder: Path) -> None:
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (info,) = config.embeddings
    for name in (info.tensor_path, info.metadata_path, info.sprite.image_path):
        assert (folder / name).is_file()
    assert list(info.sprite.single_image_dim) == [4, 4]


def test_the_sprite_keeps_every_level_of_grey(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    projector.write(tmp_path, "images", pixels, ["a", "b", "c", "d"])
    sprite = np.asarray(Image.open(tmp_path / "images" / "sprite.png"))
    assert set(sprite.ravel().tolist()) == set(range(256))
