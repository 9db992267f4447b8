"""Drives the experiments of a sweep: gives them to workers, shows what grows, and takes results home."""

import contextlib
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import distributed

from fashionboard.base import errors
from fashionboard.base.errors import FashionboardError
from fashionboard.repository import ending
from fashionboard.sweep import service
from fashionboard.sweep.cluster import Cluster, Worker
from fashionboard.sweep.display import Display
from fashionboard.sweep.experiment import tells_of_full_disk
from fashionboard.sweep.home import Home
from fashionboard.sweep.job import Grown, HostError, Job, Outcome, SweepError, TakenBackError, counted
from fashionboard.sweep.mirror import Mirror
from fashionboard.sweep.parcel import Parcel

# seconds between two looks
_POLL = 0.2
# seconds between two questions to a worker what has grown
_GROWN = 0.5
# seconds without a worker before it is said
_PATIENCE = 20.0
# seconds until a worker that could not be prepared is asked again
_LATER = 5.0
# times that an experiment is tried whose worker ends, or whose result is lost on its way home
_MOST = 4
# seconds for the outcome of an experiment that has ended
_ANSWER = 60.0


@dataclass
class Report:
    """What became of a sweep: names of experiments, and why the failed ones failed."""

    done: list[str] = field(default_factory=list)
    another: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Given:
    """An experiment and the address of the worker that runs it."""

    job: Job
    on: str


