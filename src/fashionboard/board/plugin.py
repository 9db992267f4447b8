"""TensorBoard's HParams plugin on what `hparams` makes of the tags, and with DVC's metrics in full."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tensorboard.context import RequestContext
from tensorboard.data.provider import ScalarDatum
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import backend_context
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin

from fashionboard.board.group import Group
from fashionboard.board.hparams import Tags, with_own, with_repeats

Groups = Callable[[], Mapping[str, Group]]
Names = Callable[[], Mapping[str, Sequence[str]]]


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Loads the plugin in TensorBoard's place of its own.

    groups: returns what the board shows now, by name. repeats: returns the names of those of it that
    differ in seeds alone, by what they are called together.
    """

    def __init__(self, groups: Groups, repeats: Names) -> None:
        self._groups = groups
        self._repeats = repeats
        self._context: base_plugin.TBContext | None = None

    def load(self, context: base_plugin.TBContext) -> HParamsPlugin:
        """Return the plugin; TensorBoard calls this once."""
        self._context = context
        return _Plugin(context, self._groups, self._repeats)

    def runs(self) -> Collection[str]:
        """Return the names of the runs that TensorBoard shows."""
        if self._context is None:
            return ()
        found = self._context.data_provider.list_runs(RequestContext(), experiment_id="")
        return {run.run_name for run in found}


class _Plugin(HParamsPlugin):  # type: ignore[misc]
    def __init__(self, context: base_plugin.TBContext, groups: Groups, repeats: Names) -> None:
        super().__init__(context)
        self._context = _Context(context, groups, repeats)


class _Context(backend_context.Context):  # type: ignore[misc]
    def __init__(self, context: base_plugin.TBContext, groups: Groups, repeats: Names) -> None:
        super().__init__(context)
        self._groups = groups
        self._repeats = repeats

    def hparams_metadata(self, *arguments: Any, **named: Any) -> dict[str, Tags]:
        """Return the tags of DVC's rows, of all runs where there is no row."""
        tags = with_own(super().hparams_metadata(*arguments, **named))
        return with_repeats(tags, self._repeats())

    def read_last_scalars(self, *arguments: Any, **named: Any) -> dict[str, dict[str, ScalarDatum]]:
        """Return the last points of curves; DVC's metrics in full, which event files hold as float32."""
        found: dict[str, dict[str, ScalarDatum]] = super().read_last_scalars(*arguments, **named)
        groups = self._groups()
        for name in found.keys() & groups.keys():
            metrics = groups[name].metrics
            found[name] = {
                tag: ScalarDatum(point.step, point.wall_time, metrics.get(tag, point.value))
                for tag, point in found[name].items()
            }
        return found
