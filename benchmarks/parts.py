"""One stage, run once, and where its time goes.

    python benchmarks/parts.py STAGE        in a repository whose inputs are there; it writes the outputs

Prints a line of JSON: seconds by part, `wall` from the start of the process, and, for train, `loop`,
the seconds of the training loop with all its logging, and its `steps`.
"""

import time

loaded = time.clock_gettime(time.CLOCK_BOOTTIME)

import builtins
import functools
import importlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import yaml

# what is charged to which part: functions and classes as the stages and the library call them
PARTS = {
    "reading": [
        "data.dataset.load",
        "data.dataset.describe",
        "network.checkpoint.load",
        "events.inputs.key",
        "training.resume.load",
    ],
    "computing": [
        "network.compute.configure",
        "network.nets.initial",
        "training.loop.first_batch",
        "training.loop.Trainer.train",
        "training.validation.hold_out",
        "network.inference.log_probabilities",
        "network.inference.features",
        "evaluation.histograms.weights",
        "evaluation.scores.decide",
        "evaluation.scores.summarise",
        "evaluation.scores.confusion",
        "evaluation.scores.pr_counts_by_class",
        "evaluation.scores.curve_points",
        "evaluation.scores.mistakes",
        "evaluation.scores.decisions",
        "evaluation.calibration.measure",
        "data.dataset.choose",
        "data.dataset.choose_by_class",
        "figures.card.markdown",
        "sources.drawn.draw",
        "sources.download.fetch",
    ],
    "figures": [
        "figures.examples.predictions",
        "figures.examples.class_grid",
        "figures.examples.class_balance",
        "figures.diagrams.confusion",
        "figures.diagrams.mistakes",
        "figures.diagrams.reliability",
        "events.images.grid",
        "events.images.png",
        "training.graph.trace",
    ],
    "events": [
        *(
            f"events.writer.EventWriter.{name}"
            for name in ("__init__", "close", "flush", "scalar", "image", "text")
        ),
        *(f"events.writer.EventWriter.{name}" for name in ("pr_curve", "histogram", "graph")),
        "events.projector.write",
    ],
    "outputs": [
        "base.outputs.write_csv",
        "base.outputs.write_json",
        "network.checkpoint.save",
        "training.resume.save",
        "training.resume.discard",
        "data.dataset.save",
    ],
}


class Clock:
    """Seconds by part; a part within another is charged to itself alone."""

    def __init__(self) -> None:
        """Start with part `other`."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._open = ["other"]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge the block to `name`."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now


def measured(clock: Clock, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with its time charged to `part`, also where it yields."""

    @functools.wraps(function)
    def wrapper(*args: object, **settings: object) -> Any:
        with clock.part(part):
            result = function(*args, **settings)
        return loop(clock, part, result) if isinstance(result, Iterator) else result

    return wrapper


def loop(clock: Clock, part: str, iterator: Iterator[Any]) -> Iterator[Any]:
    """Yield what `iterator` yields; charge its time to `part`, and all until its end to `loop`, too."""
    started, step = time.perf_counter(), -1
    while True:
        with clock.part(part):
            value = next(iterator, None)
        if value is None:
            clock.seconds |= {"loop": time.perf_counter() - started, "steps": step + 1}
            return
        step = value.step
        yield value


def started() -> float:
    """Return when this process started, in seconds since the machine did: Linux's proc(5), `starttime`.

    psutil's `create_time` adds the time of the machine's start, which Linux tells in whole seconds.
    """
    # the second field is the program's name, which may hold blanks
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def main(stage: str) -> None:
    """Run `stage`, measured, and print what was measured."""
    sys.path.insert(0, str(Path.cwd()))
    clock = Clock()
    clock.seconds["imports"] = loaded - started()
    plain_import = builtins.__import__
    builtins.__import__ = measured(clock, "imports", plain_import)
    with clock.part("imports"):
        module = importlib.import_module(f"stages.{stage}")
        from fashionboard.base import arithmetic, params
    # as the stage does it, which is too late once torch is imported
    arithmetic.choose(
        getattr(getattr(params.load(Path("params.yaml")), stage, None), "arithmetic", "portable")
    )
    # what the stage imports when it is run, now and as it does, so that its functions can be measured
    with module.loading.uncollected() if hasattr(module, "loading") else nullcontext():
        for dep in map(Path, yaml.safe_load(Path("dvc.yaml").read_text())["stages"][stage]["deps"]):
            for path in dep.glob("*.py") if dep.is_dir() else [dep]:
                if path.is_relative_to("src") and path.stem != "__init__":
                    with clock.part("imports"):
                        importlib.import_module(".".join(path.relative_to("src").with_suffix("").parts))
    builtins.__import__ = plain_import
    for part, names in PARTS.items():
        for name in names:
            room, module_name, *owners, function = name.split(".")
            if imported := sys.modules.get(f"fashionboard.{room}.{module_name}"):
                owner = functools.reduce(getattr, owners, imported)
                setattr(owner, function, measured(clock, part, getattr(owner, function)))
    module.main()
    with clock.part("other"):
        pass
    clock.seconds["wall"] = time.clock_gettime(time.CLOCK_BOOTTIME) - started()
    print(json.dumps(clock.seconds))


if __name__ == "__main__":
    main(sys.argv[1])
