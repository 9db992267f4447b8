"""Damaged repositories end in no traceback; `make check-damaged` tries many more."""

import shutil
from pathlib import Path

import pytest

from tests.support.damage import Damaged, look, whole

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    return Damaged(whole(tmp_path_factory.mktemp("whole") / "r"))


def test_damaged_repositories_end_in_no_traceback(damaged: Damaged, tmp_path: Path) -> None:
    numbers = range(30)
    codes, told = [], 0
    for number in numbers:
        code, lines = look(damaged, number, tmp_path / str(number))
        codes.append(code)
        told += bool(lines)
        assert all(line.isprintable() for line in lines), lines
        shutil.rmtree(tmp_path / str(number))
    # most of them can still be shown, and most damages are told
    assert sum(codes) < len(codes) / 2 < told
