"""The files that TensorBoard's projector reads: points, their labels, their thumbnails."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig

from fashionboard import images, outputs


def write(folder: Path, name: str, pixels: npt.NDArray[np.uint8], labels: Sequence[str]) -> None:
    """Write grey images as points into a run's folder, where TensorBoard finds them.

    folder: the run's folder, which must hold an event file too, or TensorBoard sees no run there.
    name: of the tensor, shown in the projector's list; also a folder in `folder`.
    pixels: uint8 (points, height, width); a point's coordinates are its pixels, row by row.
    labels: a text a point, without tabs or line ends.
    """
    points = pixels.reshape(len(pixels), -1)
    _, height, width = pixels.shape
    outputs.write_bytes(
        folder / name / "tensors.tsv", _lines("\t".join(map(str, p)) for p in points.tolist())
    )
    outputs.write_bytes(folder / name / "metadata.tsv", _lines(labels))
    outputs.write_bytes(folder / name / "sprite.png", images.png(images.sprite(pixels)))
    info = EmbeddingInfo(
        tensor_name=name, tensor_path=f"{name}/tensors.tsv", metadata_path=f"{name}/metadata.tsv"
    )
    info.sprite.image_path = f"{name}/sprite.png"
    info.sprite.single_image_dim.extend([width, height])
    config = text_format.MessageToString(ProjectorConfig(embeddings=[info]))
    outputs.write_bytes(folder / "projector_config.pbtxt", config.encode())


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
