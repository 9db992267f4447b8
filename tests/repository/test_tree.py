from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fashionboard.repository.git import Git
from fashionboard.repository.tree import Trees
from tests.support.written import commit, lock, pipeline, written


def test_further_files_are_listed_as_far_as_they_are_outputs(tmp_path: Path) -> None:
    declared = pipeline({"train": {"outs": [{"logs": {"cache": False}}]}})
    recorded = {"dvc.yaml": declared, "dvc.lock": lock(train={"logs": f"{'0' * 32}.dir"})}
    files = {"logs/a.txt": "a", "logs/deep/b.txt": "b", "logs/c.md": "c", "d.txt": "d"}
    repository = written(tmp_path / "r", {**recorded, **files})
    head = repository.git("rev-parse", "HEAD").strip()
    tree = Trees(Git(repository.path), lambda path: path.endswith(".txt")).read([head])[head]
    assert tree.others.keys() == {"logs/a.txt", "logs/deep/b.txt"}
    (stage,) = tree.stages
    assert tree.kept(stage, "logs") == tree.others and tree.kept(stage, "log") == {}
    assert tree.blobs.keys() == recorded.keys() and tree.unread == ()


def test_a_file_that_commits_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = written(tmp_path / "r", {"dvc.yaml": pipeline({"a": {}}), "dvc.lock": lock(a={})})
    first = repository.git("rev-parse", "HEAD").strip()
    second = commit(repository, {"dvc.yaml": pipeline({"b": {}}), "note": "second"})
    asked: list[str] = []
    contents = Git.contents

    def counted(git: Git, objects: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        names = list(objects)
        asked.extend(names)
        return contents(git, names)

    monkeypatch.setattr(Git, "contents", counted)
    trees = Trees(Git(repository.path), lambda path: False)
    found = trees.read([first, second]) | trees.read([second])
    assert len(asked) == len(set(asked)) == 3
    assert found[first].blobs["dvc.lock"] == found[second].blobs["dvc.lock"]
