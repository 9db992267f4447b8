"""One stage, run once, and where its time goes, as it measures itself: see `fashionboard.base.clock`.

    python benchmarks/parts.py STAGE        in a repository whose inputs are there; it writes the outputs

Prints a line of JSON: seconds by part, `wall` from the start of the process, and, for train, `loop`,
the seconds of the training loop with all its logging, and its `steps`.
"""

import importlib
import json
import sys
from pathlib import Path


def main(stage: str) -> None:
    """Run `stage` and print what it has measured."""
    sys.path.insert(0, str(Path.cwd()))
    importlib.import_module(f"stages.{stage}").main()
    from fashionboard.base import clock

    clock.own.charge()
    seconds: dict[str, float] = {"wall": sum(clock.own.seconds.values())}
    seconds.update(clock.own.seconds.items())
    if loop := clock.own.loop:
        seconds |= {"loop": loop.seconds, "steps": loop.steps}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1])
