"""Which revisions are shown, and under what names."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fashionboard import dvcfiles
from fashionboard.board.git import Git
from fashionboard.board.group import clean
from fashionboard.errors import BoardError

WORKSPACE = "workspace"
_SHORT = 7


@dataclass(frozen=True)
class Target:
    """A commit to show.

    name: of its runs in TensorBoard; a folder's name. asked: whether it was asked for by name.
    baseline: of an experiment, the commit that it started from.
    """

    name: str
    commit: str
    kind: Literal["commit", "experiment"]
    asked: bool = False
    baseline: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same while an experiment runs, ends, and is run again."""
        return (self.baseline if self.kind == "experiment" else f"commit {self.commit}", self.name)


@dataclass(frozen=True)
class Request:
    """What was asked for: revisions as git or DVC understands them, and what comes with them."""

    revisions: tuple[str, ...] = ()
    all_commits: bool = False
    experiments: bool = True
    running: bool = True

    @property
    def workspace(self) -> bool:
        """Whether the workspace is shown."""
        return not self.revisions or WORKSPACE in self.revisions or self.all_commits


def select(git: Git, request: Request, gone: bool = False) -> list[Target]:
    """Return the commits and experiments that `request` asks for, each once, under their plain names.

    gone: leave out revisions that are unknown: they were known before.

    Raises:
        BoardError: a revision is unknown; the message names the nearest ones.
    """
    refs = git.refs()
    experiments = _experiments(refs)
    targets: list[Target] = []
    for revision in request.revisions:
        if revision != WORKSPACE:
            try:
                targets += _asked(git, revision, refs, experiments)
            except BoardError:
                if not gone:
                    raise
    if not request.revisions and "HEAD" in refs:
        targets.append(Target(_head(git, refs), refs["HEAD"], "commit"))
    if request.all_commits and "HEAD" in refs:
        labels, named = _labels(refs), {target.commit for target in targets}
        others = [each for each in git.commits() if each not in named]
        targets += [Target(labels.get(each, each[:_SHORT]), each, "commit") for each in others]
    if request.experiments:
        shown = {target.commit for target in targets if target.kind == "commit"}
        targets += [each for each in experiments if each.baseline in shown]
    found: dict[tuple[str, str], Target] = {}
    for target in targets:
        found.setdefault(target.key, target)
    return list(found.values())


def by_key(git: Git, keys: Iterable[tuple[str, str]]) -> list[Target]:
    """Return the experiments with these keys, as far as there are any."""
    wanted = set(keys)
    return [each for each in _experiments(git.refs()) if each.key in wanted] if wanted else []


def distinct(targets: Iterable[Target], others: Iterable[str] = ()) -> dict[tuple[str, str], str]:
    """Return a folder's name for each target by key: safe, and no two alike on any file system.

    Those that would be alike bear the commit they started from, or, if that does not tell them apart,
    that they are: `lr-0.01@3f2a91c`.
    others: names that are taken.
    """
    alike = defaultdict(list)
    for target in targets:
        alike[_folded(safe(target.name))].append(target)
    taken = {_folded(name) for name in others}
    found: dict[tuple[str, str], str] = {}
    for folded, group in alike.items():
        for target in group:
            name = safe(target.name)
            if len(group) > 1 or folded in taken:
                starts = [each.baseline or each.commit for each in group]
                own = target.baseline or target.commit
                told = own if starts.count(own) == 1 else target.commit or own
                name += f"@{told[:_SHORT]}"
            while _folded(name) in taken:  # the same letters in other cases from one baseline
                name += "'"
            taken.add(_folded(name))
            found[target.key] = name
    return found


def safe(name: str) -> str:
    """Return `name` as one that a folder can have anywhere."""
    plain = unicodedata.normalize("NFC", name).replace("/", "-").strip(" .")
    return clean(plain) or "-"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _experiments(refs: dict[str, str]) -> list[Target]:
    found = []
    for ref, commit in refs.items():
        if told := dvcfiles.experiment(ref):
            found.append(Target(told[1], commit, "experiment", baseline=told[0]))
    return found


def _labels(refs: dict[str, str]) -> dict[str, str]:
    """Name commits by the branch or tag that points at them; a branch goes before a tag."""
    labels: dict[str, str] = {}
    for kind in ("refs/tags/", "refs/heads/"):
        labels |= {commit: ref.removeprefix(kind) for ref, commit in refs.items() if ref.startswith(kind)}
    return labels


def _head(git: Git, refs: dict[str, str]) -> str:
    # while an experiment runs in the workspace, DVC detaches HEAD from its branch
    return git.branch() or _labels(refs).get(refs["HEAD"], refs["HEAD"][:_SHORT])


def _asked(git: Git, revision: str, refs: dict[str, str], experiments: list[Target]) -> Iterator[Target]:
    called = [each for each in experiments if each.name == revision]
    commit = git.commit(revision)
    if commit is None and not called:
        raise BoardError(f"expected a revision, found {revision!r}; {_nearest(revision, refs, experiments)}")
    if commit is not None:
        same = [each for each in experiments if each.commit == commit]
        if same:
            called += same
        elif commit.startswith(revision):
            yield Target(commit[:_SHORT], commit, "commit", asked=True)
        else:
            head = _head(git, refs) if revision in ("HEAD", "@") else revision
            yield Target(head, commit, "commit", asked=True)
    yield from (replace(each, asked=True) for each in called)


def _nearest(revision: str, refs: dict[str, str], experiments: list[Target]) -> str:
    known = {each.name for each in experiments}
    known |= {
        re.sub(r"^refs/(heads|tags|remotes)/", "", ref) for ref in refs if not ref.startswith("refs/exps")
    }
    nearest = difflib.get_close_matches(revision, sorted(known), n=3, cutoff=0.5)
    return (
        f"did you mean {', '.join(nearest)}?"
        if nearest
        else "`git log --oneline` and `dvc exp list` name them"
    )
