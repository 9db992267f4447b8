"""Damaged repositories, as many as DAMAGED says, end in no traceback; not collected by `make test-all`."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.damage import Damaged, look, whole

_ALL = int(os.environ.get("DAMAGED", "500"))
# so that several processes share them
_EACH = 50


@pytest.fixture(scope="session")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    return Damaged(whole(tmp_path_factory.mktemp("whole") / "r"))


@pytest.mark.parametrize("first", range(0, _ALL, _EACH))
def test_damaged_repositories_end_in_no_traceback(damaged: Damaged, tmp_path: Path, first: int) -> None:
    wrong = []
    for number in range(first, first + _EACH):
        folder = tmp_path / str(number)
        try:
            _, lines = look(damaged, number, folder)
        except Exception as error:  # which number it was is what is asked
            wrong.append((number, repr(error)))
        else:
            wrong += [(number, line) for line in lines if not line.isprintable()]
        shutil.rmtree(folder, ignore_errors=True)
    assert wrong == []
