"""Four small archives in place of the official ones, and what fetches them."""

import gzip
import hashlib
import socket
import sys
from pathlib import Path

import numpy as np

from fashionboard.data import idx
from fashionboard.sources import download, transfer

TIMEOUT = 1.0
PATHS = [archive.path for archive in download.OFFICIAL]
# incompressible pixels: packed, they are longer than one block of a transfer
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10
CONTENT = dict(zip(PATHS, map(idx.encode, [PIXELS, LABELS, PIXELS[:20], LABELS[:20]]), strict=True))
PACKED = {f"{path.name}.gz": gzip.compress(content, mtime=0) for path, content in CONTENT.items()}
ARCHIVES = [
    transfer.Archive(path, len(packed), hashlib.sha256(packed).hexdigest())
    for path, packed in zip(PATHS, PACKED.values(), strict=True)
]
FIRST = ARCHIVES[0].name


def fetch(root: Path, *sources: str, retries: int = 0, keep: bool = False) -> None:
    download.fetch(root, sources, TIMEOUT, retries, ARCHIVES, keep)


def files(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def assert_complete(root: Path) -> None:
    found = files(root)
    assert found.pop(Path("dataset.json"))
    assert found == CONTENT


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# what the stage does, with other archives
_FETCH = """
import os
import sys
from pathlib import Path
from fashionboard.sources import download
from fashionboard.base import errors
from tests.support.archives import ARCHIVES, TIMEOUT
root, *sources = sys.argv[1:]
errors.run(lambda: download.fetch(Path(root), sources, TIMEOUT, 0, ARCHIVES, "DVC_ROOT" in os.environ))
"""


def apart(root: Path, *sources: str) -> list[str]:
    """Return a command that fetches, and keeps what it has verified where $DVC_ROOT is set."""
    return [sys.executable, "-c", _FETCH, str(root), *sources]
