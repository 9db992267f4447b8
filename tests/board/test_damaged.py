"""Damaged repositories end in no traceback; `make damage` tries many more."""

import json
import shutil
from pathlib import Path

import pytest

from tests.damage import Damaged, look
from tests.plain import plain


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    names = "events.tfevents.1 projector_config.pbtxt"
    make = f"mkdir logs && for each in {names}; do cp params.yaml logs/$each; done"
    write = """echo '{"accuracy": 0.5, "more": {"x": [1]}}' > metrics.json"""
    stage = {
        "cmd": [make, write],
        "params": ["train.lr"],
        "outs": ["logs"],
        "metrics": ["metrics.json"],
    }
    files = {
        "dvc.yaml": json.dumps({"stages": {"train": stage}}, indent=1),
        "params.yaml": "train:\n  lr: 0.5\n  sizes: [1, 2]\nother: {a: b}\n",
        ".dvcignore": "*.tmp\n",
        ".gitignore": "/logs\n/metrics.json\n",
        "extra": "more",
    }
    repository = plain(tmp_path_factory.mktemp("whole") / "r", files)
    repository.git("rm", "-q", "--cached", "extra")
    repository.dvc("add", "-q", "extra")
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    repository.dvc("exp", "run", "-q", "-n", "one", "-S", "train.lr=0.25")
    repository.git("reset", "-q", "--hard")
    repository.dvc("checkout", "-q")
    return Damaged(repository)


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
