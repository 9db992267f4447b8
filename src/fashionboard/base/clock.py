"""How long this process has taken, by part, and how much memory: what it measures of itself.

A function that is marked with a part is charged to it, and one within another to its own alone. All that
comes before the first of them is `imports`, and what is in none of them after that is `computing`.
"""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, get_args

Part = Literal["imports", "reading", "computing", "figures", "events", "outputs"]
PARTS: tuple[Part, ...] = get_args(Part)


class _Report(Protocol):
    @property
    def step(self) -> int: ...


R = TypeVar("R", bound=_Report)


@dataclass(frozen=True)
class Loop:
    """A training's loop with all its logging: the step it began with, how many it took, and seconds."""

    first_step: int
    steps: int
    seconds: float


class Clock:
    """Seconds by part, which add up to all that has passed; those that are open are not in yet.

    seconds: by part. loop: that of a training that has ended.
    """

    def __init__(self, before: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        """before: seconds that have passed already, of imports."""
        self.seconds: dict[Part, float] = dict.fromkeys(PARTS, 0.0) | {"imports": before}
        self.loop: Loop | None = None
        self._now = now
        self._since = now()
        self._open: list[Part] = ["imports"]

    @contextlib.contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Charge the block, or a function that is marked with this, to `name`."""
        self.charge()
        if self._open == ["imports"]:
            self._open = ["computing"]
        self._open.append(name)
        try:
            yield
        finally:
            self.charge()
            self._open.pop()

    def charge(self) -> None:
        """Charge what has passed since the last time to the part that is open."""
        now = self._now()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def trained(self, reports: Iterator[R], after: int) -> Iterator[R]:
        """Yield a training's reports, and note at their end how long the loop took that used them.

        after: the step of the last report that is not among them, -1 if there is none.
        """
        began, last = self._now(), after
        for report in reports:
            last = report.step
            yield report
        self.loop = Loop(after + 1, last - after, round(self._now() - began, 3))


# what came before this module, the interpreter's own start above all, is told by the processor's time
own = Clock(before=time.process_time())
part = own.part
trained = own.trained


def peak_memory() -> int | None:
    """Return the most memory that this process has held at a time, in bytes; None where no system says so.

    Linux tells it of the program that runs now. `getrusage` does not: where a process was started without a
    fork of its own, as by DVC, it counts what the program had that started it.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE):
            return int(found[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS has bytes, others units of 1,024
    return peak if sys.platform == "darwin" else peak * 1024
