import csv
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from fashionboard.board.export import export_scalars
from fashionboard.board.group import Group
from fashionboard.events.writer import EventWriter
from tests.support.repository import Repository
from tests.support.servers import eventually, get, tensorboard


def test_every_point_is_exported_as_tensorboard_reads_it(finished: Repository, tmp_path: Path) -> None:
    runs = finished.path / "runs"
    files = {path.relative_to(runs).as_posix(): path for path in runs.rglob("*") if path.is_file()}
    count = export_scalars([Group("main, 1", "", "workspace", files)], tmp_path / "a" / "s.csv")
    expected = set()
    for stage in ("train", "evaluate"):
        events = EventAccumulator(str(runs / stage), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            expected |= {("main, 1", stage, tag, point.step, point.value) for point in events.Scalars(tag)}
    with (tmp_path / "a" / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {
        (row["run"], row["stage"], row["tag"], int(row["step"]), float(np.float32(row["value"])))
        for row in rows
    }
    assert found == expected
    assert count == len(rows) == len(expected) > 4


def test_scalars_in_tensorflow_2s_form_and_a_broken_end(tmp_path: Path) -> None:
    """The second point of a tag says no more what it is for; the last record is cut off."""
    writer = EventFileWriter(str(tmp_path))
    for step, metadata in ((0, create_summary_metadata("", "")), (1, None), (2, None)):
        content = TensorProto(dtype=DT_FLOAT, tensor_content=struct.pack("<f", 0.1 * step))
        value = Summary.Value(tag="loss", tensor=content, metadata=metadata)
        writer.add_event(Event(step=step, summary=Summary(value=[value])))
    writer.close()
    with EventWriter(tmp_path / "text", "0" * 8) as events:
        events.text("note", "no scalar")
    (path,) = tmp_path.glob("events*")
    path.write_bytes(path.read_bytes()[:-3])
    files = {f"train/{path.name}": path, f"text/{events.path.name}": events.path}
    assert export_scalars([Group("a", "", "commit", files)], tmp_path / "s.csv") == 2
    assert (
        tmp_path / "s.csv"
    ).read_text() == "run,stage,tag,step,value\na,train,loss,0,0.0\na,train,loss,1,0.1\n"


def went_back(folder: Path) -> None:
    """Write runs that wrote steps again: after a new session's start, without one, and in disorder."""

    def write(run: str, suffix: str, *points: tuple[int, str | None]) -> None:
        writer = EventFileWriter(str(folder / run), filename_suffix=suffix)
        for place, (step, tag) in enumerate(points):
            event = Event(step=step, wall_time=1.0)
            if tag is None:
                event.session_log.status = SessionLog.START
            else:
                event.summary.value.add(tag=tag, simple_value=step + place / 1000)
            writer.add_event(event)
        writer.close()
        for path in (folder / run).glob(f"*{suffix}"):
            path.rename(path.with_name(f"events.out.tfevents{suffix}"))

    first = [(step, tag) for step in range(10) for tag in ("x", "y")]
    write("purged", ".1", (0, None), *first)
    write("purged", ".2", (5, None), *((step, "x") for step in range(5, 8)))
    write("resumed", ".1", *first)
    write("resumed", ".2", *((step, "x") for step in range(5, 8)))
    write("disorder", ".1", *((step, "x") for step in (0, 1, 2, 2, 1, 5, 3)))


@pytest.mark.parametrize("fast", [True, False])
def test_steps_that_were_written_again_are_those_that_tensorboard_shows(tmp_path: Path, fast: bool) -> None:
    logs = tmp_path / "logs"
    went_back(logs)
    files = {path.relative_to(logs).as_posix(): path for path in logs.rglob("*") if path.is_file()}
    export_scalars([Group("a", "", "workspace", files)], tmp_path / "s.csv", fast)
    found: dict[tuple[str, str], list[list[float]]] = {}
    with (tmp_path / "s.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            point = [int(row["step"]), float(np.float32(row["value"]))]
            found.setdefault((row["stage"], row["tag"]), []).append(point)
    curves = {("purged", "x"), ("purged", "y"), ("resumed", "x"), ("resumed", "y"), ("disorder", "x")}
    assert found.keys() == curves
    with tensorboard(logs, fast) as address:
        for (run, tag), points in found.items():
            eventually(
                lambda run=run, tag=tag: [  # type: ignore[misc]
                    each[1:] for each in get(address, "plugin/scalars/scalars", run=run, tag=tag) or []
                ],
                points,
            )


def test_an_object_of_the_cache_that_is_damaged_is_named_and_left_out(
    finished: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (event,) = (finished.path / "runs" / "train").glob("*tfevents*")
    cache = finished.path / ".dvc" / "cache" / "files" / "md5"
    (object_,) = (
        path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == event.read_bytes()
    )
    damaged = tmp_path / object_.parent.name / object_.name
    damaged.parent.mkdir()
    shutil.copy(object_, damaged)
    group = Group("main", "", "commit", {"train/events.tfevents": damaged})
    whole = export_scalars([group], tmp_path / "s.csv")
    assert whole > 0 and capsys.readouterr().err == ""
    # whole records, but not all of them: nothing that TensorBoard's own checksums would tell
    records = damaged.read_bytes()
    (length,) = struct.unpack("<Q", records[:8])
    damaged.chmod(0o644)
    damaged.write_bytes(records[: 16 + length])
    assert export_scalars([group], tmp_path / "s.csv") == 0
    assert (
        capsys.readouterr().err == "main: train/events.tfevents is damaged in the cache; it is not exported\n"
    )
