"""The board: what is shown now, kept in step with git, DVC and the disk."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fashionboard.base import errors
from fashionboard.board import timed
from fashionboard.board.group import Group, Value
from fashionboard.board.live import Live
from fashionboard.board.repeats import Repeats
from fashionboard.board.results import Reader, Record
from fashionboard.board.shown import Shown
from fashionboard.board.view import View
from fashionboard.board.watch import Watch, Watched
from fashionboard.board.where import Filter
from fashionboard.repository import experiments, fetch, revisions
from fashionboard.repository.cache import Cache
from fashionboard.repository.commits import Commit, Commits
from fashionboard.repository.fetch import Remote
from fashionboard.repository.git import Git
from fashionboard.repository.names import short
from fashionboard.repository.revisions import Request, Target
from fashionboard.repository.times import Kept

# files in a line that tells of several
_NAMED = 3


@dataclass(frozen=True)
class _Read:
    """What was read of git and DVC's cache at one time.

    refs: the commit of each ref by its name. wanted: what is asked for; targets: those of it that are shown.
    records, said: by commit.
    """

    refs: Mapping[str, str] = field(default_factory=dict)
    wanted: Sequence[Target] = ()
    targets: Sequence[Target] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    said: Mapping[str, Commit] = field(default_factory=dict)

    @property
    def missing(self) -> set[str]:
        """The md5s of all that is not in the cache."""
        records = self.records.values()
        return {digest for record in records for digests in record.missing.values() for digest in digests}

    @property
    def experiments(self) -> dict[tuple[str, str], str]:
        """The commit of each experiment by baseline and name."""
        told = ((experiments.experiment(ref), commit) for ref, commit in self.refs.items())
        return {key: commit for key, commit in told if key}


class Board:
    """The groups of one repository, as `request` asks for them, in `view`."""

    def __init__(
        self, root: Path, cache: Cache, tmp: Path, request: Request, view: View, chosen: Filter | None = None
    ) -> None:
        """root: the folder of the DVC repository; tmp: DVC's folder for temporary files."""
        self.groups: dict[str, Group] = {}
        self.left_out = 0
        self.repeats = Repeats()
        self._git = Git(root)
        self._request = request
        self._shown = Shown(view)
        self._filter = chosen or Filter()
        self._cache = cache
        self._reader = Reader(self._git, cache, tmp / "fashionboard" / "committed")
        self._commits = Commits(self._git)
        self._kept = Kept(root)
        self._read: _Read | None = None
        self._workspace = Live(root)
        self._watch = Watch(self._git, tmp, self._reader)
        self._failed: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        # what the remote answered for objects that it could not give
        self._answers: dict[str, str] = {}

    def update(self, remote: Remote | None = None) -> None:
        """Look at everything and make the view show it; `remote` is asked for what is missing.

        Whatever fails is told by `unread`; the rest is shown, and the next call tries again.

        Raises:
            FashionboardError: at the first call: a revision is unknown, or a repository or the remote
                cannot be read.
        """
        first, self._failed = self._read is None, {}
        if not first and not (self._workspace.root / ".dvc").is_dir():
            # moved away: nothing is made in its place
            self._failed = {"the repository": "expected it where it was, found it gone"}
            return
        self._shown.renew()
        with contextlib.nullcontext() if first else self._trying("the repository"):
            self._look(remote)
        read = self._read or _Read()
        if self._request.running:
            with self._trying("running experiments"):
                self._watch.look(read.experiments)
        built = {group.name: group for group in self._build(read)}
        # what cannot be told now is what it was
        built |= {name: each for name, each in self.groups.items() if name in self._failed.keys() - built}
        named = {self._names[each.key] for each in read.targets if each.named}
        groups = {group.name: group for group in self._filter.keep(built.values(), named)}
        for name in [name for name in self.groups if name not in groups]:
            self._shown.remove(name)
        asked = {self._names[each.key] for each in read.targets if each.asked or self._request.all_commits}
        for group in groups.values():
            experiment = group.state not in ("workspace", "commit")
            with self._trying(group.name):
                self._shown.show(group, row=experiment or group.name in asked)
        self.groups = groups
        self.repeats.look(groups)

    @contextlib.contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        """Go on after whatever a repository or a disk leads to."""
        try:
            yield
        except Exception as error:
            self._failed[what] = errors.reason(error)

    @property
    def running(self) -> bool:
        """Whether an experiment is running."""
        return bool(self._watch.running)

    @property
    def has_outputs(self) -> bool:
        """Whether DVC knows of any output in the workspace, there or not."""
        return self._workspace.has_outputs

    @property
    def unread(self) -> list[str]:
        """What could not be read, a line each."""
        failed = [f"{what}: {reason}; trying again" for what, reason in self._failed.items()]
        watched = [(each.name, each.live) for each in self._watch.running.values()]
        live = [
            f"{name}: {problem}; skipped"
            for name, each in [(revisions.WORKSPACE, self._workspace), *watched]
            for problem in each.problems
        ]
        broken = [f"{ref}: expected a commit, found none; skipped" for ref in self._git.broken]
        read = self._read or _Read()
        recorded = [
            f"{target.name} ({short(target.commit)}): {problem}; skipped"
            for target in read.targets
            for problem in read.records[target.commit].unread
        ]
        return [*failed, *live, *self._left_out_links(), *broken, *recorded]

    def _left_out_links(self) -> Iterator[str]:
        lives = [(revisions.WORKSPACE, self._workspace)]
        for name, each in [*lives, *((watched.name, watched.live) for watched in self._watch.seen.values())]:
            if outside := [os.path.relpath(path, each.root) for path in each.outside]:
                more = ", ..." if len(outside) > _NAMED else ""
                yield (
                    f"{name}: {len(outside)} not shown, since they lead out of the repository: "
                    f"{', '.join(outside[:_NAMED])}{more}"
                )

    def _look(self, remote: Remote | None) -> None:
        """Read again what may have changed in git and in DVC's cache: all of it, or nothing."""
        refs, before = self._git.refs(), self._read or _Read()
        wanted = before.wanted
        # `dvc gc` takes objects away
        lost = self._reader.forget(self._cache.lost())
        if self._read is None or refs != before.refs:
            wanted = revisions.select(self._git, self._request, gone=self._read is not None)
            # what was seen running stays when it has ended, whatever it started from
            known = {target.key for target in wanted}
            ended = [key for key in self._watch.seen if key not in known]
            wanted += revisions.by_key(self._git, ended)
        elif not (remote or lost or self._failed_of(wanted) or any(map(self._cache.find, before.missing))):
            return
        commits = [target.commit for target in wanted]
        read = _Read(refs, wanted, wanted, self._reader.read(commits), self._commits.read(commits))
        self._read = self._without_copies(read) if self._request.all_commits else read
        if remote:
            self._answers = fetch.bring(remote, self._cache, self._read.missing, self._missing_anew)

    def _failed_of(self, targets: Iterable[Target]) -> bool:
        """Tell whether a commit that is wanted is to be read again."""
        return any(target.commit in self._reader.failed for target in targets)

    def _without_copies(self, read: _Read) -> _Read:
        """Leave out each commit that nobody asked for and whose outputs are none, or those of another.

        One that could not be read stays: what its outputs are is told by a later look.
        """
        kept: list[Target] = []
        seen: set[frozenset[str]] = set()
        for target in read.wanted:
            record, failed = read.records[target.commit], target.commit in self._reader.failed
            shown = failed or record.files or record.missing
            new = shown and (record.outputs not in seen or not record.outputs)
            if new or target.asked or target.kind == "experiment" or target.commit == read.refs.get("HEAD"):
                kept.append(target)
            if target.kind == "commit":
                seen.add(record.outputs)
        self.left_out = len(read.wanted) - len(kept)
        return replace(read, targets=kept, records={each.commit: read.records[each.commit] for each in kept})

    def _missing_anew(self) -> set[str]:
        read = self._read or _Read()
        self._read = replace(read, records=self._reader.read(target.commit for target in read.targets))
        return self._read.missing

    def _build(self, read: _Read) -> Iterator[Group]:
        """Yield what is to be shown."""
        if self._request.workspace:
            with self._trying(revisions.WORKSPACE):
                files = self._workspace.files()
                # without times: TensorBoard would have to forget the whole of it whenever a stage ends
                yield Group(revisions.WORKSPACE, "", "workspace", files, self._workspace.parameters)
        running = self._watch.running
        new = [Target(name, "", "experiment", baseline=baseline) for baseline, name in running]
        targets = {target.key: target for target in [*read.targets, *new]}
        self._name(targets)
        for key, target in targets.items():
            if key in running:
                running[key].name = self._names[key]
                with self._trying(self._names[key]):
                    yield self._running(running[key])
            else:
                yield self._recorded(target, read)
        for each in self._watch.without_result:
            with self._trying(each.ended or each.name):
                yield self._ended(each)

    def _running(self, watched: Watched) -> Group:
        files = self._files(watched)
        revision = short(watched.run.baseline)
        return Group(watched.name, revision, "running", files, watched.live.parameters)

    def _recorded(self, target: Target, read: _Read) -> Group:
        record, revision = read.records[target.commit], short(target.commit)
        has_row = record.metrics or target.kind == "experiment"
        return Group(
            self._names[target.key],
            revision,
            target.kind,
            record.files,
            record.parameters or (_stand_in(revision) if has_row else {}),
            record.metrics,
            tuple(record.missing),
            fetch.answers(self._answers, record.missing),
            read.said[target.commit],
            timed.of(record.files, self._kept),
            record.setting,
        )

    def _files(self, watched: Watched) -> dict[str, Path]:
        """Return the files in an experiment's copy, or those that the view keeps when that is gone."""
        return watched.live.files() if watched.there else self._shown.files(watched.name)

    def _name(self, targets: dict[tuple[str, str], Target]) -> None:
        if list(targets) != list(self._names):
            taken = [revisions.WORKSPACE] if self._request.workspace else []
            self._names = revisions.distinct(targets.values(), taken)

    def _ended(self, watched: Watched) -> Group:
        """Keep what was seen of an experiment that came to no result, under a name that says so."""
        state, revision = watched.life.state, short(watched.run.baseline)
        if not watched.ended:
            before = watched.name or revisions.safe(watched.run.name)
            others = {each.ended for each in self._watch.seen.values()}
            watched.ended = f"{before} ({state})"
            if watched.ended in others:
                watched.ended = f"{before}@{revision} ({state})"
            self._shown.rename(watched.name, watched.ended)
            watched.name = watched.ended
        files = self._files(watched)
        parameters = watched.live.parameters or _stand_in(revision)
        # without times: its stages may not have ended, and another run with their inputs may have
        return Group(watched.ended, revision, state, files, parameters)


def _stand_in(revision: str) -> dict[str, Value]:
    """Return a parameter for a row without any: TensorBoard shows no metrics where no row has one."""
    return {"revision": revision}


def changes(before: dict[str, Group], after: dict[str, Group]) -> Iterator[str]:
    """Yield a line for each group that came, went or changed its state."""
    for name, group in after.items():
        if name not in before:
            yield f"{name}: {group.state}"
        elif before[name].state != group.state:
            yield f"{name}: {before[name].state}, now {group.state}"
        elif before[name].missing and not group.missing:
            yield f"{name}: complete"
        elif set(group.missing) - set(before[name].missing):
            yield f"{name}: incomplete, {', '.join(group.missing)} is not in the cache any more"
    for name in before:
        # one that failed goes on under a name that says so
        if name not in after and not {f"{name} (failed)", f"{name} (killed)"} & set(after):
            yield f"{name}: gone"
