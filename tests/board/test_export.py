import csv
import struct
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.scalar.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from fashionboard.board.export import export_scalars
from fashionboard.board.group import Group
from fashionboard.events import EventWriter
from tests.repository import Repository


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
