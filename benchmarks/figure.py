"""One line of the table of figures."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Figure:
    """Two things measured in pairs, and what should come of it.

    ours, other: the measured values, of the same unit, pair by pair. difference: whether a pair comes
    to ours - other; else it comes to ours / other. reach, goal: bounds on the median of that, lower
    ones where `at_least`; None where there is none.
    """

    name: str
    unit: str
    reach: float | None = None
    goal: float | None = None
    at_least: bool = False
    difference: bool = False
    ours: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)

    def add(self, ours: float, other: float) -> None:
        """Add a pair."""
        self.ours.append(ours)
        self.other.append(other)

    def values(self) -> list[float]:
        """Return what each pair comes to."""
        pairs = zip(self.ours, self.other, strict=True)
        return [ours - other if self.difference else ours / other for ours, other in pairs]

    def median(self) -> float:
        """Return the median of what the pairs come to."""
        return statistics.median(self.values())

    def reached(self, bound: float) -> bool:
        """Say whether the median is within `bound`."""
        return self.median() >= bound if self.at_least else self.median() <= bound