@dataclass
class Driver:
    """One sweep. fits: says why a worker cannot take part, "" if it can."""

    cluster: Cluster
    parcel: Parcel
    home: Home
    mirror: Mirror
    display: Display
    fits: Callable[[Worker], str]
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        # one writes to this repository, the others wait for workers
        self._writer = ThreadPoolExecutor(1)
        self._askers = ThreadPoolExecutor(16)
        self._waiting: deque[Job] = deque()
        self._running: dict[Any, _Given] = {}
        self._returning: dict[Future[tuple[Outcome, str]], Job] = {}
        self._asked: dict[str, Future[Any]] = {}
        self._asked_at: dict[str, float] = {}
        self._opening: dict[str, Future[None]] = {}
        self._again_at: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._unseen: set[str] = set()
        self._where: dict[str, tuple[str, float]] = {}
        self._tries: Counter[str] = Counter()
        # hosts that lack what an experiment needs, by its name
        self._unfit: defaultdict[str, set[str]] = defaultdict(set)
        self._alone = time.monotonic()

    def run(self, jobs: Iterable[Job]) -> Report:
        """Run experiments until each has ended."""
        try:
            self._waiting.extend(jobs)
            while self._waiting or self._running or self._returning:
                ending.check()
                self._look_at_workers()
                self._wait_for_workers()
                self._give_work()
                self._look_at_experiments()
                self._take_home()
                self.display.running(self._where)
                time.sleep(_POLL)
            return self.report
        finally:
            self.stop()

    def stop(self) -> None:
        """Take back what runs; who ends the workers makes sure of it."""
        for future, given in self._running.items():
            future.cancel()
            self._end_mirror(given.job, "killed")
        for pool in (self._askers, self._writer):
            pool.shutdown(wait=False, cancel_futures=True)

    def _give_work(self) -> None:
        """Give an experiment to each worker that has none, and take it back from those that are gone."""
        for future in [each for each, given in self._running.items() if given.on not in self.cluster.workers]:
            job = self._running.pop(future).job
            future.cancel()
            self._again(job, "each worker that ran it ended; it may need more memory than there is")
        busy = {given.on for given in self._running.values()}
        for address, worker in self.cluster.workers.items():
            if worker.ready and address not in busy and (following := self._next(worker)):
                self._waiting.remove(following)
                future = self.cluster.submit(following, worker, self._tries[following.name])
                self._running[future] = _Given(following, address)

    def _next(self, worker: Worker) -> Job | None:
        """Return the next experiment for a worker: not one that its host has failed and another may run.

        One that began on its host comes first, and one that began on another last: it may go on there.
        """
        ready = [each for each in self.cluster.workers.values() if each.ready]
        hosts = {each.host.key for each in ready}
        begun = {name for each in ready for name in each.host.begun}
        for job in sorted(
            self._waiting, key=lambda job: (job.name not in worker.host.begun, job.name in begun)
        ):
            unfit = self._unfit[job.name]
            if worker.host.key not in unfit or hosts <= unfit:
                return job
        return None

    def _again(self, job: Job, problem: str) -> None:
        """Run an experiment again that came to no end, unless that was tried often enough."""
        self._tries[job.name] += 1
        if self._tries[job.name] < _MOST:
            self._waiting.append(job)
        else:
            self._failed(job, problem)

    def _look_at_workers(self) -> None:
        for line in self.cluster.fleet.look() if self.cluster.fleet else []:
            self.display.note(line)
        self.cluster.look()
        now = time.monotonic()
        for address, worker in self.cluster.workers.items():
            waits = worker.ready or worker.refused or now < self._again_at.get(address, 0)
            if address not in self._opening and not waits:
                self._opening[address] = self._askers.submit(self.admit, worker)
        for address in [address for address, future in self._opening.items() if future.done()]:
            error = self._opening.pop(address).exception()
            # one that is gone is told of as such
            if error and address in self.cluster.workers:
                self._again_at[address] = now + _LATER
                self._note(address, f"{errors.reason(error)}; it runs nothing")
            elif not error:
                self._told.pop(address, None)

    def _note(self, address: str, text: str) -> None:
        """Tell what hinders a worker, once as long as it is the same."""
        if self._told.get(address) != text:
            self._told[address] = text
            self.display.note(text)

    def _wait_for_workers(self) -> None:
        """Say so once, where nobody is there to run what is left.

        Raises:
            SweepError: nobody who is there, or can come again, can.
        """
        known = self.cluster.workers.values()
        all_there = not self.cluster.fleet or len(known) == self.cluster.fleet.size
        idle = not (self._running or self._returning)
        if known and all_there and idle and all(worker.refused for worker in known):
            raise SweepError(next(worker.refused for worker in known))
        if any(worker.ready for worker in known):
            self._alone = time.monotonic()
        elif time.monotonic() - self._alone > _PATIENCE:
            self._alone = float("inf")
            self.display.note(f"no worker is ready: {counted(len(self._waiting))} to run")

    def admit(self, worker: Worker) -> None:
        """Give a worker what it needs, and let it run experiments.

        Raises:
            SweepError: it cannot take part, or is gone.
        """
        host = self.cluster.greet(worker)
        worker.refused = self.fits(worker)
        if worker.refused:
            raise SweepError(worker.refused)
        self.parcel.send(self.cluster, worker, host)
        self.cluster.open(worker)

    def _look_at_experiments(self) -> None:
        """Ask each worker what its experiments have written, and show it."""
        jobs = {given.job.name: given.job for given in self._running.values()}
        now = time.monotonic()
        for address, worker in self.cluster.workers.items():
            if worker.ready and address not in self._asked and now - self._asked_at.get(address, 0) >= _GROWN:
                ask = partial(self.cluster.ask, worker, service.state, self.mirror.seen(address))
                self._asked[address], self._asked_at[address] = self._askers.submit(ask), now
        for address in [address for address, future in self._asked.items() if future.done()]:
            future, known = self._asked.pop(address), self.cluster.workers.get(address)
            # one that is gone has no answer; what it ran is run elsewhere
            if known and not future.exception():
                self._show(known, future.result(), jobs)
        self._where = {name: each for name, each in self._where.items() if name in jobs}

    def _show(
        self, worker: Worker, answer: Mapping[str, tuple[float, dict[str, Grown]]], jobs: Mapping[str, Job]
    ) -> None:
        for name in [
            name for name, (on, _) in self._where.items() if on == worker.name and name not in answer
        ]:
            del self._where[name]
        for name, (seconds, grown) in answer.items():
            if name in jobs:
                self._where[name] = worker.name, seconds
                self._mirror(jobs[name], worker, grown)

    def _mirror(self, job: Job, worker: Worker, grown: dict[str, Grown]) -> None:
        """Show what an experiment has written; if that fails it is told once, and the experiment goes on."""
        if job.name not in self._unseen:
            try:
                self.mirror.show(job, worker.address, grown)
            except (FashionboardError, OSError) as error:
                self._unseen.add(job.name)
                self.display.note(f"{job.name}: not on the board while it runs: {errors.reason(error)}")

    def _take_home(self) -> None:
        for future in [each for each in self._running if each.done()]:
            given = self._running.pop(future)
            worker = self.cluster.workers.get(given.on)
            if future.status == "error" and worker:
                # its disk may be full, say: it is asked again before it runs more
                worker.ready = False
                self._again_at[given.on] = time.monotonic() + _LATER
                self._unfit[given.job.name].add(worker.host.key)
            self._returning[self._writer.submit(self._bring, given.job, future)] = given.job
        for bringing in [each for each in self._returning if each.done()]:
            job, error = self._returning.pop(bringing), bringing.exception()
            if error is None:
                outcome, result = bringing.result()
                self._done(job, outcome, result)
            elif isinstance(error, _LostError):
                self.display.note(errors.reason(error))
                self._again(job, errors.reason(error))
            elif isinstance(error, FashionboardError | OSError):
                found = errors.reason(error)
                if tells_of_full_disk(found):
                    raise SweepError(
                        f"expected room on this disk, found: {found}; make room, and the same command goes on"
                    )
                self._failed(job, found)
            else:
                raise error

    def _bring(self, job: Job, future: "distributed.Future[Outcome]") -> tuple[Outcome, str]:
        """Wait for an outcome, and bring home what belongs to it.

        Raises:
            _LostError: its worker is gone.
            FashionboardError, OSError: it cannot be brought home.
        """
        try:
            outcome = future.result(timeout=_ANSWER)
        except (TimeoutError, TakenBackError, distributed.KilledWorker, distributed.CancelledError):
            raise _LostError(f"{job.name}: its worker was gone before its outcome came home") from None
        except HostError as error:
            raise _LostError(str(error)) from None
        finally:
            future.release()
        if outcome.problem:
            return outcome, ""
        worker = self.cluster.workers.get(outcome.worker)
        if worker is None:
            raise _LostError(f"{job.name}: its worker was gone before its outputs came home")
        return outcome, self.home.bring(job, outcome, partial(self._give, job, worker))

    def _give(self, job: Job, worker: Worker, md5: str, offset: int) -> bytes:
        try:
            return bytes(self.cluster.ask(worker, service.give, worker.host.store, md5, offset))
        except (SweepError, FileNotFoundError) as error:
            raise _LostError(f"{job.name}: {errors.reason(error)}") from None

    def _done(self, job: Job, outcome: Outcome, result: str) -> None:
        if outcome.problem:
            self._failed(job, outcome.problem)
            return
        self._end_mirror(job, "finished")
        if result == "another":
            self.report.another.append(job.name)
            self.display.failed(
                job.name, "there is such an experiment by now, with other results; that one stays"
            )
        else:
            self.report.done.append(job.name)
            self.display.done(job.name, f"done in {outcome.seconds:.0f} s")

    def _end_mirror(self, job: Job, state: str) -> None:
        # what the board shows has no say in what becomes of an experiment
        with contextlib.suppress(OSError):
            self.mirror.end(job, state)

    def _failed(self, job: Job, problem: str) -> None:
        self._end_mirror(job, "failed")
        self.report.failed[job.name] = problem
        self.display.failed(job.name, problem)


class _LostError(FashionboardError):
    """A result is gone with its worker."""
