"""The program of a worker that a sweep has started, here or on another host.

    python -m fashionboard.sweep.worker

One line of JSON on stdin says what it needs; it ends, with all that it runs, when stdin is closed. So a key
is never on a command line, nor in a file that stays.
"""

import asyncio
import contextlib
import json
import logging
import os
import select
import shutil
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fashionboard.sweep import experiment
from fashionboard.sweep.tls import Pair

# seconds between two signs of life of the driver, and without one, on another host
BEAT, _SILENCE = 5.0, 60.0
# seconds for experiments to end, and to find the scheduler
_PATIENCE, _ALONE = 4.0, 30
# where NVIDIA's driver lists the GPUs
_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Told:
    """What a worker is told.

    number: among the workers of its host. scheduler, contact: addresses, the latter under which others reach
    this worker; "" if it is the one on which it listens. port: on which it listens, on this machine's
    loopback alone; 0 for any.
    """

    name: str
    number: int
    scheduler: str
    pair: Pair
    contact: str = ""
    port: int = 0

    def line(self) -> bytes:
        """Return it as the line that the worker reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Work until stdin is closed, or the scheduler is gone."""
    line = b""
    # byte by byte: what comes after it is for another reader
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    read = json.loads(line or b"{}")
    if not read:
        sys.exit("error: expected a line of JSON on stdin; `fashionboard sweep` starts this program")
    told = Told(**{**read, "pair": Pair(**read["pair"])})
    _choose_device(told.number)
    # on one machine, a driver that is stopped for a while may go on
    silence = _SILENCE if told.contact else None
    with tempfile.TemporaryDirectory(prefix="fashionboard-worker-") as folder:
        threading.Thread(target=_end_with_driver, args=(silence, folder), daemon=True).start()
        try:
            asyncio.run(_work(told, folder))
        finally:
            experiment.end_all(_PATIENCE)


def _choose_device(number: int) -> None:
    """Give each worker of a host a GPU of its own, where there are several."""
    with contextlib.suppress(OSError):
        count = len(list(_GPUS.iterdir()))
        if count > 1:
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", str(number % count))


def _end_with_driver(silence: float | None, folder: str) -> None:
    """Wait until stdin is closed, or `silence` seconds without a sign of life on it; then end everything."""
    while select.select([0], [], [], silence)[0] and os.read(0, 4096):
        pass
    experiment.end_all(_PATIENCE)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


async def _work(told: Told, folder: str) -> None:
    # it takes a second to import
    import dask
    from distributed import Worker

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask.config.set(
        {"distributed.worker.memory.terminate": False, "distributed.comm.timeouts.connect": "20s"}
    )
    options: dict[str, Any] = {"contact_address": told.contact} if told.contact else {}
    worker = Worker(
        told.scheduler,
        name=told.name,
        host="127.0.0.1",
        port=told.port,
        protocol="tls",
        nthreads=1,
        security=told.pair.security(),
        local_directory=folder,
        death_timeout=_ALONE,
        # what is said of it is for this machine alone
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        **options,
    )
    async with worker:
        await worker.finished()


if __name__ == "__main__":
    main()
