"""How fast the project is: the table in benchmarks/README.md.

    make bench        about 20 minutes; needs the data set's files (FASHION_MNIST_MIRROR)

Every figure is a ratio of two things measured in turn (A B A B ...) in this one run, or a difference of
such, because machines are noisy; the two that take longest are measured once. It works in a clone of
what is committed, in a temporary folder.
Writes benchmarks/results.json and the tables in benchmarks/README.md, and exits with 1 if a figure is
not reached.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.figure import Figure
from benchmarks.process import Ran, run
from benchmarks.report import write

_HERE = Path(__file__).resolve().parent
_PROJECT = _HERE.parent
_STAGES = ("download", "visualize", "embed", "train", "evaluate")
_QUEUED = 8
_LONGEST = 3600  # seconds that a queue may take
# images that each stage goes through
_IMAGES = {"train": 60_000, "evaluate": 10_000}


def clone(folder: Path) -> None:
    """Clone what is committed into `folder`, with an identity and an empty cache."""
    run(["git", "clone", "--quiet", str(_PROJECT), str(folder)], _HERE)
    for name, value in (("user.name", "benchmark"), ("user.email", "benchmark@example.com")):
        run(["git", "config", name, value], folder)


def parts(folder: Path, stage: str) -> dict[str, float]:
    """Run a stage in `folder` and return seconds by part, and its peak `memory` in bytes."""
    ran = run([sys.executable, str(_HERE / "parts.py"), stage], folder)
    return {**json.loads(ran.output.splitlines()[-1]), "memory": ran.memory}


def tutorial(folder: Path) -> tuple[Ran, dict[str, float]]:
    """Run the tutorial's script on files at hand, and return what it took and its own times."""
    raw = folder / "tutorial" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for file in sorted(_files().iterdir()):
        (raw / file.name).symlink_to(file)
    command = [sys.executable, "-W", "ignore", str(_HERE / "tutorial.py"), "tutorial", "tutorial/logs"]
    ran = run(command, folder)
    shutil.rmtree(folder / "tutorial")
    return ran, json.loads(ran.output.splitlines()[-1])


def _files() -> Path:
    """Return the folder with the four compressed files: files at hand, since no network is measured."""
    named = os.environ.get("FASHION_MNIST_MIRROR", "").removeprefix("file://")
    if Path(named).is_absolute() and Path(named).is_dir():
        return Path(named)
    raise SystemExit(
        "error: expected FASHION_MNIST_MIRROR to be the absolute path of a folder with the four .gz files, "
        f"found {named or 'nothing'!r}; see docs/offline.md"
    )


def against_the_tutorial(folder: Path, pairs: int) -> tuple[list[Figure], dict[str, dict[str, float]]]:
    """Compare pipeline, loop and memory with the tutorial's script; also return the stages' parts."""
    loop = Figure(
        "training loop with all its logging, against the tutorial's", "steps/s", 3.2, 5, at_least=True
    )
    cold = Figure("`dvc repro` from an empty cache, against the tutorial's whole script", "s", 0.4)
    train = Figure("peak memory of train, against the tutorial's script", "MB", 0.8, 0.5)
    evaluate = Figure("peak memory of evaluate, against the tutorial's script", "MB", 0.8, 0.5)
    for pair in range(pairs):
        place = folder / f"cold{pair}"
        clone(place)
        ours = run(["dvc", "repro", "--quiet"], place)
        theirs, times = tutorial(folder)
        stages = {stage: parts(place, stage) for stage in _STAGES}
        cold.add(ours.seconds, theirs.seconds)
        loop.add(stages["train"]["steps"] / stages["train"]["loop"], times["steps"] / times["training"])
        train.add(stages["train"]["memory"] / 1e6, theirs.memory / 1e6)
        evaluate.add(stages["evaluate"]["memory"] / 1e6, theirs.memory / 1e6)
        say(f"pair {pair + 1} of {pairs}: ours {ours.seconds:.0f} s, the tutorial's {theirs.seconds:.0f} s")
    return [loop, cold, train, evaluate], stages


