"""The life of an experiment that DVC runs: from its first sign to its result, or its end without one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# consecutive idle looks before a run counts as ended
LOOKS = 3

State = Literal["running", "experiment", "failed", "killed"]


@dataclass(frozen=True)
class Sign:
    """What one look finds of an experiment.

    noted: what DVC's own file says of the run; None where there is no such file.
    result: whether its name stands for a commit; new: for another one than when the run began.
    copy: whether the copy in which it runs is there; young: whether it is so new that its process may not
    have begun. works: tells whether a process works in it, which takes a look at all of them.
    """

    noted: Literal["running", "finished", "failed", "killed"] | None
    result: bool = False
    new: bool = False
    copy: bool = True
    young: bool = False
    works: Callable[[], bool] = lambda: False


@dataclass
class Life:
    """Where an experiment is in its life: running, or what became of it.

    idle: looks without a process at work, one after the other. worked: whether one ever was seen.
    """

    state: State = "running"
    idle: int = 0
    worked: bool = False

    def look(self, sign: Sign) -> None:
        """Go on by what one look has found; what is over stays as it is."""
        if self.state == "running":
            self.state = _told(sign) or self._guessed(sign)

    def _guessed(self, sign: Sign) -> State:
        """Tell from whether anybody works in the copy."""
        if sign.copy and sign.works():
            self.idle, self.worked = 0, True
        elif self.worked or not sign.copy:
            self.idle += 1
        left_behind = sign.copy and not self.worked and not sign.young  # before the board was opened
        if left_behind or self.idle >= LOOKS:
            return "killed" if sign.copy else "failed"
        return "running"


def _told(sign: Sign) -> State | None:
    """Tell from what DVC and git say, if they do."""
    under_way = sign.copy and sign.noted == "running"
    again = sign.result and not sign.copy and sign.noted == "finished"  # the same commit as before
    if again or (sign.new and not under_way):
        return "experiment"
    return sign.noted if sign.noted == "failed" or sign.noted == "killed" else None
