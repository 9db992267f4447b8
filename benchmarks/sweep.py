"""What `fashionboard sweep` costs beyond the experiments themselves.

    make bench-sweep        prints lines; half an hour, on a machine that does nothing else

The stage of the experiments takes no time by itself. What an experiment costs is the time that a sweep of
eleven takes longer than one of a single, by ten, both on one worker: so the start of Python, Dask and the
worker does not count. It is held against `dvc exp run` in a clone, in turn. The simulation has real Dask on
loopback, and a hundred workers that sleep for five seconds where a host would run DVC. How late the board is
is told by points that bear the time at which the stage has written them.
"""

import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from distributed import Client, Scheduler, Worker

from benchmarks.process import run

_FOLDER = Path(__file__).resolve().parent
_STAGE = {
    "stages": {
        "one": {
            "cmd": "cp source out && cp params.yaml numbers.json",
            "deps": ["source", "data"],
            "params": ["seed"],
            "outs": ["out", "numbers.json"],
        }
    }
}
# a point every half second, on a clock that the board's reader has, too
_LIVE = """
import time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter("out")
for step in range(60):
    value = Summary.Value(tag="loss", simple_value=step)
    writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=[value])))
    writer.flush()
    time.sleep(0.5)
writer.close()
"""
_LIVE_STAGE = {
    "stages": {"live": {"cmd": "python live.py", "deps": ["live.py"], "params": ["seed"], "outs": ["out"]}}
}
_ROUNDS = 3


def repository(folder: Path, files: Mapping[str, str], data: int = 0) -> None:
    """Make a repository with these files, `data` bytes that DVC tracks, and one run of its stages."""
    folder.mkdir()
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        run(command, folder)
    for name, value in (("user.name", "benchmark"), ("user.email", "benchmark@example.com")):
        run(["git", "config", name, value], folder)
    for name, value in (("core.analytics", "false"), ("core.check_update", "false")):
        run(["dvc", "config", name, value], folder)
    for name, text in {"params.yaml": "seed: 0\n", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    if data:
        (folder / "data").write_bytes(os.urandom(data))
        run(["dvc", "add", "-q", "data"], folder)
    run(["dvc", "repro", "-q"], folder)
    run(["git", "add", "-A"], folder)
    run(["git", "commit", "-qm", "run"], folder)


def sweep_command(first: int, count: int, workers: int) -> list[str]:
    """Return the command of a sweep of `count` experiments on workers of this machine."""
    seeds = ",".join(str(seed) for seed in range(first, first + count))
    return ["fashionboard", "sweep", "-S", f"seed={seeds}", "--on", f"local*{workers}"]


def sweep(folder: Path, first: int, count: int, workers: int) -> float:
    """Return the seconds that a sweep takes."""
    return run(sweep_command(first, count, workers), folder).seconds


def overhead(folder: Path) -> None:
    """Print what an experiment costs over `dvc exp run` in a clone."""
    run(["git", "clone", "-q", str(folder), "clone"], folder.parent)
    clone = folder.parent / "clone"
    for name, value in (("user.name", "benchmark"), ("user.email", "benchmark@example.com")):
        run(["git", "config", name, value], clone)
    run(["dvc", "config", "-q", "--local", "cache.dir", str(folder / ".dvc" / "cache")], clone)
    sweep(folder, 1, 1, 1)
    seed, ours, plain = 10, [], []
    for _ in range(_ROUNDS):
        one, eleven = sweep(folder, seed, 1, 1), sweep(folder, seed + 1, 11, 1)
        ours.append((eleven - one) / 10)
        seed += 20
        began = time.perf_counter()
        for number in range(5):
            run(["dvc", "exp", "run", "-q", "--allow-missing", "-S", f"seed={seed + number}"], clone)
            run(["git", "checkout", "-q", "-f", "HEAD"], clone)
        plain.append((time.perf_counter() - began) / 5)
    more = sorted(one - other for one, other in zip(ours, plain, strict=True))
    told = f"{sorted(ours)[1]:.2f} s, `dvc exp run` in a clone {sorted(plain)[1]:.2f} s"
    print(f"an experiment: {told}, so {more[1]:.2f} s more ({more[0]:.2f} to {more[-1]:.2f})", flush=True)


def many(folder: Path) -> None:
    """Print how long 200 experiments take on 2, 4 and 8 workers of this machine, and the driver's share."""
    seed = 1000
    for workers in (2, 4, 8):
        began = time.perf_counter()
        with psutil.Popen(sweep_command(seed, 200, workers), cwd=folder, stdout=subprocess.DEVNULL) as driver:
            # its own times are known until it is waited for, those of what it has started apart from them
            while driver.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.2)
            seconds, times = time.perf_counter() - began, driver.cpu_times()
            if driver.wait():
                raise SystemExit(f"error: a sweep on {workers} workers exited with {driver.returncode}")
        own = (times.user + times.system) / 200
        print(
            f"200 experiments on {workers} workers: {seconds:.0f} s, {seconds / 200:.2f} s each; "
            f"the driver's own processor time {own:.3f} s each",
            flush=True,
        )
        seed += 1000


