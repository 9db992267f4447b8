"""`make demo`'s script, on a machine without a git identity, twice."""

import os
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
    # a lock file without its cache, as in a fresh clone
    shutil.copy(root / "dvc.lock", repository.path)
    repository.git("add", "-A")
    repository.git("commit", "-qm", "as users clone it")
    repository.git("config", "--unset", "user.name")
    repository.git("config", "--unset", "user.email")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [
        name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "XDG_CONFIG"))
    ]:
        monkeypatch.delenv(name)
    assert repository.run("git", "config", "user.email", check=False).returncode != 0
    files = sorted(path.name for path in repository.path.iterdir())
    for _ in range(2):
        output = repository.run("scripts/demo").stdout
        assert "accuracy" in output and "drawn" in output
        assert repository.git("status", "--porcelain") == ""
        assert sorted(path.name for path in repository.path.iterdir()) == files
    assert repository.dvc("exp", "list", "--name-only").split() == ["demo"]
    repository.dvc("exp", "apply", "demo")
    assert list((repository.path / "runs" / "train").glob("*tfevents*"))
