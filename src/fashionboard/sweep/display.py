"""What a person sees of a sweep: a line for each that ends, and, in a terminal, what runs where."""

import sys
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

from fashionboard.base.errors import visible

# names of running experiments in the bar
_NAMED = 3


class Display:
    """Counts the experiments of a sweep; without a terminal it prints failures alone until the end."""

    def __init__(self, total: int, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._quiet = not stream.isatty()
        self._bar = tqdm(
            total=total,
            unit="exp",
            file=stream,
            disable=self._quiet,
            dynamic_ncols=True,
            leave=False,
            smoothing=0,
        )

    def done(self, name: str, what: str) -> None:
        """Tell of one that ended well."""
        if not self._quiet:
            self._say(f"{name}: {what}")
        self._bar.update()

    def failed(self, name: str, problem: str) -> None:
        """Tell of one that did not, with the last lines of what it printed."""
        self._say(f"{name}: failed")
        for line in problem.split("\n"):
            self._say(f"    {line}")
        self._bar.update()

    def note(self, text: str) -> None:
        """Tell what happened to a worker."""
        self._say(text)

    def running(self, where: Mapping[str, tuple[str, float]]) -> None:
        """Show what runs; where: the worker's name and for how many seconds, by experiment."""
        told = [f"{name} on {worker} ({seconds:.0f} s)" for name, (worker, seconds) in sorted(where.items())]
        more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
        self._bar.set_postfix_str(visible(", ".join(told[:_NAMED]) + more), refresh=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _say(self, text: str) -> None:
        if self._quiet:
            print(visible(text), file=self._stream, flush=True)
        else:
            self._bar.write(visible(text), file=self._stream)