def with_nothing_to_do(done: Path, folder: Path, pairs: int) -> Figure:
    """Compare `dvc repro` where all is done with the same in a repository that has one empty stage."""
    empty = folder / "empty"
    run(["git", "init", "--quiet", str(empty)], folder)
    run(["dvc", "init", "--quiet"], empty)
    (empty / ".dvc" / "config").write_text((done / ".dvc" / "config").read_text())
    run(["dvc", "stage", "add", "--quiet", "--run", "--name", "empty", "true"], empty)
    figure = Figure("`dvc repro` with nothing to do, against one empty stage", "s", 1.3, 1.1)
    for _ in range(pairs):
        figure.add(*(run(["dvc", "repro", "--quiet"], place).seconds for place in (done, empty)))
    say("nothing to do: measured")
    return figure


def evaluate_alone(done: Path, pairs: int) -> Figure:
    """Compare an experiment that runs evaluate alone with that stage's own process."""
    figure = Figure(
        "`dvc exp run -S evaluate...`, over evaluate's own computing and imports",
        "s",
        2,
        1.7,
        difference=True,
    )
    for pair in range(pairs):
        change = f"evaluate.thresholds={100 + pair}"
        experiment = run(["dvc", "exp", "run", "--quiet", "--set-param", change], done)
        stage = run([sys.executable, "-m", "stages.evaluate"], done)
        figure.add(experiment.seconds, stage.seconds)
    say("evaluate alone: measured")
    return figure


def queue(done: Path, folder: Path, pairs: int) -> Figure:
    """Compare a queue of experiments on two workers with the same one after the other."""
    figure = Figure(
        f"a queue of {_QUEUED} experiments one after the other, against `-j 2`", "s", 1.7, 1.9, at_least=True
    )
    for pair in range(pairs):
        seconds = []
        for jobs in (1, 2):
            place = folder / f"queue{pair}{jobs}"
            clone(place)
            run(["dvc", "config", "--local", "cache.dir", str(done / ".dvc" / "cache")], place)
            run(["dvc", "checkout", "--quiet"], place)
            # seeds that no other run has had: DVC would restore what it knows
            first = 1 + (2 * pair + jobs - 1) * _QUEUED
            seeds = ",".join(str(seed) for seed in range(first, first + _QUEUED))
            run(["dvc", "exp", "run", "--quiet", "--queue", "--set-param", f"train.seed={seeds}"], place)
            seconds.append(_drain(place, jobs))
            say(f"queue with -j {jobs}: {seconds[-1]:.0f} s")
        figure.add(*seconds)
    return figure


