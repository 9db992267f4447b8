"""Ends an experiment that the scheduler has taken back: Dask itself lets what runs run on."""

from typing import Any

from distributed import WorkerPlugin

from fashionboard.sweep import experiment

# between an experiment's name and the number of its try, in the key of a task; in no name of git's
TRY = "~"
# of a task that runs: it was taken back, or its result is not wanted any more
_TAKEN_BACK = {"cancelled", "released", "forgotten"}


class Cancel(WorkerPlugin):
    """Watches the tasks of a worker, whose keys begin with the names of experiments."""

    def __init__(self, sweep: str) -> None:
        """sweep: the name of the one whose experiments end with this."""
        self._sweep = sweep

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """End an experiment if its task is taken back while it runs."""
        if start in ("executing", "long-running") and finish in _TAKEN_BACK:
            experiment.end(str(key).partition(TRY)[0])

    def teardown(self, worker: object) -> None:
        """End what the sweep runs here when the worker ends."""
        experiment.end_all(patience=0, sweep=self._sweep)
