"""Which files of an output TensorBoard opens: event files, and what belongs to a projector."""

import posixpath
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import text_format

from fashionboard.board.group import is_events

CONFIG = "projector_config.pbtxt"


def is_config(path: str) -> bool:
    """Tell whether TensorBoard takes the file for the description of a projector."""
    return posixpath.basename(path) == CONFIG


def is_known(path: str) -> bool:
    """Tell whether its name alone says that TensorBoard opens the file."""
    return is_events(path) or is_config(path)


def assets(path: str, config: Path) -> Iterator[str]:
    """Yield the paths of the files that a projector's description names.

    path: of the description; the paths are told from where that is told from. config: where it lies.
    """
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    try:
        described = text_format.Parse(config.read_text(encoding="utf-8"), ProjectorConfig())
    except (text_format.ParseError, ValueError, RecursionError, OSError):
        return  # nor does the projector show anything then
    for each in described.embeddings:
        for name in (each.tensor_path, each.metadata_path, each.bookmarks_path, each.sprite.image_path):
            if name:
                yield posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
