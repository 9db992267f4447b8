"""The board: what is shown now, kept in step with git, DVC and the disk."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fashionboard.base import errors
from fashionboard.board.group import Group, State, Value
from fashionboard.board.live import Live, Processes
from fashionboard.board.results import Record, Recorder
from fashionboard.board.rows import Rows
from fashionboard.board.view import View
from fashionboard.board.where import Filter
from fashionboard.repository import experiments, fetch, revisions
from fashionboard.repository.cache import Cache
from fashionboard.repository.commits import Commit, Commits
from fashionboard.repository.experiments import Run, Runs
from fashionboard.repository.fetch import Remote
from fashionboard.repository.git import Git
from fashionboard.repository.revisions import Request, Target

# as often must a copy that was worked in be found idle or gone before its experiment counts as ended
_LOOKS = 3
# seconds for which a new run may have no process yet
_START = 60
_SHORT = 7
# files in a line that tells of several
_NAMED = 3


@dataclass
class _Watched:
    """An experiment that is, or was, running while the board was open.

    before: the commit of that name when it began, if there was one. name: of its group; ended: the one
    that says how it ended. looks: how often no process was found in its copy; worked: whether one
    ever was.
    """

    run: Run
    live: Live
    before: str
    name: str = ""
    ended: str = ""
    state: State = "running"
    looks: int = 0
    worked: bool = False


class Board:
    """The groups of one repository, as `request` asks for them, in `view`."""

    def __init__(
        self, root: Path, cache: Cache, tmp: Path, request: Request, view: View, chosen: Filter | None = None
    ) -> None:
        """root: the folder of the DVC repository; tmp: DVC's folder for temporary files."""
        self.groups: dict[str, Group] = {}
        self.left_out = 0
        self._git = Git(root)
        self._request = request
        self._view = view
        self._filter = chosen or Filter()
        self._rows = Rows(view.folder)
        self._cache = cache
        self._recorder = Recorder(self._git, cache, tmp / "fashionboard" / "committed")
        self._commits = Commits(self._git)
        self._said: dict[str, Commit] = {}
        self._runs = Runs(tmp)
        self._workspace = Live(root)
        self._processes = Processes()
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._refs: dict[str, str] | None = None
        self._failed: dict[str, str] = {}
        self._targets: list[Target] = []
        self._records: dict[str, Record] = {}
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
        first, self._failed = self._refs is None, {}
        if not first and not (self._workspace.root / ".dvc").is_dir():
            # moved away: nothing is made in its place
            self._failed = {"the repository": "expected it where it was, found it gone"}
            return
        if self._view.renew():
            self._rows = Rows(self._view.folder)
        with contextlib.nullcontext() if first else self._trying("the repository"):
            self._read(remote)
        with self._trying("running experiments"):
            self._watch()
        built = {group.name: group for group in self._build()}
        # what cannot be told now is what it was
        built |= {name: each for name, each in self.groups.items() if name in self._failed.keys() - built}
        named = {self._names[each.key] for each in self._targets if each.named}
        groups = {group.name: group for group in self._filter.keep(built.values(), named)}
        for name in [name for name in self.groups if name not in groups]:
            self._remove(name)
        asked = {self._names[each.key] for each in self._targets if each.asked or self._request.all_commits}
        for group in groups.values():
            experiment = group.state not in ("workspace", "commit")
            with self._trying(group.name):
                self._show(group, row=experiment or group.name in asked)
        self.groups = groups

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
        return any(each.state == "running" for each in self._watched.values())

    @property
    def has_outputs(self) -> bool:
        """Whether DVC knows of any output in the workspace, there or not."""
        return self._workspace.has_outputs

    @property
    def unread(self) -> list[str]:
        """What could not be read, a line each."""
        failed = [f"{what}: {reason}; trying again" for what, reason in self._failed.items()]
        watched = [(each.name, each.live) for each in self._watched.values() if each.state == "running"]
        live = [
            f"{name}: {problem}; skipped"
            for name, each in [(revisions.WORKSPACE, self._workspace), *watched]
            for problem in each.problems
        ]
        broken = [f"{ref}: expected a commit, found none; skipped" for ref in self._git.broken]
        recorded = [
            f"{target.name} ({target.commit[:_SHORT]}): {problem}; skipped"
            for target in self._targets
            for problem in self._records[target.commit].unread
        ]
        return [*failed, *live, *self._left_out_links(), *broken, *recorded]

    def _left_out_links(self) -> Iterator[str]:
        lives = [(revisions.WORKSPACE, self._workspace)]
        for name, each in [*lives, *((watched.name, watched.live) for watched in self._watched.values())]:
            if outside := [os.path.relpath(path, each.root) for path in each.outside]:
                more = ", ..." if len(outside) > _NAMED else ""
                yield (
                    f"{name}: {len(outside)} not shown, since they lead out of the repository: "
                    f"{', '.join(outside[:_NAMED])}{more}"
                )

    def _read(self, remote: Remote | None) -> None:
        refs = self._git.refs()
        targets = self._targets
        # `dvc gc` takes objects away
        lost = self._recorder.forget(self._cache.lost())
        if refs != self._refs:
            targets = revisions.select(self._git, self._request, gone=self._refs is not None)
            # what was seen running stays when it has ended, whatever it started from
            known = {target.key for target in targets}
            ended = [key for key in self._watched if key not in known]
            targets += revisions.by_key(self._git, ended)
        elif not (remote or lost or self._recorder.failed or any(map(self._cache.find, self._missing()))):
            return
        commits = [target.commit for target in targets]
        records, said = self._recorder.read(commits), self._commits.read(commits)
        # together, or not at all: what comes next may fail
        self._refs, self._targets, self._records, self._said = refs, targets, records, said
        if self._request.all_commits:
            self._leave_out()
        if remote:
            self._answers = fetch.bring(remote, self._cache, self._missing_anew)

    def _leave_out(self) -> None:
        """Show no commit that nobody asked for and whose outputs are none, or those of another."""
        kept: list[Target] = []
        seen: set[frozenset[str]] = set()
        for target in self._targets:
            record = self._records[target.commit]
            new = record.outputs not in seen and (record.files or record.missing)
            if (
                new
                or target.asked
                or target.kind == "experiment"
                or target.commit == (self._refs or {}).get("HEAD")
            ):
                kept.append(target)
            if target.kind == "commit":
                seen.add(record.outputs)
        self.left_out = len(self._targets) - len(kept)
        self._targets = kept

    def _missing_anew(self) -> set[str]:
        self._records = self._recorder.read(target.commit for target in self._targets)
        return self._missing()

    def _missing(self) -> set[str]:
        records = self._records.values()
        return {digest for record in records for digests in record.missing.values() for digest in digests}

    def _watch(self) -> None:
        """Follow the running experiments, from their first sign to their end."""
        if not self._request.running:
            return
        commits = {each: ref for ref, each in self._experiments()}
        runs = {(run.baseline, run.name): run for run in self._runs.read()}
        for key, run in runs.items():
            watched = self._watched.get(key)
            if (
                run.state == "running"
                and run.root.is_dir()
                and (watched is None or watched.run.root != run.root)
            ):
                start = self._git.commit(run.start) or self._git.commit(run.baseline)
                before = self._recorder.read([start])[start].files if start else {}
                live = Live(run.root / self._git.prefix, before)
                self._watched[key] = _Watched(run, live, commits.get(key, ""))
        for key, watched in self._watched.items():
            if watched.state == "running":
                watched.state = self._state(watched, runs.get(key), commits.get(key, ""))

    def _experiments(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for ref, commit in (self._refs or {}).items():
            if told := experiments.experiment(ref):
                yield commit, told

    def _state(self, watched: _Watched, run: Run | None, commit: str) -> State:
        root = watched.run.root
        there = root.is_dir()
        under_way = there and run is not None and run.state == "running"
        if commit and commit != watched.before and not under_way:
            return "experiment"
        if run is not None and run.state in ("failed", "killed"):
            return "failed" if run.state == "failed" else "killed"
        if not there and commit and run is not None and run.state == "finished":
            return "experiment"  # the same commit as before
        if there and self._processes.work_in(root):
            watched.looks, watched.worked = 0, True
        elif there and not watched.worked and time.time() - root.stat().st_mtime > _START:
            return "killed"  # before this board was opened
        elif not there or watched.worked:
            watched.looks += 1
        if watched.looks < _LOOKS:
            return "running"
        return "killed" if there else "failed"

    def _build(self) -> Iterator[Group]:
        """Yield what is to be shown."""
        if self._request.workspace:
            with self._trying(revisions.WORKSPACE):
                files = self._workspace.files()
                yield Group(revisions.WORKSPACE, "", "workspace", files, self._workspace.parameters)
        watched = {key: each for key, each in self._watched.items() if each.state != "experiment"}
        running = {key: each for key, each in watched.items() if each.state == "running"}
        new = [Target(name, "", "experiment", baseline=baseline) for baseline, name in running]
        targets = {target.key: target for target in [*self._targets, *new]}
        self._name(targets)
        for key, target in targets.items():
            name = self._names[key]
            if key in running:
                watched[key].name = name
                with self._trying(name):
                    files = self._files(watched[key])
                    parameters = watched[key].live.parameters
                    yield Group(name, target.baseline[:_SHORT], "running", files, parameters)
            else:
                record = self._records[target.commit]
                revision = target.commit[:_SHORT]
                has_row = record.metrics or target.kind == "experiment"
                yield Group(
                    name,
                    revision,
                    target.kind,
                    record.files,
                    record.parameters or (_stand_in(revision) if has_row else {}),
                    record.metrics,
                    tuple(record.missing),
                    fetch.answers(self._answers, record.missing),
                    self._said[target.commit],
                )
        for each in watched.values():
            if each.state != "running":
                with self._trying(each.ended or each.name):
                    yield self._ended(each)

    def _files(self, watched: _Watched) -> dict[str, Path]:
        """Return the files in an experiment's copy, or those that the view keeps when that is gone."""
        return watched.live.files() if watched.run.root.is_dir() else self._view.files(watched.name)

    def _name(self, targets: dict[tuple[str, str], Target]) -> None:
        if list(targets) != list(self._names):
            taken = [revisions.WORKSPACE] if self._request.workspace else []
            self._names = revisions.distinct(targets.values(), taken)

    def _ended(self, watched: _Watched) -> Group:
        """Keep what was seen of an experiment that came to no result, under a name that says so."""
        if not watched.ended:
            before = watched.name or revisions.safe(watched.run.name)
            others = {each.ended for each in self._watched.values()}
            watched.ended = f"{before} ({watched.state})"
            if watched.ended in others:
                watched.ended = f"{before}@{watched.run.baseline[:_SHORT]} ({watched.state})"
            self._view.rename(watched.name, watched.ended)
            self._rows.rename(watched.name, watched.ended)
            watched.name = watched.ended
        name = watched.ended
        files = self._files(watched)
        revision = watched.run.baseline[:_SHORT]
        return Group(name, revision, watched.state, files, watched.live.parameters or _stand_in(revision))

    def _show(self, group: Group, row: bool) -> None:
        if not self._rows.holds(group, row):
            # TensorBoard changes nothing of a row, and forgets it only when it finds its run gone
            self._remove(group.name)
        growing = group.state in ("running", "failed", "killed")
        self._view.show(group.name, group.files, growing=growing, live=group.state == "workspace")
        if not self._view.leaves(group.name):
            self._rows.show(group, row)

    def _remove(self, name: str) -> None:
        self._rows.drop(name)
        self._view.drop(name)


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
