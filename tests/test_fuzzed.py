"""Each reader takes damaged files: it returns what is right in form, or says in one line what is wrong."""

import gzip
import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from PIL import Image

from fashionboard.base import errors, params
from fashionboard.base.errors import FashionboardError
from fashionboard.data import dataset, idx
from fashionboard.data.dataset import CLASSES
from fashionboard.network import checkpoint, nets
from fashionboard.network.checkpoint import Origin
from fashionboard.pictures import decode
from fashionboard.predict import image
from fashionboard.sources import drawn
from tests.support import fuzz

# of each reader; `make torture` sets more
CASES = int(os.environ.get("FUZZED", "300"))
# characters of a message that can still be read
LONGEST = 2000

PARAMS = [
    *(b"1e400", b"0x" + 5000 * b"f", b".nan", b"-.inf", b"~", b"yes", b"{}", b"[]", b"\t", b"\xef\xbb\xbf"),
    *(
        b"\n%YAML 1.3\n---\n",
        b"&a [*a, *a]",
        b"<<: *a",
        b"*a",
        b"&a ",
        b"!!python/object:os.system x",
        b"!!int ",
    ),
    *(
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\x00",
        b": ",
        b"- ",
        b"? ",
        b"|\n",
        b"'",
        b'"',
        300 * b"[",
        300 * b"{a: ",
    ),
    *(b"2020-01-01", b"99999-99-99", b"1:30", b"=", b"!!set {a}", b"!!binary x", b"--- ", b"...\n", b"#"),
]
JSON = [
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b'""',
    b"[[]]",
    b"1e400",
    100_000 * b"[",
    b"\\ud800",
    b'"a":',
    b",",
    b"true",
]
TENSORS = [
    *JSON,
    b'"F64"',
    b'"shape":[9999999999]',
    b'"data_offsets":[0,0]',
    b"__metadata__",
    b"\x00\x00\xc0\x7f",
]


def read_params(path: Path) -> None:
    assert isinstance(params.load(path), params.Params)


def read_idx(path: Path) -> None:
    found = idx.read(path)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert found.dtype == np.uint8
    assert found.tobytes() == content[4 + 4 * found.ndim :]


def read_model(path: Path) -> None:
    net, origin = checkpoint.load(path)
    assert all(tensor.isfinite().all() for tensor in net.state_dict().values())
    assert all(isinstance(name, str) for name in (origin.data_set, *origin.classes))


def read_description(path: Path) -> None:
    found = dataset.describe(path.parent)
    assert all(isinstance(text, str) for text in (found.name, found.title, *found.classes))


def read_picture(path: Path) -> None:
    pixels = image.convert(decode.read(path)).pixels
    assert pixels.shape == (28, 28) and pixels.dtype == np.uint8


def model(folder: Path) -> bytes:
    checkpoint.save(folder / "good", nets.initial(0, 10), Origin("fashion-mnist", CLASSES))
    return (folder / "good").read_bytes()


def header(folder: Path) -> bytes:
    """Return the header of a model, without its length."""
    content = model(folder)
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length]


def about(folder: Path) -> bytes:
    """Return what a model says of itself."""
    return str(json.loads(header(folder))["__metadata__"]["fashionboard"]).encode()


def description(folder: Path) -> bytes:
    dataset.write_description(folder, drawn.DESCRIPTION)
    return (folder / "dataset.json").read_bytes()


def pictures(kind: str, **options: object) -> Callable[[Path], bytes]:
    def make(_: Path) -> bytes:
        shown = np.full((40, 30, 3), 250, np.uint8)
        shown[10:30, 5:20] = np.arange(300, dtype=np.uint8).reshape(20, 15, 1)
        written = io.BytesIO()
        Image.fromarray(shown).save(written, kind, **options)
        return written.getvalue()

    return make


def images(_: Path) -> bytes:
    return idx.encode(np.arange(784, dtype=np.uint8).reshape(1, 28, 28))


GOOD: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], None], list[bytes]]] = {
    "params": ("params.yaml", lambda _: Path("params.yaml").read_bytes(), read_params, PARAMS),
    "idx": ("images-idx3-ubyte", images, read_idx, []),
    "packed idx": ("images-idx3-ubyte.gz", lambda _: gzip.compress(images(_), mtime=0), read_idx, []),
    "idx in gz": ("images-idx3-ubyte.gz", images, read_idx, []),
    "model": ("net.safetensors", model, read_model, TENSORS),
    "header of a model": ("net.safetensors", header, read_model, TENSORS),
    "description of a model": ("net.safetensors", about, read_model, JSON),
    "description": ("dataset.json", description, read_description, JSON),
    "png": ("x.png", pictures("PNG"), read_picture, []),
    "jpeg": ("x.jpg", pictures("JPEG"), read_picture, []),
    "gif": ("x.gif", pictures("GIF"), read_picture, []),
    "tiff": ("x.tif", pictures("TIFF", compression="tiff_lzw"), read_picture, []),
    "webp": ("x.webp", pictures("WEBP"), read_picture, []),
}


def described(text: bytes) -> bytes:
    weights = nets.initial(0, 10).state_dict()
    return safetensors.torch.save(weights, {"fashionboard": text.decode(errors="replace")})


def headed(text: bytes) -> bytes:
    tensors = nets.initial(0, 10).state_dict().values()
    return struct.pack("<Q", len(text)) + text + bytes(sum(tensor.nbytes for tensor in tensors))


# what is damaged before it is packed: the damage then lies within what is whole
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "idx in gz": lambda content: gzip.compress(content, 1, mtime=0),
    "header of a model": headed,
    "description of a model": described,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", GOOD)
def test_a_damaged_file_is_read_or_refused_in_one_line(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(root)
    name, make, read, pieces = GOOD[kind]
    good, path = make(tmp_path), tmp_path / name
    pack = PACKED.get(kind, bytes)
    path.write_bytes(pack(good))
    read(path)
    refused: list[FashionboardError] = []
    for number in range(CASES):
        content = fuzz.damaged(good, f"{kind} {number}", pieces)
        path.write_bytes(pack(content))
        try:
            read(path)
        except FashionboardError as error:
            refused.append(error)
        except Exception as error:
            raise AssertionError(f"{kind} {number}: {content[:80]!r}") from error
    assert all(len(errors.line(error).splitlines()) == 1 for error in refused)
    assert max(len(errors.line(error)) for error in refused) < LONGEST
    # most changes are seen; pixels have nothing that would show one
    assert len(refused) > CASES / 10
