"""What TensorBoard's HParams tab is made of: DVC's rows and columns, whatever a run has logged of its own.

TensorBoard takes the columns of the first `add_hparams` that it finds for those of all rows, and makes a row
of each. Here the rows are DVC's experiments. What a run has logged itself is in the row of its experiment:
under its own name, or as `own <name>` where DVC tracks a parameter of that name with another value.
Experiments that differ in seeds alone are one row, with the mean of each metric.
"""

from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value
from tensorboard.plugins.hparams import error, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from fashionboard.board import seeds

_OWN = "own "
Tags = dict[str, bytes]


def with_own(tags: Mapping[str, Tags]) -> dict[str, Tags]:
    """Return the tags of the rows alone, with what runs have logged of their own in them.

    tags: the contents of HParams' tags by run. A row's run is a group; those of the group lie in it.
    """
    rows = {run: each for run, each in tags.items() if _is_row(run, each)}
    if not rows:
        return dict(tags)
    logged: dict[str, list[SessionStartInfo]] = {run: [] for run in rows}
    for run, each in sorted(tags.items()):
        group = run.split("/")[0]
        if group in rows and run != group:
            logged[group].append(_start(each))
    return {run: _joined(each, _values(logged[run])) for run, each in rows.items()}


def with_repeats(tags: Mapping[str, Tags], repeats: Mapping[str, Sequence[str]]) -> dict[str, Tags]:
    """Return the tags of rows, of which those that are repeats become one row.

    TensorBoard takes the parameters of the first one for all. So seeds are left out, and what runs have
    logged with several values is told as a text.
    repeats: rows by what they are called together.
    """
    found = dict(tags)
    for name, runs in repeats.items():
        rows = {run: _start(tags[run]) for run in runs if run in tags}
        shared = SessionStartInfo(group_name=name)
        for key, values in _values(rows.values()).items():
            if not seeds.is_seed(key.removeprefix(_OWN)):
                _set(shared, key, values)
        for run, row in rows.items():
            row.ClearField("hparams")
            row.MergeFrom(shared)
            found[run] = _started(tags[run], row)
    return found


def _values(starts: Iterable[SessionStartInfo]) -> dict[str, list[Value]]:
    """Return the different values of each parameter."""
    found: dict[str, list[Value]] = {}
    for start in starts:
        for name, value in start.hparams.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return found


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
    others = {tag: content for tag, content in row.items() if tag != metadata.EXPERIMENT_TAG}
    return _started(others, start)


def _started(row: Tags, start: SessionStartInfo) -> Tags:
    data = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=start)
    return {**row, metadata.SESSION_START_INFO_TAG: data.SerializeToString()}


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