def _drain(place: Path, jobs: int) -> float:
    """Run the queue of `place` on `jobs` workers; return the seconds until the last experiment is there."""
    started = time.perf_counter()
    # workers outlive the command and would keep its pipes open
    subprocess.run(
        ["dvc", "queue", "start", "--quiet", "--jobs", str(jobs)],
        cwd=place,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        listed = run(["git", "for-each-ref", "--format=%(refname)", "refs/exps"], place).output.split()
        ended = [name for name in listed if len(name.split("/")[2]) == 2]
        if len(ended) == _QUEUED:
            return time.perf_counter() - started
        if time.perf_counter() - started > _LONGEST:
            raise SystemExit(
                f"error: {len(ended)} of {_QUEUED} experiments have ended; see `dvc queue status`"
            )
        time.sleep(0.1)


def ten_times(folder: Path, pairs: int) -> list[Figure]:
    """Compare 600,000 drawn training images with 60,000, and 100,000 test images with 10,000."""
    places = {times: folder / f"drawn{times}" for times in (10, 1)}
    for times, place in places.items():
        clone(place)
        say(f"drawing {times * _IMAGES['train']:,} images")
        sizes = {"train_images": times * _IMAGES["train"], "test_images": times * _IMAGES["evaluate"]}
        changes = [f"data.drawn.{name}={size}" for name, size in sizes.items()]
        settings = [word for change in ("data.dataset=drawn", *changes) for word in ("--set-param", change)]
        run(["dvc", "exp", "run", "--quiet", *settings, "download"], place)
    figures = [
        Figure("ten times the images, train: time an image, against 1 x", "us", 1.1, 1.0),
        Figure("ten times the images, train: memory a byte of data, against 1 x", "B", 1.1, 0.1),
        Figure("ten times the images, evaluate: time an image, against 1 x", "us", 1.1, 1.0),
        Figure("ten times the images, evaluate: memory a byte of data, against 1 x", "B", 1.1, 0.1),
        Figure("train: memory for each further byte of data, against that byte", "B"),
        Figure("evaluate: memory for each further byte of data, against that byte", "B"),
    ]
    for _ in range(pairs):
        for index, (stage, images) in enumerate(_IMAGES.items()):
            ran = {times: parts(place, stage) for times, place in places.items()}
            seconds = {times: ran[times]["wall"] - ran[times]["imports"] for times in ran}
            figures[2 * index].add(*(1e6 * seconds[times] / (images * times) for times in (10, 1)))
            figures[2 * index + 1].add(
                *(ran[times]["memory"] / (images * times * 28 * 28) for times in (10, 1))
            )
            grown = ran[10]["memory"] - ran[1]["memory"]
            figures[4 + index].add(grown / (9 * images * 28 * 28), 1)
        say("ten times the images: measured")
    return figures


def batch_sizes(done: Path, pairs: int) -> list[Figure]:
    """Compare the training step with a plain loop on the same device, and portable with native arithmetic."""
    figures = []
    # a GPU's figures have no bounds: none was there when they were set
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        ways = ("portable", "plain", "native") if device == "cpu" else ("portable", "plain")
        rounds = [{way: _steps(done, way, device) for way in ways} for _ in range(pairs)]
        for size in rounds[0]["plain"]:
            name = f"a step of {size} on {device}, against a plain loop there"
            figures.append(_paired(name, size, rounds, "plain"))
        for size in rounds[0].get("native", ()):
            step = "a step of 64 of the cnn" if size == "cnn" else f"a step of {size}"
            figures.append(_paired(f"{step}, portable against native", size, rounds, "native"))
        say(f"batch sizes on {device}: measured")
    return figures


def _steps(done: Path, way: str, device: str) -> dict[str, float]:
    """Return steps a second by batch size."""
    command = [sys.executable, str(_HERE / "batches.py"), way, device]
    ran = run(command, done, {"PYTHONPATH": str(done / "src")})
    found: dict[str, float] = json.loads(ran.output.splitlines()[-1])
    return found


def _paired(name: str, size: str, rounds: list[dict[str, dict[str, float]]], other: str) -> Figure:
    pairs = [(each["portable"][size], each[other][size]) for each in rounds]
    ours, theirs = (list(values) for values in zip(*pairs, strict=True))
    return Figure(name, "steps/s", at_least=True, ours=ours, other=theirs)


def evaluate_natively(done: Path, pairs: int) -> Figure:
    """Compare evaluate's computing by portable arithmetic with that by native."""
    figure = Figure("evaluate's computing, portable against native", "s")
    settings = done / "params.yaml"
    portable = settings.read_text()
    native = portable.replace("arithmetic: portable", "arithmetic: native")
    for _ in range(pairs):
        seconds = []
        for text in (portable, native):
            settings.write_text(text)
            seconds.append(parts(done, "evaluate")["computing"])
        figure.add(*seconds)
    settings.write_text(portable)
    say("evaluate by native arithmetic: measured")
    return figure


def say(text: str) -> None:
    """Show progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure all, print and write the tables."""
    _files()
    dirty = run(["git", "status", "--porcelain"], _PROJECT).output
    if dirty:
        say("what is not committed is not measured:\n" + dirty)
    # on the disk that holds the project: /tmp may be memory
    (_PROJECT / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_PROJECT / ".dvc" / "tmp", prefix="bench-") as name:
        folder = Path(name)
        figures, stages = against_the_tutorial(folder, pairs=3)
        done = folder / "cold0"
        run(["dvc", "repro", "--quiet"], done)
        figures.insert(2, with_nothing_to_do(done, folder, pairs=11))
        figures.insert(3, evaluate_alone(done, pairs=9))
        figures.insert(4, queue(done, folder, pairs=1))
        figures += ten_times(folder, pairs=1)
        figures += batch_sizes(done, pairs=3)
        figures.append(evaluate_natively(done, pairs=5))
    write(_HERE, figures, stages)
    if not all(figure.reached(figure.reach) for figure in figures if figure.reach is not None):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
