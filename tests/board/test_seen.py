import os
from pathlib import Path

import pytest

from fashionboard.board import seen


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 100_000])
def test_a_file_goes_on_while_it_grows(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x"
    content = os.urandom(size)
    path.write_bytes(content)
    before = seen.look(path)
    assert before.size == size and seen.goes_on(path, before)
    path.write_bytes(content + b"more")
    assert seen.goes_on(path, before)
    if size:
        path.write_bytes(content[:-1])
        assert not seen.goes_on(path, before)
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert not seen.goes_on(path, before)


def test_the_last_bytes_that_were_seen_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 100_000 + b"end")
    before = seen.look(path)
    path.write_bytes(b"a" * 100_000 + b"END, and more")
    assert not seen.goes_on(path, before)
