"""Which way of a metric is better, and which metrics a summary tells unasked: both go by names alone."""

from collections.abc import Sequence

from fashionboard.board import lookup
from fashionboard.board.settings import Experiment

# of these less is better, and more of all others
_SMALLER = ("loss", "error", "mae", "mse", "perplexity")
# of these neither is: they say when, not how well
_NO_SCORES = ("step", "steps", "epoch", "epochs")
# what nests the names of a metrics file
_NESTED = "/"
# metrics that are told unasked
_MOST = 4


def is_smaller(metric: str) -> bool:
    """Tell whether less of a metric is better: the last part of its name holds a word such as `loss`."""
    last = lookup.last(metric).lower()
    return any(word in last for word in _SMALLER)


def usual(experiments: Sequence[Experiment]) -> list[str]:
    """Return the metrics that are told unasked.

    They are at the top of their file, differ, and are no steps or epochs; where there are none such, any.
    Those of which more is better come first: the first one decides which experiment is the best.
    """
    names = dict.fromkeys(name for each in experiments for name in each.metrics)
    top = [name for name in names if _NESTED not in name.rpartition(":")[2] and not _is_count(name)]
    found = [name for name in top if len({each.metrics.get(name) for each in experiments}) > 1] or top
    return sorted(found or names, key=is_smaller)[:_MOST]


def _is_count(metric: str) -> bool:
    return lookup.last(metric).lower().split("_")[-1] in _NO_SCORES
