"""The files that TensorBoard's projector reads: points, what is known of each, their thumbnails."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig

from fashionboard.base import clock, outputs
from fashionboard.events import images


@clock.part("events")
def write(
    folder: Path,
    name: str,
    points: npt.NDArray[np.float32] | npt.NDArray[np.uint8],
    columns: Mapping[str, Sequence[str]],
    thumbnails: npt.NDArray[np.uint8],
) -> None:
    """Write points into a run's folder, where TensorBoard finds them; without any, write nothing.

    folder: the run's folder, which must hold an event file too, or TensorBoard sees no run there.
    name: of the tensor, shown in the projector's list; also a folder in `folder`.
    points: (points, ...); a point's coordinates are all its numbers, row by row. Where they are images, scale
        large ones first, as with `images.thumbnails(pixels, 28)`: each value becomes a number in the file.
    columns: by name, one or more, each with a text a point; no tabs or line ends.
    thumbnails: images of any size, uint8 (points, height, width) or (points, height, width, 3); larger ones
        than the sprite has room for are scaled, see `images.sprite_thumbnails`.
    """
    if len(points) == 0:
        return
    # nine significant digits tell every float32 from its neighbours, and leave whole numbers bare
    line = "\t".join(["%.9g"] * points[0].size)
    rows = points.reshape(len(points), -1)
    # row by row: a number of Python's takes more memory than its text
    outputs.write_bytes(folder / name / "tensors.tsv", _lines(line % tuple(row.tolist()) for row in rows))
    outputs.write_bytes(folder / name / "metadata.tsv", _lines(_metadata(columns)))
    small = images.sprite_thumbnails(thumbnails)
    outputs.write_bytes(folder / name / "sprite.png", images.png(images.sprite(small)))
    info = EmbeddingInfo(
        tensor_name=name, tensor_path=f"{name}/tensors.tsv", metadata_path=f"{name}/metadata.tsv"
    )
    _, height, width = small.shape[:3]
    info.sprite.image_path = f"{name}/sprite.png"
    info.sprite.single_image_dim.extend([width, height])
    config = text_format.MessageToString(ProjectorConfig(embeddings=[info]))
    outputs.write_bytes(folder / "projector_config.pbtxt", config.encode())


def _metadata(columns: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """Return the lines of a metadata file: TensorBoard wants no header above a single column."""
    rows = zip(*columns.values(), strict=True)
    return map("\t".join, rows if len(columns) == 1 else [tuple(columns), *rows])


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
