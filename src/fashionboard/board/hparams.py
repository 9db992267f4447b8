"""What TensorBoard's HParams tab is made of: DVC's rows and columns, whatever a run has logged of its own.

TensorBoard takes the columns of the first `add_hparams` that it finds for those of all rows, and makes a row
of each. Here the rows are DVC's experiments. What a run has logged itself is in the row of its experiment:
under its own name, or as `own <name>` where DVC tracks a parameter of that name with another value.
"""

from collections.abc import Mapping

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value
from tensorboard.plugins.hparams import error, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

_OWN = "own "
Tags = dict[str, bytes]


def with_own(tags: Mapping[str, Tags]) -> dict[str, Tags]:
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


def _is_row(run: str, tags: Tags) -> bool:
    return "/" not in run and metadata.SESSION_START_INFO_TAG in tags


def _start(tags: Tags) -> SessionStartInfo:
    try:
        return metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
    except (KeyError, error.HParamsError, DecodeError):
        return SessionStartInfo()


def _joined(row: Tags, own: Mapping[str, list[Value]]) -> Tags:
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
