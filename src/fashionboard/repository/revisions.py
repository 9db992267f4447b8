"""Which commits and experiments a request names, and what each is called."""

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from fashionboard.base.errors import BoardError
from fashionboard.repository import experiments
from fashionboard.repository.git import Git
from fashionboard.repository.names import clean, short

WORKSPACE = "workspace"
# git allows none of these in the name of a branch, tag or experiment
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Target:
    """A commit to show.

    name: of its runs in TensorBoard; a folder's name. asked: whether it was asked for, by its name, a
    pattern, a range or a number of commits; named: whether by its name. baseline: of an experiment, the
    commit that it started from.
    """

    name: str
    commit: str
    kind: Literal["commit", "experiment"]
    asked: bool = False
    baseline: str = ""
    named: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same while an experiment runs, ends, and is run again."""
        return (self.baseline if self.kind == "experiment" else f"commit {self.commit}", self.name)


@dataclass(frozen=True)
class Request:
    """What was asked for: revisions as git or DVC understands them, and what comes with them.

    revisions: names, ranges (`A..B`, `A...B`) and patterns (`lr-*`). last: as `--num` of `dvc exp show`,
    how many commits, by first parents, from each of these, or from HEAD; negative: all.
    """

    revisions: tuple[str, ...] = ()
    all_commits: bool = False
    experiments: bool = True
    running: bool = True
    last: int = 1

    @property
    def workspace(self) -> bool:
        """Whether the workspace is shown."""
        return not self.revisions or WORKSPACE in self.revisions or self.all_commits


def select(git: Git, request: Request, gone: bool = False) -> list[Target]:
    """Return the commits and experiments that `request` asks for, each once, under their plain names.

    gone: leave out revisions that are unknown: they were known before.

    Raises:
        BoardError: a revision is unknown; the message names the nearest ones. Or a range is empty.
    """
    known = _Known(git)
    targets: list[Target] = []
    for revision in request.revisions:
        if revision != WORKSPACE:
            try:
                targets += known.asked(revision, request.last)
            except BoardError:
                if not gone:
                    raise
    head = known.refs.get("HEAD")
    if not request.revisions and head:
        first = Target(known.head, head, "commit", asked=request.last != 1)
        targets += known.back(first, request.last)
    if request.all_commits and head:
        shown = {target.commit for target in targets}
        targets += [Target(known.label(each), each, "commit") for each in git.commits() if each not in shown]
    if request.experiments:
        shown = {target.commit for target in targets if target.kind == "commit"}
        targets += [each for each in known.experiments if each.baseline in shown]
    found: dict[tuple[str, str], Target] = {}
    for target in targets:
        first = found.setdefault(target.key, target)
        if target.named and not first.named:
            found[target.key] = target
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
                name += f"@{short(told)}"
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
        if told := experiments.experiment(ref):
            found.append(Target(told[1], commit, "experiment", baseline=told[0]))
    return found


def _labels(refs: dict[str, str]) -> dict[str, str]:
    """Name commits by the branch or tag that points at them; a branch goes before a tag."""
    labels: dict[str, str] = {}
    for kind in ("refs/tags/", "refs/heads/"):
        labels |= {commit: ref.removeprefix(kind) for ref, commit in refs.items() if ref.startswith(kind)}
    return labels


class _Known:
    """What a repository has names for, and what the words of a request mean there."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self.refs = git.refs()
        self.experiments = _experiments(self.refs)
        self._labels = _labels(self.refs)

    @property
    def head(self) -> str:
        """The name of HEAD's commit: while an experiment runs in the workspace, DVC detaches HEAD."""
        return self._git.branch() or self.label(self.refs["HEAD"])

    def label(self, commit: str) -> str:
        """Name a commit by a branch or tag, else by its first digits."""
        return self._labels.get(commit, short(commit))

    def asked(self, revision: str, last: int) -> Iterator[Target]:
        """Yield what a name, a pattern or a range stands for.

        Raises:
            BoardError: it stands for nothing.
        """
        single = list(self._named(revision))
        if not single and _WILD.search(revision):
            single = list(self._matching(revision))
        if not single and ".." in revision:
            commits = self._range(revision)
            yield from self._listed(commits[:last] if last > 1 else commits)
        elif not single:
            raise self._unknown(revision, revision)
        for target in single:
            yield from self.back(target, last)

    def back(self, target: Target, last: int) -> Iterator[Target]:
        """Yield a target and, if it is a commit, those before it by first parents, `last` in all."""
        yield target
        if target.kind == "commit" and last != 1:
            yield from self._listed(self._git.back(target.commit, last)[1:])

    def _named(self, revision: str) -> Iterator[Target]:
        called = [each for each in self.experiments if each.name == revision]
        commit = self._git.commit(revision)
        if commit is not None:
            same = [each for each in self.experiments if each.commit == commit]
            if same:
                called += same
            elif commit.startswith(revision):
                yield Target(short(commit), commit, "commit", asked=True, named=True)
            else:
                name = self.head if revision in ("HEAD", "@") else revision
                yield Target(name, commit, "commit", asked=True, named=True)
        yield from (replace(each, asked=True, named=True) for each in called)

    def _matching(self, pattern: str) -> Iterator[Target]:
        for each in self.experiments:
            if fnmatchcase(each.name, pattern):
                yield replace(each, asked=True)
        for kind in ("refs/heads/", "refs/tags/"):
            for ref, commit in self.refs.items():
                name = ref.removeprefix(kind)
                if ref.startswith(kind) and fnmatchcase(name, pattern):
                    yield Target(name, commit, "commit", asked=True)

    def _range(self, revision: str) -> list[str]:
        dots = "..." if "..." in revision else ".."
        first, last = (self._end(end or "HEAD", revision) for end in revision.split(dots, 1))
        found = self._git.between(first, last, symmetric=dots == "...")
        if not found:
            raise BoardError(f"expected commits in {revision}, found none; the older end comes first")
        return found

    def _end(self, name: str, revision: str) -> str:
        """Return the commit at one end of a range."""
        commits = {each.commit for each in self._named(name)}
        if len(commits) > 1:
            raise BoardError(f"{revision}: expected one commit, found {len(commits)} experiments {name!r}")
        if not commits:
            raise self._unknown(name, revision)
        return commits.pop()

    def _listed(self, commits: Iterable[str]) -> Iterator[Target]:
        """Yield commits that were not named one by one; those of experiments as what they are."""
        own = {each.commit: each for each in self.experiments}
        for commit in commits:
            if commit in own:
                yield replace(own[commit], asked=True)
            else:
                yield Target(self.label(commit), commit, "commit", asked=True)

    def _unknown(self, name: str, revision: str) -> BoardError:
        known = {each.name for each in self.experiments}
        known |= {
            re.sub(r"^refs/(heads|tags|remotes)/", "", ref)
            for ref in self.refs
            if not ref.startswith("refs/exps")
        }
        within = "" if name == revision else f" in {revision}"
        if nearest := difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5):
            hint = f"did you mean {', '.join(nearest)}?"
        else:
            hint = "`git log --oneline` and `dvc exp list` name them"
        return BoardError(f"expected a revision, found {name!r}{within}; {hint}")
