import gzip
from pathlib import Path

import numpy as np
import pytest

from fashionboard import idx
from fashionboard.errors import DataError


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 28, 28)])
def test_what_is_encoded_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (tmp_path / "file").write_bytes(idx.encode(array))
    read = idx.read(tmp_path / "file")
    assert read.shape == shape and read.dtype == np.uint8
    assert np.array_equal(read, array)


def test_the_bytes_are_those_of_the_format() -> None:
    assert idx.encode(np.array([[7, 9]], np.uint8)) == b"\0\0\x08\x02\0\0\0\x01\0\0\0\x02\x07\x09"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found nothing"),
        (b"<html>", "found 3c 68 74"),
        (b"\x1f\x8b\x08\0", "found 1f 8b 08"),
        (b"\0\0\x08\x03\0\0", "header is cut off"),
        (b"\0\0\x08\x41" + b"\0\0\0\x01" * 65 + b"a", "expected 1 to 64 axes, found 65"),
        (b"\0\0\x08\x01\0\0\0\x05ab", r"expected 13 bytes for shape \(5,\), found 10"),
        (b"\0\0\x08\x01\0\0\0\x01ab", r"expected 9 bytes for shape \(1,\), found 10"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "expected 79,228,162,458,924,105,385,300,197,391 bytes"),
    ],
)
def test_damaged_content_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=message):
        idx.read(tmp_path / "file")


def test_a_compressed_file_is_the_same(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx.encode(array)))
    assert np.array_equal(idx.read(tmp_path / "file.gz"), array)


def test_a_damaged_compressed_file_is_refused_with_the_readers_advice(tmp_path: Path) -> None:
    whole = gzip.compress(idx.encode(np.arange(250, dtype=np.uint8)))
    wrong = bytearray(whole)
    wrong[30] ^= 255
    for content in (whole[:-9], whole[:100], b"", b"\0\0\x08\x01\0\0\0\x01a", bytes(wrong)):
        (tmp_path / "file.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"file\.gz: expected .*; mend it$"):
            idx.read(tmp_path / "file.gz", "mend it")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: cannot be read .*dvc repro download"):
        idx.read(tmp_path / "nowhere")
