"""The scheduler of a sweep, in this process or one that runs somewhere, and its workers."""

import contextlib
import dataclasses
import json
import logging
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import distributed
from distributed import Client, Scheduler, SpecCluster

from fashionboard.base.errors import reason
from fashionboard.sweep import experiment, launch, service
from fashionboard.sweep.cancel import TRY, Cancel
from fashionboard.sweep.job import Host, Job, Outcome, SweepError
from fashionboard.sweep.launch import Fleet
from fashionboard.sweep.store import FULL
from fashionboard.sweep.tls import Pair

_LOOPBACK = re.compile(r"tcp://(127(\.[0-9]+){3}|localhost|\[::1\])(:|$)")


@dataclass
class Worker:
    """A worker that the scheduler knows.

    host: what it has told of itself. ready: whether it was given what it needs. refused: why it cannot take
    part.
    """

    address: str
    name: str
    host: Host = field(default_factory=lambda: Host("", "", "", avx2=False))
    ready: bool = False
    refused: str = ""


class Cluster:
    """Workers that run experiments, by Dask's scheduler; fleet: if this sweep has started them."""

    def __init__(self, client: Client, fleet: Fleet | None, store: str) -> None:
        """store: the folder of the store on each host; `~/` is the home of the user there."""
        self.client = client
        self.fleet = fleet
        self.workers: dict[str, Worker] = {}
        self._store = store
        self._name = f"fashionboard-{uuid.uuid4().hex}"

    def look(self) -> None:
        """See which workers have come and which have gone.

        Raises:
            SweepError: the scheduler is gone.
        """
        try:
            # not scheduler_info: what it returns is at times emptied by the client's own heartbeat
            asked: Any = self.client.scheduler
            told = self.client.sync(asked.identity, n_workers=-1)["workers"]
        # a client that has closed has no scheduler
        except (OSError, RuntimeError, KeyError, AttributeError) as error:
            raise SweepError(
                f"expected the scheduler, found it gone: {reason(error)}; the same command goes on"
            ) from None
        for address in [each for each in self.workers if each not in told]:
            del self.workers[address]
        new = [
            Worker(address, str(about["name"]))
            for address, about in told.items()
            if address not in self.workers
        ]
        self.workers |= {each.address: each for each in new}

    def ask(self, worker: Worker, function: Callable[..., Any], *arguments: object) -> Any:
        """Call a function in a worker's process, also while an experiment runs there.

        Raises:
            SweepError: it fails there, or the worker is gone.
        """
        try:
            return self.client.run(function, *arguments, workers=[worker.address])[worker.address]
        except ModuleNotFoundError as error:
            raise SweepError(
                f"{worker.name}: expected fashionboard there, found no module {error.name}; install it"
            ) from None
        except OSError as error:
            full = error.errno in FULL
            expected, found = "room on the disk" if full else "an answer", reason(error)
            raise SweepError(f"{worker.name}: expected {expected}, found: {found}") from None
        # whatever happens there: another version of this project may run there, say
        except Exception as error:
            told = f"{type(error).__name__}: {reason(error)}"
            raise SweepError(f"{worker.name}: expected an answer, found {told}") from None

    def greet(self, worker: Worker) -> Host:
        """Ask a worker what it is."""
        worker.host = self.ask(worker, service.host, self._store)
        return worker.host

    def open(self, worker: Worker) -> None:
        """Let a worker run experiments from now on."""
        self.client.run(_open, self._name, workers=[worker.address])
        worker.ready = True
        if self.fleet:
            self.fleet.steady(worker.name)

    def leave(self) -> None:
        """Leave the workers of a cluster as they were."""
        if ready := [each.address for each in self.workers.values() if each.ready]:
            with contextlib.suppress(OSError, KeyError):
                self.client.run(_close, self._name, workers=ready, on_error="ignore")

    def submit(self, job: Job, worker: Worker, number: int = 0) -> "distributed.Future[Outcome]":
        """Have a worker run an experiment; number: of its tries before, which Dask may remember."""
        return self.client.submit(
            _run,
            dataclasses.replace(job, sweep=self._name),
            self._store,
            key=f"{job.name}{TRY}{number}",
            workers=[worker.address],
            pure=False,
            retries=0,
        )


def _run(job: Job, store: str) -> Outcome:
    """Run an experiment in a worker."""
    worker = distributed.get_worker()
    added = tuple(dask.config.get("distributed.nanny.pre-spawn-environ")) if worker.nanny else ()
    return experiment.run(job, service.place(store), worker.address, added)


async def _open(sweep: str, dask_worker: Any) -> None:
    # on this worker alone, and for this sweep: the cluster may be there for others, too
    await dask_worker.plugin_add(plugin=Cancel(sweep), name=sweep)


async def _close(sweep: str, dask_worker: Any) -> None:
    await dask_worker.plugin_remove(name=sweep)


@contextlib.contextmanager
def opened(on: str, pythons: Mapping[str, str], store: str, cores: int, most: int) -> Iterator[Cluster]:
    """Yield the workers that `on` names; those that this starts end with the block.

    pythons: the interpreter on each host that is reached by ssh. cores: of this machine. most: workers that
    are of use on this machine.

    Raises:
        SweepError: `on` names none, or none can be reached.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.comm.timeouts.connect": "10s",
        "distributed.comm.timeouts.tcp": "20s",
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    # Dask leaves files in a folder of its own
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set({**settings, "temporary-directory": folder}),
    ):
        if is_running(on):
            with _client(on) as client:
                one = Cluster(client, None, store)
                try:
                    yield one
                finally:
                    one.leave()
            return
        where = [each for each in launch.places(on, cores) if each.host or each.number < most]
        pair = Pair.new()
        options = {
            "host": "127.0.0.1",
            "protocol": "tls",
            "security": pair.security(),
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
        }
        with SpecCluster(
            scheduler={"cls": Scheduler, "options": options},
            workers={},
            security=pair.security(),
            silence_logs=False,
        ) as started:
            port = int(started.scheduler_address.rpartition(":")[2])
            with Client(started, security=pair.security()) as client:
                fleet = Fleet(where, port, pair, pythons)
                try:
                    yield Cluster(client, fleet, store)
                finally:
                    fleet.end()


def is_running(on: str) -> bool:
    """Tell whether `on` names a cluster that runs: an address or a scheduler file."""
    return "://" in on or on.endswith(".json")


def _client(on: str) -> Client:
    options: dict[str, str] = {"address": on} if "://" in on else {"scheduler_file": on}
    address = on if "://" in on else _address(Path(on))
    if not address.startswith("tls://") and not _LOOPBACK.match(address):
        raise SweepError(
            f"--on: expected tls://, found {address}: whoever reaches such a scheduler runs programs as you; "
            "give it certificates, see docs/sweeps.md"
        )
    if address.startswith("tls://") and not dask.config.get("distributed.comm.tls.client.cert", None):
        raise SweepError(
            "--on: expected certificates in Dask's configuration, found none; see docs/sweeps.md"
        )
    try:
        return Client(**options, timeout="15s")
    except (OSError, ValueError, TypeError) as error:
        raise SweepError(f"--on: expected a scheduler at {on}, found: {reason(error)}") from None


def _address(file: Path) -> str:
    """Return the address in a scheduler file."""
    try:
        return str(json.loads(file.read_bytes())["address"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        told = f"found: {reason(error)}; `dask scheduler --scheduler-file {file}`"
        raise SweepError(f"--on: expected a scheduler file, {told}") from None
