from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch.utils.tensorboard import SummaryWriter

from fashionboard.data.dataset import Images
from fashionboard.events import images, projector

LABELS = [f"class {index}" for index in range(11)]


@pytest.fixture
def folder(tmp_path: Path, noise: Images) -> Path:
    projector.write(tmp_path / "ours", "images", noise.pixels[:, :4], {"label": LABELS}, noise.pixels[:, :4])
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


@pytest.mark.parametrize("edge", [32, 100])
def test_coloured_images_of_any_size_are_those_of_torchs_writer(tmp_path: Path, edge: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, edge, edge, 3), np.uint8)
    labels, small = LABELS[:5], images.thumbnails(pixels, 28)
    projector.write(tmp_path / "ours", "images", small, {"label": labels}, pixels)
    thumbnails = images.thumbnails(pixels, 64)
    with SummaryWriter(str(tmp_path / "theirs")) as writer:
        pictures = torch.tensor(thumbnails).permute(0, 3, 1, 2) / 255
        writer.add_embedding(torch.tensor(small).flatten(1), labels, pictures)
    theirs = tmp_path / "theirs" / "00000" / "default"
    for name in ("tensors.tsv", "metadata.tsv"):
        assert (tmp_path / "ours" / "images" / name).read_bytes() == (theirs / name).read_bytes()
    sprites = [
        np.asarray(Image.open(folder / "sprite.png"), np.int16)
        for folder in (tmp_path / "ours" / "images", theirs)
    ]
    assert sprites[0].shape == sprites[1].shape and np.abs(sprites[0] - sprites[1]).max() <= 1
    # TensorBoard's own reader, of what it draws by and of the points
    config = text_format.Parse((tmp_path / "ours" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert list(config.embeddings[0].sprite.single_image_dim) == [min(edge, 64)] * 2
    read = projector_plugin._read_tensor_tsv_file(str(tmp_path / "ours" / "images" / "tensors.tsv"))
    assert np.array_equal(read, small.reshape(5, 28 * 28 * 3))


def test_the_config_names_files_that_are_there(folder: Path) -> None:
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (info,) = config.embeddings
    for name in (info.tensor_path, info.metadata_path, info.sprite.image_path):
        assert (folder / name).is_file()
    assert list(info.sprite.single_image_dim) == [4, 4]


def test_the_sprite_keeps_every_level_of_grey(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    projector.write(tmp_path, "images", pixels, {"label": ["a", "b", "c", "d"]}, pixels)
    sprite = np.asarray(Image.open(tmp_path / "images" / "sprite.png"))
    assert set(sprite.ravel().tolist()) == set(range(256))


FLOATS = np.array(
    [
        [0, -0.0, 1, 0.1, 1 / 3],
        [1e-45, 1.1754944e-38, 3.4028235e38, -2.5, 16777217],
        [np.nextafter(np.float32(1), np.float32(2)), 123456.789, 1e9, -1e-9, np.float32(np.pi)],
    ],
    np.float32,
)
COLUMNS = {"label": ["a b", "c/d", "é"], "predicted": ["x", "c/d", "y"], "correct": ["no", "yes", "no"]}


def test_several_columns_are_those_of_torchs_writer_header_and_all(tmp_path: Path, noise: Images) -> None:
    projector.write(tmp_path / "ours", "features", FLOATS, COLUMNS, noise.pixels[:3])
    with SummaryWriter(str(tmp_path / "theirs")) as writer:
        rows = list(zip(*COLUMNS.values(), strict=True))
        writer.add_embedding(torch.tensor(FLOATS), rows, metadata_header=list(COLUMNS))
    (theirs,) = tmp_path.glob("theirs/**/metadata.tsv")
    assert (tmp_path / "ours" / "features" / "metadata.tsv").read_bytes() == theirs.read_bytes()


def test_every_float32_comes_back_as_itself(tmp_path: Path, noise: Images) -> None:
    generator = np.random.default_rng(0)
    # bits drawn at random: every size of number
    drawn = generator.integers(0, 2**32, (3, 5000), np.uint32).view(np.float32)
    points = np.concatenate([FLOATS, np.where(np.isfinite(drawn), drawn, 0)], axis=1)
    projector.write(tmp_path, "features", points, COLUMNS, noise.pixels[:3])
    # TensorBoard's own reader
    read = projector_plugin._read_tensor_tsv_file(str(tmp_path / "features" / "tensors.tsv"))
    assert read.dtype == np.float32 and read.tobytes() == points.tobytes()


def test_whole_numbers_are_written_bare(tmp_path: Path, noise: Images) -> None:
    for name, points in (("bytes", noise.pixels), ("floats", noise.pixels.astype(np.float32))):
        projector.write(tmp_path, name, points, {"label": LABELS}, noise.pixels)
    line = "\t".join(map(str, noise.pixels[0].ravel().tolist()))
    written = (tmp_path / "bytes" / "tensors.tsv").read_text()
    assert written.startswith(f"{line}\n")
    assert (tmp_path / "floats" / "tensors.tsv").read_text() == written


def test_without_points_there_is_no_projector(tmp_path: Path, noise: Images) -> None:
    projector.write(tmp_path, "features", FLOATS[:0], {"label": []}, noise.pixels[:0])
    assert list(tmp_path.iterdir()) == []


def test_a_column_with_too_few_texts_is_refused(tmp_path: Path, noise: Images) -> None:
    with pytest.raises(ValueError, match="shorter"):
        projector.write(tmp_path, "features", FLOATS, {**COLUMNS, "correct": ["no"]}, noise.pixels[:3])
