"""TensorBoard's HParams tab with DVC's rows and columns, whatever a run has logged of its own.

TensorBoard takes the columns of the first `add_hparams` that it finds for those of all rows, and makes a row
of each. Here the rows are DVC's experiments. What a run has logged itself is in the row of its experiment:
under its own name, or as `own <name>` where DVC tracks a parameter of that name with another value.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from google.protobuf.struct_pb2 import Value
from tensorboard.context import RequestContext
from tensorboard.data.provider import ScalarDatum
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import backend_context, error, metadata
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from fashionboard.board.group import Group

_OWN = "own "
_Tags = dict[str, bytes]


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Loads the plugin in TensorBoard's place of its own.

    groups: returns what the board shows now, by name.
    """

    def __init__(self, groups: Callable[[], Mapping[str, Group]]) -> None:
        self._groups = groups
        self._context: base_plugin.TBContext | None = None

    def load(self, context: base_plugin.TBContext) -> HParamsPlugin:
        """Return the plugin; TensorBoard calls this once."""
        self._context = context
        return _Plugin(context, self._groups)

    def runs(self) -> Collection[str]:
        """Return the names of the runs that TensorBoard shows."""
        if self._context is None:
            return ()
        found = self._context.data_provider.list_runs(RequestContext(), experiment_id="")
        return {run.run_name for run in found}


class _Plugin(HParamsPlugin):  # type: ignore[misc]
    def __init__(self, context: base_plugin.TBContext, groups: Callable[[], Mapping[str, Group]]) -> None:
        super().__init__(context)
        self._context = _Context(context, groups)


class _Context(backend_context.Context):  # type: ignore[misc]
    def __init__(self, context: base_plugin.TBContext, groups: Callable[[], Mapping[str, Group]]) -> None:
        super().__init__(context)
        self._groups = groups

    def hparams_metadata(self, *arguments: Any, **named: Any) -> dict[str, _Tags]:
        """Return the tags of DVC's rows, of all runs where there is no row."""
        return with_own(super().hparams_metadata(*arguments, **named))

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


def with_own(tags: Mapping[str, _Tags]) -> dict[str, _Tags]:
    """Return the tags of the rows alone, with what runs have logged of their own in them.

    tags: the contents of HParams' tags by run. A row's run is a group; those of the group lie in it.
    """
    rows = {run: each for run, each in tags.items() if _is_row(run, each)}
    if not rows:
        return dict(tags)
    own: dict[str, dict[str, list[Value]]] = {run: {} for run in rows}
    for run, each in sorted(tags.items()):
        group = run.split("/")[0]
        if group in rows and run != group:
            for name, value in _start(each).hparams.items():
                values = own[group].setdefault(name, [])
                if value not in values:
                    values.append(value)
    return {run: _joined(each, own[run]) for run, each in rows.items()}


def _is_row(run: str, tags: _Tags) -> bool:
    return "/" not in run and metadata.SESSION_START_INFO_TAG in tags


def _start(tags: _Tags) -> SessionStartInfo:
    try:
        return metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
    except (KeyError, error.HParamsError, ValueError):
        return SessionStartInfo()


def _joined(row: _Tags, own: Mapping[str, list[Value]]) -> _Tags:
    start = SessionStartInfo()
    start.CopyFrom(_start(row))
    for name, values in own.items():
        if name not in start.hparams:
            _set(start, name, values)
        elif values != [start.hparams[name]]:
            _set(start, _OWN + name, values)
    data = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=start)
    others = {tag: content for tag, content in row.items() if tag != metadata.EXPERIMENT_TAG}
    return {**others, metadata.SESSION_START_INFO_TAG: data.SerializeToString()}


def _set(start: SessionStartInfo, name: str, values: list[Value]) -> None:
    """Set a value, or, where several runs of a group have logged it, all of them as a text."""
    if len(values) == 1:
        start.hparams[name].CopyFrom(values[0])
    else:
        start.hparams[name].string_value = ", ".join(_text(value) for value in values)


def _text(value: Value) -> str:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return f"{value.number_value:g}"
    return str(getattr(value, kind)) if kind else ""
