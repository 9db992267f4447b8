import subprocess
from pathlib import Path

import pytest

from fashionboard.base.errors import BoardError
from fashionboard.repository.git import Git
from tests.support.plain import plain
from tests.support.repository import Repository


def test_refs_are_commits_also_where_a_tag_is_annotated(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r")
    repository.git("tag", "-a", "v1", "-m", "first")
    head = repository.git("rev-parse", "HEAD").strip()
    refs = Git(repository.path).refs()
    assert refs == {"HEAD": head, "refs/heads/main": head, "refs/tags/v1": head}


def test_files_of_commits_are_those_that_git_lists(tmp_path: Path) -> None:
    """Against one `git ls-tree` a commit: added, changed, removed, renamed files, in a folder and outside."""
    repository = plain(tmp_path / "r", {"a/dvc.lock": "1", "b/dvc.lock": "2", "é ü.dvc": "3"}, subdir=True)
    top = Repository(repository.path.parent)
    (top.path / "dvc.lock").write_text("outside")
    top.git("add", "-A")
    top.git("commit", "-qm", "outside")
    repository.git("rm", "-q", "a/dvc.lock")
    (repository.path / "b" / "dvc.lock").write_text("4")
    repository.git("commit", "-qam", "less")
    repository.git("mv", "b/dvc.lock", "dvc.lock")
    repository.git("commit", "-qam", "moved")
    repository.git("commit", "-q", "--allow-empty", "-m", "nothing")
    commits = repository.git("rev-list", "HEAD").split()
    found = Git(repository.path).files(commits, lambda path: path.endswith((".lock", ".dvc")))
    assert len(commits) == 5
    for commit in commits:
        listed = repository.git("-c", "core.quotePath=false", "ls-tree", "-r", commit).splitlines()
        expected = {line.split("\t")[1]: line.split()[2] for line in listed}
        assert found[commit] == {k: v for k, v in expected.items() if k.endswith((".lock", ".dvc"))}
        assert found[commit]["é ü.dvc"]


def test_contents_are_whole_and_what_is_missing_is_none(tmp_path: Path) -> None:
    content = "a\n\nb" * 100_000
    repository = plain(tmp_path / "r", {"big": content, "empty": ""})
    found = dict(Git(repository.path).contents(["HEAD:big", "HEAD:gone", "HEAD:empty", "f" * 40]))
    assert found == {"HEAD:big": content.encode(), "HEAD:gone": None, "HEAD:empty": b"", "f" * 40: None}


def test_a_commit_is_what_git_understands(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r")
    git = Git(repository.path)
    head = repository.git("rev-parse", "HEAD").strip()
    assert git.commit("HEAD") == git.commit(head[:6]) == git.commit("main") == head
    assert git.commit("HEAD~1") is None
    assert git.commit("--all") is None
    assert git.branch() == "main"
    repository.git("checkout", "-q", "--detach")
    assert git.branch() is None


def test_a_repository_without_a_commit_has_no_refs(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert Git(tmp_path).refs() == {}


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="expected a git repository, found: fatal: not a git repository"):
        Git(tmp_path)


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BoardError, match="expected git, found no such program"):
        Git(tmp_path)