def live(folder: Path) -> None:
    """Print how long after it was written a point of an experiment on a worker is on the board."""
    from tests.support.servers import board, get

    late: dict[int, float] = {}
    one = sweep_command(1, 1, 1)
    with board(folder) as served, subprocess.Popen(one, cwd=folder, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for name in get(served.address, "runs") or []:
                points = get(served.address, "plugin/scalars/scalars", run=name, tag="loss") or []
                if name.startswith("seed-1"):
                    now = time.time()
                    for wall_time, step, _ in points:
                        late.setdefault(step, now - wall_time)
            time.sleep(0.05)
    # the first ones wait for the board to find the experiment
    first, found = late[0], sorted(seconds for step, seconds in late.items() if step >= 20)
    print(
        f"on the board after it was written: the first point {first:.1f} s; of {len(found)} later ones the "
        f"middle {found[len(found) // 2]:.1f} s, the last {found[-1]:.1f} s",
        flush=True,
    )


def _sleep(number: int) -> bytes:
    time.sleep(5)
    # as large as an experiment's commit
    return os.urandom(2_000)


async def _simulate(hosts: int, rounds: int) -> None:
    # what each of the workers tells of itself
    logging.getLogger("distributed").setLevel(logging.WARNING)
    began = time.perf_counter()
    async with Scheduler(port=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as scheduler:
        workers = [
            Worker(
                scheduler.address,
                nthreads=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
            )
            for _ in range(hosts)
        ]
        await asyncio.gather(*workers)
        started = time.perf_counter() - began
        processor, began = time.process_time(), time.perf_counter()
        async with Client(scheduler.address, asynchronous=True) as client:
            await client.gather(client.map(_sleep, range(hosts * rounds), pure=False))
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(
            f"{hosts} simulated hosts, {hosts * rounds} experiments of 5 s: {seconds:.1f} s, at least "
            f"{5 * rounds} s; workers there after {started:.1f} s; scheduler, client and workers in one "
            f"process: {processor:.1f} s of processor time, {memory:.0f} MB",
            flush=True,
        )
        await asyncio.gather(*(worker.close() for worker in workers))


def sent(folder: Path) -> None:
    """Print what goes to a host, by the sizes in its store."""
    store = folder / ".dvc" / "tmp" / "fashionboard" / "sweep" / "store"
    objects = sum(path.stat().st_size for path in (store / "cache" / "files").rglob("*") if path.is_file())
    print(
        f"in the host's cache after all of it: {objects / 1e6:.1f} MB, of which 20 MB are data, sent once",
        flush=True,
    )


def main() -> None:
    """Measure all of it."""
    with tempfile.TemporaryDirectory() as temporary:
        watched = Path(temporary, "live")
        repository(watched, {"dvc.yaml": json.dumps(_LIVE_STAGE), "live.py": _LIVE})
        live(watched)
        folder = Path(temporary, "repository")
        repository(folder, {"dvc.yaml": json.dumps(_STAGE), "source": "s\n"}, data=20_000_000)
        overhead(folder)
        many(folder)
        sent(folder)
    # a process of its own, whose memory is measured
    subprocess.run([sys.executable, "-m", "benchmarks.sweep", "simulate"], cwd=_FOLDER.parent, check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["simulate"]:
        asyncio.run(_simulate(hosts=100, rounds=4))
    else:
        main()
