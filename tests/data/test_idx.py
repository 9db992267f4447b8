import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashionboard.base.errors import DataError
from fashionboard.data import idx


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


def test_an_axis_of_none_beside_huge_ones_is_refused(tmp_path: Path) -> None:
    # no value, but numpy multiplies the others: 2^32 - 1 twice is held, three times is not
    header = b"\0\0\x08\x03\0\0\0\0" + b"\xff" * 4 + b"\0\0\0\x02"
    (tmp_path / "file").write_bytes(header)
    assert idx.read(tmp_path / "file").shape == (0, 2**32 - 1, 2)
    for name, pack in (("file", bytes), ("file.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(b"\0\0\x08\x04" + b"\xff" * 4 + bytes(4) + b"\xff" * 8))
        with pytest.raises(
            DataError, match=r"numpy can hold, found \(4294967295, 0, 4294967295, 4294967295\)"
        ):
            idx.read(tmp_path / name)


# a process that may take 100 MiB more than it has once numpy is imported
_LIMITED = """
import pathlib, resource, sys
from fashionboard.base import errors
from fashionboard.data import idx
used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
errors.run(lambda: idx.read(pathlib.Path(sys.argv[1]), "mend it"))
"""


def read_with_little_memory(path: Path) -> str:
    """Return the line that a reader prints to whom 100 MiB are left."""
    command = [sys.executable, "-c", _LIMITED, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.parametrize(
    ("promised", "found"),
    [
        # read as far as it promises, and a byte further
        (5, "expected 13 bytes for shape (5,), found more; mend it"),
        (2**26, "expected 67,108,872 bytes for shape (67108864,), found more; mend it"),
        # more than fits into memory, and more than can be packed so small
        (2**30, "expected data that fit into memory, found more; mend it"),
        (2**32 - 1, "expected 4,294,967,303 bytes for shape (4294967295,), found at most "),
    ],
)
def test_of_a_file_that_unpacks_to_a_gibibyte_no_more_is_read_than_it_promises(
    tmp_path: Path, promised: int, found: str
) -> None:
    header = b"\0\0\x08\x01" + promised.to_bytes(4, "big")
    # parts in a row unpack to their contents in a row
    bomb = gzip.compress(header) + 16 * gzip.compress(bytes(2**26))
    (tmp_path / "bomb.gz").write_bytes(bomb)
    assert len(bomb) < 2**21
    (line,) = read_with_little_memory(tmp_path / "bomb.gz").splitlines()
    assert found in line


def test_a_promise_alone_takes_no_memory(tmp_path: Path) -> None:
    header = b"\0\0\x08\x01\xff\xff\xff\xff"
    (tmp_path / "file").write_bytes(header)
    assert "expected 4,294,967,303 bytes" in read_with_little_memory(tmp_path / "file")
    # packed, what it may hold is told only by reading: noise hardly shrinks
    noise = np.random.default_rng(0).bytes(2**22 + 2**12)
    (tmp_path / "file.gz").write_bytes(gzip.compress(header + noise))
    assert f"found {len(noise) + 8:,}; mend" in read_with_little_memory(tmp_path / "file.gz")


def test_a_file_longer_than_any_memory_is_refused_by_its_size(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.write(b"\0\0\x08\x01\0\0\0\x05abcde")
        file.truncate(2**42)  # with a hole
    with pytest.raises(DataError, match=r"expected 13 bytes for shape \(5,\), found 4,398,046,511,104"):
        idx.read(tmp_path / "file")


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_what_has_no_end_is_refused_unread(tmp_path: Path, name: str) -> None:
    expected = r"file(\.gz)?: expected a file, found a pipe, a device or the like; mend it$"
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=expected):
        idx.read(tmp_path / name, "mend it")
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match=expected):
        idx.read(tmp_path / name, "mend it")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        idx.read(tmp_path / name)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    # as DVC may put one from its cache
    (tmp_path / "cached").write_bytes(idx.encode(np.arange(3, dtype=np.uint8)))
    (tmp_path / "file").symlink_to("cached")
    assert idx.read(tmp_path / "file").tolist() == [0, 1, 2]
