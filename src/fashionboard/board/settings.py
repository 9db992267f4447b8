"""Experiments put together by their parameters, and what the repeats of one setting come to."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fashionboard.board import seeds
from fashionboard.board.group import Value

# a value as it is compared: 1 is not true
_Known = tuple[type, Value | None]


@dataclass(frozen=True)
class Experiment:
    """An experiment or a commit by name, with what DVC tracks of it.

    seconds: that all its stages took, None if that is not known of each. inputs: a digest of commands, code
    and data, see `seeds`.
    """

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    inputs: str = ""


@dataclass(frozen=True)
class Spread:
    """How many values there are, their mean, and their standard deviation (sample: n - 1).

    None: there are none, too few, or the number is too large for float64.
    """

    n: int
    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return that of finite values, in no order."""
        return cls(len(values), statistics.mean(values) if values else None, _std(values))


@dataclass(frozen=True)
class Setting:
    """Experiments that have the same values of some parameters; None: a parameter that they lack."""

    parameters: Mapping[str, Value | None]
    experiments: tuple[Experiment, ...]

    def spread(self, metric: str) -> Spread:
        """Return what a metric comes to; experiments without it do not count."""
        return Spread.of([each.metrics[metric] for each in self.experiments if metric in each.metrics])

    @property
    def seconds(self) -> float | None:
        """The mean of those experiments whose time is known; None where it is of none."""
        return Spread.of([each.seconds for each in self.experiments if each.seconds is not None]).mean

    def ranked(self, metric: str, smaller: bool) -> list[Experiment]:
        """Return the experiments that have a metric, the best first; smaller: whether less is better."""
        known = [each for each in self.experiments if metric in each.metrics]
        return sorted(known, key=lambda each: each.metrics[metric], reverse=not smaller)


def differing(parameters: Sequence[Mapping[str, Value]]) -> list[str]:
    """Return the names, seeds apart, that not all experiments have with the same value.

    parameters: those of each experiment.
    """
    names = dict.fromkeys(name for each in parameters for name in each)
    return [
        name
        for name in names
        if not seeds.is_seed(name) and len({_known(each, name) for each in parameters}) > 1
    ]


def together(experiments: Iterable[Experiment], names: Sequence[str]) -> list[Setting]:
    """Put together what has the same values of the parameters `names`, in the order of their first."""
    found: dict[tuple[_Known, ...], list[Experiment]] = {}
    for each in experiments:
        found.setdefault(tuple(_known(each.parameters, name) for name in names), []).append(each)
    return [
        Setting({name: value for name, (_, value) in zip(names, key, strict=True)}, tuple(members))
        for key, members in found.items()
    ]


def by_mean(settings: Iterable[Setting], metric: str, smaller: bool) -> list[Setting]:
    """Return the settings by the mean of a metric, the best first, those without it last."""

    def place(each: Setting) -> tuple[bool, float]:
        mean = each.spread(metric).mean
        return mean is None, (mean or 0.0) if smaller else -(mean or 0.0)

    return sorted(settings, key=place)


def copies(setting: Setting) -> list[Experiment]:
    """Return the experiments of a setting that started from all that another one did, seeds included."""
    starts = [_start(each) for each in setting.experiments]
    count = Counter(starts)
    return [each for each, start in zip(setting.experiments, starts, strict=True) if count[start] > 1]


def _start(each: Experiment) -> object:
    return each.inputs, frozenset((name, _known(each.parameters, name)) for name in each.parameters)


def _known(parameters: Mapping[str, Value], name: str) -> _Known:
    value = parameters.get(name)
    return type(value), value


def _std(values: Sequence[float]) -> float | None:
    try:
        return statistics.stdev(values) if len(values) > 1 else None
    except OverflowError:
        return None
