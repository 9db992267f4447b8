import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fashionboard.base.errors import DataError
from fashionboard.data import idx, mapped

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (50, 5, 4, 3), np.uint8)


@pytest.fixture
def on_disk(pixels: Pixels, tmp_path: Path) -> Pixels:
    """The same pixels, behind 16 bytes of a file."""
    (tmp_path / "pixels").write_bytes(bytes(16) + pixels.tobytes())
    return np.memmap(tmp_path / "pixels", np.uint8, "c", 16, pixels.shape)


def test_rows_of_an_array_in_memory_are_in_memory(pixels: Pixels) -> None:
    positions = np.array([3, 0, 3, 49])
    found = mapped.rows(pixels, positions)
    assert np.array_equal(found, pixels[positions])
    assert not idx.is_mapped(found)


@pytest.mark.parametrize("together", [1, 60 * 7, 2**24])
def test_rows_of_a_mapped_array_are_mapped_in_order(
    pixels: Pixels, on_disk: Pixels, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "_TOGETHER", together)
    positions = np.random.default_rng(1).permutation(50)[:20]
    found = mapped.rows(on_disk, positions)
    assert found.shape == (20, 5, 4, 3) and found.dtype == np.uint8
    assert idx.is_mapped(found)
    idx.forget(found)
    assert np.array_equal(found, pixels[positions])


def test_images_are_taken_into_memory_in_any_order(pixels: Pixels, on_disk: Pixels) -> None:
    positions = np.random.default_rng(0).integers(0, 50, 200)
    for source in (pixels, on_disk):
        taken = mapped.take(source, positions)
        assert np.array_equal(taken, pixels[positions])
        assert not idx.is_mapped(taken)
        taken[:] = 0
    assert np.array_equal(on_disk, pixels)
    assert mapped.take(on_disk, positions[:0]).shape == (0, 5, 4, 3)


def test_what_is_taken_is_all_that_stays_in_memory(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(bytes(2**27))
    pixels = np.memmap(tmp_path / "pixels", np.uint8, "c", shape=(2**15, 2**12))
    before = resident()
    taken = mapped.take(pixels, np.arange(0, 2**15, 2**6))
    assert taken.nbytes == 2**21 and resident() - before < 2**23


def test_the_file_has_no_name_and_the_pixels_stay_as_they_were(
    pixels: Pixels, on_disk: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    found = mapped.rows(on_disk, np.arange(50)[::-1].copy())
    assert list(folder.iterdir()) == []
    found[:] = 0
    assert np.array_equal(on_disk, pixels)


def test_no_rows_of_a_mapped_array_are_an_empty_array(on_disk: Pixels) -> None:
    assert mapped.rows(on_disk, np.array([], np.int64)).shape == (0, 5, 4, 3)


def test_few_pages_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB are copied, an eighth of them at a time."""
    monkeypatch.setattr(mapped, "_TOGETHER", 2**23)
    (tmp_path / "pixels").write_bytes(bytes(2**26))
    pixels = np.memmap(tmp_path / "pixels", np.uint8, "c", shape=(2**6, 2**20))
    before = resident()
    found = mapped.rows(pixels, np.arange(len(pixels)))
    assert resident() - before < 2**25
    assert found.any() == 0
    assert resident() - before > 2**25  # else this test sees nothing
    idx.forget(found)
    assert resident() - before < 2**25


def resident() -> int:
    """Return the bytes of this process that are in memory; see proc(5)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_full_disk_is_told(on_disk: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=r"temporary file of 1,200 bytes, found none \(No space left"):
        mapped.rows(on_disk, np.arange(20))
