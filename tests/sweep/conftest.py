"""A repository of another project, run and committed, of which each test has a copy."""

import shutil
from pathlib import Path

import pytest

from tests.support.plain import plain
from tests.support.repository import Repository


@pytest.fixture(scope="package")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository after `dvc repro` and a commit."""
    repository = plain(tmp_path_factory.mktemp("other") / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository.path


@pytest.fixture
def repository(other: Path, tmp_path: Path) -> Repository:
    """A copy of it, with its cache."""
    return Repository(shutil.copytree(other, tmp_path / "r", symlinks=True))
