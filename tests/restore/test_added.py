"""What `dvc add` was given is a person's own: restore brings what lacks, and leaves the rest as it is."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.plain import plain
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a folder and a file that DVC tracks, run and committed."""
    made = plain(tmp_path / "r")
    for name in ("a/1", "a/2", "b/3"):
        (made.path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (made.path / "photos" / name).write_text(name)
    (made.path / "one").write_text("one")
    made.dvc("add", "-q", "photos", "one")
    made.dvc("repro", "-q")
    made.git("add", "-A")
    made.git("commit", "-qm", "run")
    return made


def contents(repository: Repository) -> dict[str, str]:
    photos = repository.path / "photos"
    return {
        each.relative_to(photos).as_posix(): each.read_text() for each in photos.rglob("*") if each.is_file()
    }


def back(repository: Repository) -> str:
    printed = repository.run("fashionboard", "restore").stdout
    assert repository.git("status", "--porcelain") == ""
    return printed


def test_what_lacks_comes_back_and_the_rest_stays(repository: Repository) -> None:
    before = contents(repository)
    photos = repository.path / "photos"
    (photos / "a" / "1").unlink()
    (photos / "a" / "2").write_text("edited")
    (photos / "b" / "new").write_text("new")
    (photos / "b" / "link").symlink_to(repository.path / "params.yaml")
    (repository.path / "one").write_text("another")
    (repository.path / "metrics.json").unlink()
    printed = back(repository)
    now = contents(repository)
    assert now.pop("b/link") == (repository.path / "params.yaml").read_text()
    assert now == before | {"a/2": "edited", "b/new": "new"}
    assert (repository.path / "one").read_text() == "another"
    assert (repository.path / "metrics.json").exists()
    assert "Kept in" not in printed and "Not as in the commit: " in printed


def test_a_folder_that_is_gone_comes_back(repository: Repository) -> None:
    before = contents(repository)
    (repository.path / "photos").rename(repository.path / "moved")
    (repository.path / "one").unlink()
    repository.run("fashionboard", "restore")
    assert contents(repository) == before and (repository.path / "one").read_text() == "one"
    (repository.path / "photos" / "b" / "3").unlink()
    (repository.path / "photos" / "b").rmdir()
    repository.run("fashionboard", "restore")
    assert contents(repository) == before


@pytest.mark.parametrize("folder", ["photos", "photos/a"])
def test_a_file_in_the_place_of_a_folder_is_moved_away(repository: Repository, folder: str) -> None:
    before = contents(repository)
    shutil.rmtree(repository.path / folder)
    (repository.path / folder).write_text("mine")
    assert f": {folder}. Delete" in back(repository)
    assert contents(repository) == before


def test_a_picture_that_a_run_has_refused_and_that_was_removed_stays_away(repository: Repository) -> None:
    before = contents(repository)
    bad = repository.path / "photos" / "a" / "bad"
    bad.write_text("bad")
    repository.set({"train.fails": True})
    repository.git("commit", "-qam", "fails")
    # DVC adds the folder anew by itself
    repository.dvc("exp", "run", "-q", "-S", "train.lr=2", check=False)
    assert "photos.dvc" in repository.git("status", "--porcelain")
    bad.unlink()
    printed = back(repository)
    assert contents(repository) == before and "photos.dvc" in printed


def test_what_dvc_cannot_read_is_moved_away(repository: Repository) -> None:
    before = contents(repository)
    os.mkfifo(repository.path / "photos" / "a" / "pipe")
    (repository.path / "photos" / "a" / "gone").symlink_to("nowhere")
    printed = back(repository)
    assert contents(repository) == before
    assert "Kept in" in printed and "photos/a/gone" in printed and "photos/a/pipe" in printed
