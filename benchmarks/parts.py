"""One stage, run once, and where its time goes.

    python benchmarks/parts.py STAGE        in a repository whose inputs are there; it writes the outputs

Prints a line of JSON: seconds by part, `wall` from the start of the process, and, for train, `loop`,
the seconds of the training loop with all its logging, and its `steps`.
"""

import time

loaded = time.time()

import builtins
import functools
import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

# what is charged to which part: functions and classes as the stages and the library call them
PARTS = {
    "reading": ["dataset.load", "dataset.describe", "checkpoint.load", "inputs.key", "resume.load"],
    "computing": [
        "compute.configure",
        "network.initial",
        "training.first_batch",
        "training.Trainer.train",
        "validation.hold_out",
        "inference.log_probabilities",
        "inference.features",
        "histograms.weights",
        "evaluation.decide",
        "evaluation.summarise",
        "evaluation.confusion",
        "evaluation.pr_counts_by_class",
        "evaluation.curve_points",
        "evaluation.mistakes",
        "evaluation.decisions",
        "calibration.measure",
        "dataset.choose",
        "dataset.choose_by_class",
        "card.markdown",
        "drawn.draw",
        "download.fetch",
    ],
    "figures": [
        "figures.predictions",
        "figures.class_grid",
        "figures.class_balance",
        "diagrams.confusion",
        "diagrams.mistakes",
        "diagrams.reliability",
        "images.grid",
        "images.png",
        "graph.trace",
    ],
    "events": [
        *(f"events.EventWriter.{name}" for name in ("__init__", "close", "flush", "scalar", "image", "text")),
        *(f"events.EventWriter.{name}" for name in ("pr_curve", "histogram", "graph")),
        "projector.write",
    ],
    "outputs": [
        "outputs.write_csv",
        "outputs.write_json",
        "checkpoint.save",
        "resume.save",
        "resume.discard",
        "dataset.save",
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


def main(stage: str) -> None:
    """Run `stage`, measured, and print what was measured."""
    sys.path.insert(0, str(Path.cwd()))
    clock = Clock()
    clock.seconds["imports"] = loaded - psutil.Process().create_time()
    plain_import = builtins.__import__
    builtins.__import__ = measured(clock, "imports", plain_import)
    with clock.part("imports"):
        module = importlib.import_module(f"stages.{stage}")
        from fashionboard.base import arithmetic, params
    # as the stage does it, which is too late once torch is imported
    arithmetic.choose(
        getattr(getattr(params.load(Path("params.yaml")), stage, None), "arithmetic", "portable")
    )
    # what the stage imports when it is run, now, so that its functions can be measured
    for path in yaml.safe_load(Path("dvc.yaml").read_text())["stages"][stage]["deps"]:
        if path.startswith("src/fashionboard/") and not path.endswith("__init__.py"):
            with clock.part("imports"):
                importlib.import_module(f"fashionboard.{Path(path).stem}")
    builtins.__import__ = plain_import
    for part, names in PARTS.items():
        for name in names:
            module_name, *owners, function = name.split(".")
            if imported := sys.modules.get(f"fashionboard.{module_name}"):
                owner = functools.reduce(getattr, owners, imported)
                setattr(owner, function, measured(clock, part, getattr(owner, function)))
    module.main()
    with clock.part("other"):
        pass
    clock.seconds["wall"] = time.time() - psutil.Process().create_time()
    print(json.dumps(clock.seconds))


if __name__ == "__main__":
    main(sys.argv[1])
