"""One call of `fashionboard sweep`, from its first line to its last."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashionboard.base import processor
from fashionboard.base.errors import visible
from fashionboard.repository import ending, experiments, fetch, no_links, programs, sweeps
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.names import short
from fashionboard.sweep import cluster, committed, launch, parcel, plan, service, setup
from fashionboard.sweep.cluster import Cluster, Worker
from fashionboard.sweep.display import Display
from fashionboard.sweep.driver import Driver, Report
from fashionboard.sweep.home import Home
from fashionboard.sweep.job import Host, Job, SweepError, counted
from fashionboard.sweep.mirror import Mirror
from fashionboard.sweep.plan import Setting

# seconds for the first worker to come
_FIRST = 120.0
_POLL = 0.1
# of a host, below the home of the user there
_STORE = "~/.cache/fashionboard/sweep"


@dataclass(frozen=True)
class Options:
    """What the command line says; the fields bear the names of its options."""

    repo: Path
    set_param: tuple[str, ...]
    on: str
    python: str
    store: str
    setup: bool
    pull: bool
    dry_run: bool


def run(options: Options) -> bool:
    """Run the experiments that are not there yet, and return whether all are now.

    Raises:
        SweepError: the sweep cannot start.
        BoardError: there is no repository, or no commit.
    """
    with fetch.opened(options.repo) as repo:
        root, tmp, cache = Path(repo.root_dir), Path(repo.tmp_dir), Path(repo.cache.local_cache_dir)
    git = Git(root)
    baseline = git.refs().get("HEAD")
    if baseline is None:
        raise SweepError(
            "expected a commit, from which experiments start, found none; git add . && git commit"
        )
    committed.check(root)
    settings = plan.settings(root, baseline, options.set_param)
    refs = git.refs()
    there = [each for each in settings if experiments.ref(baseline, each.name) in refs]
    todo = [each for each in settings if each not in there]
    told = f"{counted(len(settings))} from {short(baseline)}"
    print(f"{told}: {len(there)} there already, {len(todo)} to run", flush=True)
    for each in todo if options.dry_run else ():
        print(visible(f"{each.name}: {' '.join(each.overrides)}"))
    if options.dry_run or not todo:
        return True
    author = _author(root)
    _follow_no_link(git, tmp)
    jobs = [
        Job(each.name, baseline, each.overrides, git.prefix.rstrip("/"), author, options.pull)
        for each in todo
    ]
    needed = parcel.of(root, git, Cache(cache), baseline)
    if options.pull:
        needed.objects.clear()
    elif needed.missing:
        told = ", ".join(needed.missing)
        _say(f"not in DVC's cache, so not sent: {told}; what stages make of it hosts make themselves")
    mirror = Mirror(git.top, sweeps.place(tmp))
    mirror.clear()
    fits = _Fits(todo)
    with _workers(options, git, tmp, len(jobs)) as workers:
        _meet(workers, fits)
        display = Display(len(jobs))
        report = _drive(Driver(workers, needed, Home(root, git, cache), mirror, display, fits), jobs)
    _tell(report, len(there))
    return not (report.failed or report.another)


def _drive(driver: Driver, jobs: Sequence[Job]) -> Report:
    """Run experiments until each has ended, and say so where it is stopped."""
    try:
        return driver.run(jobs)
    except SystemExit:
        driver.display.note("stopped; the same command goes on")
        raise
    finally:
        driver.display.close()


def _tell(report: Report, before: int) -> None:
    ended = [f"{len(report.done)} done"]
    ended += [f"{before} there before"] if before else []
    ended += [f"{len(report.failed)} failed"] if report.failed else []
    ended += [f"{len(report.another)} with other results than before"] if report.another else []
    print(", ".join(ended) + ("; see them: fashionboard board, dvc exp show" if report.done else ""))


def _author(root: Path) -> tuple[str, str]:
    """Return whose experiments these are."""
    told = programs.run(("git", "var", "GIT_AUTHOR_IDENT"), root, "expected git to know who you are")
    name, _, rest = told.rpartition(" <")
    return name, rest.partition(">")[0]


def _follow_no_link(git: Git, tmp: Path) -> None:
    for path in (sweeps.place(tmp), tmp / "fashionboard" / "sweep" / "store"):
        no_links.check(git.top, path)


def _workers(options: Options, git: Git, tmp: Path, most: int) -> contextlib.AbstractContextManager[Cluster]:
    """Return the workers; each repository has a store of its own on each host."""
    roots = programs.run(("git", "rev-list", "--max-parents=0", "HEAD"), git.top, "expected commits").split()
    cores = os.cpu_count() or 1
    store = f"{options.store or _STORE}/{roots[-1][:12]}"
    if not options.store and options.on.startswith("local"):
        store = str(tmp / "fashionboard" / "sweep" / "store")
    hosts = () if cluster.is_running(options.on) else launch.places(options.on, cores)
    pythons = {place.host: options.python for place in hosts if place.host}
    if options.setup:
        baseline = git.refs()["HEAD"]
        for host in pythons:
            pythons[host] = setup.make(host, git.top, baseline, options.python, store, _say)
    return cluster.opened(options.on, pythons, store, cores, most)


def _say(line: str) -> None:
    print(visible(line), file=sys.stderr, flush=True)


def _meet(workers: Cluster, fits: "_Fits") -> None:
    """See that the workers that are there at the start can take part.

    Raises:
        SweepError: one cannot, or none comes.
    """
    for worker in _first(workers):
        workers.greet(worker)
        if refusal := fits(worker):
            raise SweepError(refusal)
        if problem := workers.ask(worker, service.prepare, worker.host.store):
            raise SweepError(
                f"{worker.name}: expected a folder for its store, found: {problem}; name another by --store"
            )


def _first(workers: Cluster) -> list[Worker]:
    """Wait until each worker that was started is there, or, of a running cluster, one.

    Raises:
        SweepError: one cannot be started, or none comes.
    """
    end = time.monotonic() + _FIRST
    while time.monotonic() < end:
        ending.check()
        workers.look()
        known = list(workers.workers.values())
        if workers.fleet:
            workers.fleet.look()
            if dead := workers.fleet.dead():
                advice = "; name its environment's Python by --python, or add --setup"
                told = "; ".join(dead) + (advice if "No module named" in "".join(dead) else "")
                raise SweepError(f"expected a worker on each host, found: {told}")
            if len(known) == workers.fleet.size:
                return known
        elif known:
            return known
        time.sleep(_POLL)
    raise SweepError(
        f"expected workers within {_FIRST:.0f} s, found {len(workers.workers)}; see the cluster's own log"
    )


class _Fits:
    """Tells whether a worker can give the results that this machine would give."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._own = service.host("~")
        # whose results depend on the kind of processor, see `processor`
        self._bound = sorted(set(_bound(settings)))

    def __call__(self, worker: Worker) -> str:
        """Return why not, "" if it can."""
        host = worker.host
        wrong = [f"{name} {wanted}, found {found}" for name, wanted, found in self._others(host)]
        if wrong:
            told = "; ".join(wrong)
            return f"{worker.name}: expected the versions of this machine: {told}; `make setup` there"
        if self._bound and host.kind != self._own.kind:
            return (
                f"{worker.name}: expected the processor of this machine, since {self._bound[0]}: "
                f"{self._own.kind}, found {host.kind}; use portable arithmetic, or hosts of one kind"
            )
        if host.avx2 != self._own.avx2:
            here = "with" if self._own.avx2 else "without"
            return f"{worker.name}: expected a processor {here} AVX2, as here, found {host.kind}"
        return ""

    def _others(self, host: Host) -> Iterator[tuple[str, str, str]]:
        for name, wanted in self._own.versions.items():
            found = host.versions.get(name, "none")
            if found != wanted:
                yield name, wanted, found


def _bound(settings: Sequence[Setting]) -> Iterator[str]:
    for setting in settings:
        for values in setting.parameters.values():
            for name, value in values.items():
                if processor.decides(name, value):
                    yield f"{name} is {value}"
