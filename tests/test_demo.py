"""`make demo`'s script, on a machine without a git identity, twice."""

import shutil
from pathlib import Path

import pytest

from tests.repository import Repository


def test_the_demo_leaves_the_workspace_alone_and_works_again(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository.create(tmp_path / "clone", root)
    repository.set({"data.dataset": "fashion-mnist"})
    shutil.copytree(root / "scripts", repository.path / "scripts")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "as users clone it")
    repository.git("config", "--unset", "user.name")
    repository.git("config", "--unset", "user.email")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    files = sorted(path.name for path in repository.path.iterdir())
    for _ in range(2):
        output = repository.run("scripts/demo").stdout
        assert "accuracy" in output and "drawn" in output
        assert repository.git("status", "--porcelain") == ""
        assert sorted(path.name for path in repository.path.iterdir()) == files
    assert repository.dvc("exp", "list", "--name-only").split() == ["demo"]
