from pathlib import Path

import pytest

from fashionboard.board.git import Git
from fashionboard.board.selection import Request, Target, distinct, safe, select
from fashionboard.errors import BoardError
from tests.plain import plain
from tests.repository import Repository


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Three commits on main, a tag on the first, a branch with a slash, and experiments on two of them."""
    repository = plain(tmp_path_factory.mktemp("history") / "r")
    repository.git("tag", "v1")
    for message in ("second", "third"):
        repository.git("commit", "-q", "--allow-empty", "-m", message)
    repository.git("branch", "feature/x", "HEAD~1")
    for baseline, name in (("HEAD", "fast"), ("HEAD", "same"), ("v1", "same")):
        start = repository.git("rev-parse", baseline).strip()
        tree = f"{start}^{{tree}}"
        commit = repository.git("commit-tree", tree, "-p", start, "-m", f"{baseline} {name}").strip()
        repository.git("update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", commit)
    # what DVC keeps beside experiments
    repository.git("update-ref", "refs/exps/celery/failed", "HEAD")
    repository.git("update-ref", "refs/exps/stash", "HEAD")
    return repository


def shown(history: Repository, *revisions: str, **request: bool) -> list[tuple[str, str]]:
    """Return name and kind of what is selected."""
    targets = select(Git(history.path), Request(revisions, **request))
    names = distinct(targets)
    return [(names[target.key], target.kind) for target in targets]


def sha(history: Repository, revision: str) -> str:
    return history.git("rev-parse", "--short=7", revision).strip()


def test_without_a_revision_it_is_head_and_its_experiments(history: Repository) -> None:
    assert shown(history) == [("main", "commit"), ("fast", "experiment"), ("same", "experiment")]


def test_with_revisions_it_is_these_alone(history: Repository) -> None:
    assert shown(history, "v1", "main", experiments=False) == [("v1", "commit"), ("main", "commit")]
    assert shown(history, "fast", experiments=False) == [("fast", "experiment")]


def test_every_way_to_name_a_commit(history: Repository) -> None:
    full = history.git("rev-parse", "HEAD").strip()
    for revision in (full, full[:5], full[:12]):
        assert shown(history, revision, experiments=False) == [(full[:7], "commit")]
    assert shown(history, "HEAD", experiments=False) == [("main", "commit")]
    assert shown(history, "HEAD~2", experiments=False) == [("HEAD~2", "commit")]
    assert shown(history, "feature/x", experiments=False) == [("feature-x", "commit")]


def test_an_experiment_is_named_also_by_its_commit(history: Repository) -> None:
    commit = next(t.commit for t in select(Git(history.path), Request()) if t.name == "fast")
    assert shown(history, commit[:8], experiments=False) == [("fast", "experiment")]


def test_equal_names_are_told_apart_by_their_baselines(history: Repository) -> None:
    both = [(f"same@{sha(history, each)}", "experiment") for each in ("v1", "HEAD")]
    assert sorted(shown(history, "same", experiments=False)) == sorted(both)


def test_all_commits_bring_their_experiments(history: Repository) -> None:
    names = {name for name, _ in shown(history, all_commits=True)}
    assert names == {
        "main",
        "v1",
        "feature-x",
        "fast",
        f"same@{sha(history, 'v1')}",
        f"same@{sha(history, 'main')}",
    }


def test_head_keeps_its_name_while_dvc_has_detached_it(history: Repository) -> None:
    history.git("checkout", "-q", "--detach")
    try:
        assert shown(history, experiments=False) == [("main", "commit")]
    finally:
        history.git("checkout", "-q", "main")


@pytest.mark.parametrize(
    ("revision", "hint"),
    [
        ("fats", "did you mean fast?"),
        ("feature/y", "did you mean feature/x?"),
        ("zzzzzz", "`git log --oneline` and `dvc exp list` name them"),
        ("--all", "`git log --oneline` and `dvc exp list` name them"),
    ],
)
def test_an_unknown_revision_is_refused_with_the_nearest_names(
    history: Repository, revision: str, hint: str
) -> None:
    with pytest.raises(BoardError) as refused:
        select(Git(history.path), Request((revision,)))
    assert str(refused.value) == f"expected a revision, found {revision!r}; {hint}"


def test_names_are_folders_that_differ_on_every_file_system() -> None:
    names = ["a/b", "a-b", "A-B", "workspace", "naïve", "nai\u0308ve", "c:d e", "..", "."]
    targets = [Target(name, f"{number}" * 40, "commit") for number, name in enumerate(names)]
    found = list(distinct(targets, ["workspace"]).values())
    assert found == [
        "a-b@0000000",
        "a-b@1111111",
        "A-B@2222222",
        "workspace@3333333",
        "naïve@4444444",
        "naïve@5555555",
        "c-d e",
        "-@7777777",
        "-@8888888",
    ]
    assert len({name.casefold() for name in found}) == len(names)


def test_what_has_one_name_and_one_start_bears_its_own_commit() -> None:
    targets = [
        Target(name, digit * 40, "experiment", baseline="2" * 40)
        for name, digit in (("lr", "1"), ("LR", "3"))
    ]
    assert list(distinct(targets).values()) == ["lr@1111111", "LR@3333333"]
    # one that runs has no commit yet
    running = [Target("lr", "", "experiment", baseline="2" * 40), Target("lr", "2" * 40, "commit")]
    assert list(distinct(running).values()) == ["lr@2222222", "lr@2222222'"]


def test_a_long_name_is_cut_and_told_apart() -> None:
    names = ["é" * 200, "é" * 201, "x" * 150]
    found = [safe(name) for name in names]
    assert len(set(found)) == 3 and found[2] == names[2]
    assert all(len(name.encode()) <= 150 for name in found)


def test_a_range_is_no_revision(history: Repository) -> None:
    for revision in ("v1..main", "^main", "main ^v1", ""):
        with pytest.raises(BoardError, match="expected a revision, found "):
            select(Git(history.path), Request((revision,)))


def test_a_revision_that_has_gone_is_left_out(history: Repository) -> None:
    (target,) = select(Git(history.path), Request(("gone", "v1"), experiments=False), gone=True)
    assert target.name == "v1"


def test_a_broken_ref_hides_no_other(history: Repository, tmp_path: Path) -> None:
    clone = history.clone(tmp_path / "clone")
    start = clone.git("rev-parse", "HEAD").strip()
    folder = clone.path / ".git" / "refs" / "exps" / start[:2] / start[2:]
    folder.mkdir(parents=True)
    for name, digest in (
        ("aaa", "1" * 40),
        ("zzz", start),
        ("blob", clone.git("rev-parse", "HEAD:dvc.yaml").strip()),
    ):
        (folder / name).write_text(f"{digest}\n")
    git = Git(clone.path)
    assert [target.name for target in select(git, Request())] == ["main", "zzz"]
    assert [ref.rpartition("/")[2] for ref in git.broken] == ["aaa", "blob"]
