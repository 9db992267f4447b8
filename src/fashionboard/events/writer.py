"""TensorBoard event files that depend on nothing but what is written: the only module that writes them.

The format is the one that torch.utils.tensorboard.SummaryWriter produces, so every tool that reads
its files reads these. What differs: no clock, host name or process id in the file's name or its
events, protobuf maps in a fixed order, and histograms in TensorBoard's newer form.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_STRING
from tensorboard.plugins.histogram.metadata import create_summary_metadata as histogram_metadata
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata as pr_curve_metadata
from tensorboard.plugins.text.metadata import create_summary_metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from fashionboard.base import clock, unfinished
from fashionboard.events import images, projector

# 2017-08-25T00:00:00Z, the day on which Fashion-MNIST was published
_EPOCH = 1_503_619_200.0


# what Markdown, and HTML in it, give a meaning within a line
_MARKUP = re.compile(r"[\\`*_\[\]<>&]")


def literal(text: str) -> str:
    """Return Markdown that TensorBoard shows as `text`, within a line or a cell of a table."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text).replace("|", r"\|")


class EventWriter:
    """Writes one event file: the same calls with the same key give the same bytes.

    An event's time is a fixed day plus `step` seconds, so that TensorBoard's RELATIVE axis shows
    steps, plus a fraction of a second derived from `key`, since TensorBoard's page caches pictures
    by time. The file's name holds `key` too: TensorBoard, left open, takes a file of another name
    for new data, but would go on reading one of the same name where it had stopped. What another
    run left in the folder is removed: a run has one event file.

    Use it as a context manager: if the block raises, the file is removed.
    """

    @clock.part("events")
    def __init__(self, folder: Path, key: str) -> None:
        """Open `folder`/events.out.tfevents.<key>; `key` is a hexadecimal digest of 8 or more digits."""
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob("events.out.tfevents.*"):
            other.unlink()
        self.path = folder / f"events.out.tfevents.{key}"
        self._fraction = int(key[:5], 16) / 16**5
        unfinished.add(self.path)
        # never through a link that lies there
        self.path.unlink(missing_ok=True)
        self._records = RecordWriter(self.path.open("xb"))
        self._write(Event(file_version="brain.Event:2"), step=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None:
            self.path.unlink(missing_ok=True)

    @clock.part("events")
    def close(self) -> None:
        """Write what is left and close the file; where that is not possible, remove it."""
        try:
            self._records.close()
        except OSError:
            self.path.unlink(missing_ok=True)
            raise
        unfinished.done(self.path)

    def scalar(self, tag: str, value: float, step: int = 0) -> None:
        """Write one point of a curve; TensorBoard keeps it as float32."""
        self._write_value(Summary.Value(tag=tag, simple_value=value), step)

    def scalars(self, tag: str, values: Mapping[str, float]) -> None:
        """Write one point of each of several curves, `<tag>/<name>`."""
        for name, value in values.items():
            self.scalar(f"{tag}/{name}", value)

    def image(self, tag: str, pixels: npt.NDArray[np.uint8], step: int = 0) -> None:
        """Write a picture: uint8 (height, width) grey or (height, width, 3) RGB, 0 to 255, unchanged."""
        height, width = pixels.shape[:2]
        picture = Summary.Image(
            height=height,
            width=width,
            colorspace=1 if pixels.ndim == 2 else 3,
            encoded_image_string=images.png(pixels),
        )
        self._write_value(Summary.Value(tag=tag, image=picture), step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Write a text that TensorBoard renders as Markdown."""
        content = TensorProto(
            dtype=DT_STRING,
            string_val=[markdown.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        self._write_value(Summary.Value(tag=tag, tensor=content, metadata=text_metadata("", "")), step)

    def pr_curve(self, tag: str, counts: npt.NDArray[np.float64], step: int = 0) -> None:
        """Write a precision-recall curve.

        counts: float64 (6, thresholds): true positives, false positives, true negatives, false
            negatives, precision and recall, at thresholds that rise evenly from 0 to 1.
        """
        rows, thresholds = counts.shape
        content = TensorProto(
            dtype=DT_FLOAT,
            float_val=counts.ravel().tolist(),
            tensor_shape=TensorShapeProto(
                dim=[TensorShapeProto.Dim(size=rows), TensorShapeProto.Dim(size=thresholds)]
            ),
        )
        metadata = pr_curve_metadata("", "", thresholds)
        self._write_value(Summary.Value(tag=tag, tensor=content, metadata=metadata), step)

    def histogram(
        self, tag: str, edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], step: int = 0
    ) -> None:
        """Write a histogram; edges: float64 (bins + 1,), rising; counts: int64 (bins,).

        It is a tensor (bins, 3) of left edge, right edge and count, as TensorBoard's own summaries
        have it: what SummaryWriter writes is turned into that on reading, in float32, which is not
        exact for counts above 2^24.
        """
        content = TensorProto(
            dtype=DT_DOUBLE,
            double_val=np.stack([edges[:-1], edges[1:], counts], axis=1).ravel().tolist(),
            tensor_shape=TensorShapeProto(
                dim=[TensorShapeProto.Dim(size=len(counts)), TensorShapeProto.Dim(size=3)]
            ),
        )
        metadata = histogram_metadata("", "")
        self._write_value(Summary.Value(tag=tag, tensor=content, metadata=metadata), step)

    def histograms(
        self, tag: str, values: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]
    ) -> None:
        """Write several histograms, edges and counts of each: `<tag>/<name>`."""
        for name, (edges, counts) in values.items():
            self.histogram(f"{tag}/{name}", edges, counts)

    def pr_curves(self, tag: str, counts: Mapping[str, npt.NDArray[np.float64]]) -> None:
        """Write several precision-recall curves, `<tag>/<name>`."""
        for name, each in counts.items():
            self.pr_curve(f"{tag}/{name}", each)

    def projector(
        self,
        name: str,
        points: npt.NDArray[np.float32] | npt.NDArray[np.uint8],
        columns: Mapping[str, Sequence[str]],
        thumbnails: npt.NDArray[np.uint8],
    ) -> None:
        """Write points for TensorBoard's projector beside the events, as `projector.write` takes them."""
        projector.write(self.path.parent, name, points, columns, thumbnails)

    def graph(self, graph: GraphDef) -> None:
        """Write a network's graph."""
        self._write(Event(graph_def=graph.SerializeToString(deterministic=True)), step=0)

    def hparams(self, values: Mapping[str, bool | float | str]) -> None:
        """Write that a run with these hyperparameters began, a row in TensorBoard's HParams tab.

        The row's metrics are the scalars of this folder and of those in it.
        """
        start = SessionStartInfo(start_time_secs=self._time(0))
        for name, value in values.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(start.hparams[name], kind, value)
        self._write_session(hparams.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))

    def hparams_end(self, succeeded: bool) -> None:
        """Write that the run of `hparams` ended."""
        status = STATUS_SUCCESS if succeeded else STATUS_FAILURE
        end = SessionEndInfo(status=status, end_time_secs=self._time(0))
        self._write_session(hparams.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))

    @clock.part("events")
    def flush(self) -> None:
        """Let readers see everything that was written so far."""
        self._records.flush()

    def _write_session(self, tag: str, data: HParamsPluginData) -> None:
        data.version = hparams.PLUGIN_DATA_VERSION
        content = data.SerializeToString(deterministic=True)
        plugin = SummaryMetadata.PluginData(plugin_name=hparams.PLUGIN_NAME, content=content)
        metadata = SummaryMetadata(plugin_data=plugin)
        self._write_value(Summary.Value(tag=tag, tensor=hparams.NULL_TENSOR, metadata=metadata), step=0)

    def _write_value(self, value: Summary.Value, step: int) -> None:
        self._write(Event(summary=Summary(value=[value])), step)

    def _time(self, step: int) -> float:
        return _EPOCH + step + self._fraction

    @clock.part("events")
    def _write(self, event: Event, step: int) -> None:
        event.step = step
        event.wall_time = self._time(step)
        self._records.write(event.SerializeToString(deterministic=True))
