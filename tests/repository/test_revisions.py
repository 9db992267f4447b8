import json
from pathlib import Path
from typing import Any

import pytest

from fashionboard.base.errors import BoardError
from fashionboard.repository.git import Git
from fashionboard.repository.revisions import Request, Target, distinct, safe, select
from tests.support.plain import plain
from tests.support.repository import Repository


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


def shown(history: Repository, *revisions: str, **request: Any) -> list[tuple[str, str]]:
    """Return name and kind of what is selected."""
    targets = select(Git(history.path), Request(revisions, **request))
    names = distinct(targets)
    return [(names[target.key], target.kind) for target in targets]


def sha(history: Repository, revision: str) -> str:
    return history.git("rev-parse", "--short=7", revision).strip()


@pytest.mark.slow
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


def test_what_names_no_single_commit_is_no_revision(history: Repository) -> None:
    for revision in ("^main", "main ^v1", ""):
        with pytest.raises(BoardError, match="expected a revision, found "):
            select(Git(history.path), Request((revision,)))


@pytest.mark.parametrize("revision", ["v1..main", "v1..", "HEAD~1...v1", "v1..fast", "main..fast"])
def test_a_range_is_what_git_lists(history: Repository, revision: str) -> None:
    experiments = {t.commit: t.name for t in select(Git(history.path), Request()) if t.kind == "experiment"}
    hidden = experiments.keys()
    (fast,) = [commit for commit, name in experiments.items() if name == "fast"]
    listed = history.git("rev-list", revision.replace("fast", fast)).split()
    targets = select(Git(history.path), Request((revision,), experiments=False))
    assert [target.commit for target in targets] == listed and listed
    assert [t.kind == "experiment" for t in targets] == [each in hidden for each in listed]
    assert all(target.asked and not target.named for target in targets)
    labels = {sha(history, "main"): "main", sha(history, "feature/x"): "feature/x", sha(history, "v1"): "v1"}
    assert all(t.name == labels[t.commit[:7]] for t in targets if t.kind == "commit")


def test_a_range_that_is_none_says_which_end_or_that_it_is_empty(history: Repository) -> None:
    said = {
        "main..fats": "expected a revision, found 'fats' in main..fats; did you mean fast?",
        "main..v1": "expected commits in main..v1, found none; the older end comes first",
        "main..same": "main..same: expected one commit, found 2 experiments 'same'",
    }
    for revision, expected in said.items():
        with pytest.raises(BoardError) as refused:
            select(Git(history.path), Request((revision,)))
        assert str(refused.value) == expected
    # while a board is open, it may have commits again
    assert select(Git(history.path), Request(("main..v1",)), gone=True) == []


def test_a_number_of_commits_is_that_of_dvc(history: Repository, tmp_path: Path) -> None:
    """Against `dvc exp show -n`, whose commits are the first parents, in a history with a merge."""
    clone = history.clone(tmp_path / "clone")
    clone.git("checkout", "-qb", "side", "HEAD~1")
    clone.git("commit", "-q", "--allow-empty", "-m", "aside")
    clone.git("checkout", "-q", "main")
    clone.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    for number in (1, 2, 3, 9, -1):
        listed = clone.git("rev-list", "--first-parent", f"-n{number}", "HEAD").split()
        targets = select(Git(clone.path), Request(last=number, experiments=False))
        assert [target.commit for target in targets] == listed
        # each of these is a row, but not HEAD alone, which nobody asked for
        assert {target.asked for target in targets} == {number != 1}
    shown_by_dvc = json.loads(clone.dvc("exp", "show", "--json", "-n", "3"))
    listed = clone.git("rev-list", "--first-parent", "-n3", "HEAD").split()
    assert [each["rev"] for each in shown_by_dvc[1:]] == listed
    ((name, _), *rest) = shown(clone, "side", last=2, experiments=False)
    assert (name, len(rest)) == ("side", 1)


def test_the_experiments_of_a_number_of_commits_come_along(history: Repository) -> None:
    names = {name for name, kind in shown(history, last=3) if kind == "experiment"}
    assert names == {"fast", f"same@{sha(history, 'v1')}", f"same@{sha(history, 'main')}"}


def test_a_pattern_is_of_experiments_branches_and_tags(history: Repository) -> None:
    assert shown(history, "f*", experiments=False) == [("fast", "experiment"), ("feature-x", "commit")]
    assert shown(history, "[v]?", experiments=False) == [("v1", "commit")]
    assert len(shown(history, "s*e", experiments=False)) == 2
    targets = select(Git(history.path), Request(("f*", "fast"), experiments=False))
    assert [(t.name, t.asked, t.named) for t in targets] == [("fast", True, True), ("feature/x", True, False)]
    # git's own patterns stay git's
    assert shown(history, "HEAD^{/sec*}", experiments=False)[0][1] == "commit"


def test_a_pattern_that_matches_nothing_is_refused(history: Repository) -> None:
    with pytest.raises(BoardError) as refused:
        select(Git(history.path), Request(("fats*",)))
    assert str(refused.value) == "expected a revision, found 'fats*'; did you mean fast?"
    assert select(Git(history.path), Request(("fats*",)), gone=True) == []


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
