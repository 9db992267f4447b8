import io
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util
from torch.utils.tensorboard import SummaryWriter

from fashionboard.evaluation import scores
from fashionboard.events.writer import EventWriter, literal
from fashionboard.network import nets
from fashionboard.training import graph
from tests.support import rendered

KEY = "0123456789abcdef"
PIXELS = np.arange(256, dtype=np.uint8).reshape(16, 16)
TRUTH = np.array([0, 1, 1, 0, 1], bool)
HPARAMS: dict[str, bool | float | str] = {
    "train.lr": 1e-5,
    "train.epochs": 3,
    "data.dataset": "drawn",
    "shuffle": True,
}
PROBABILITIES = np.array([0.1, 0.4, 0.9, 0.6, 0.1])
# more than float32 can count
COUNTS = np.array([2**24 + 1, 0, 3])
EDGES = np.array([-0.5, 0.1, 0.2, 1e-3 + 1])


def records(path: Path) -> list[Event]:
    """Every event of a file, read by TensorBoard's own reader, which checks each record's checksum."""
    reader = PyRecordReader_New(str(path))
    events: list[Event] = []
    while True:
        try:
            reader.GetNext()
        except OutOfRangeError:
            return events
        events.append(Event.FromString(reader.record()))


def write_ours(folder: Path) -> Path:
    net = nets.initial(0)
    with EventWriter(folder, KEY) as events:
        events.scalar("training loss", 0.125, 7)
        events.image("grey", PIXELS, 1)
        events.image("colour", np.stack([PIXELS] * 3, axis=2), 2)
        events.pr_curve("pr_curve/a", scores.pr_counts(TRUTH, PROBABILITIES, 127), 3)
        events.text("note", "**bold**", 4)
        events.graph(graph.trace(net, torch.zeros(4, 1, 28, 28)))
        events.histogram("weights/a", EDGES, COUNTS, 5)
        events.hparams(HPARAMS)
        events.hparams_end(succeeded=True)
    return events.path


def write_theirs(folder: Path) -> Path:
    net = nets.initial(0)
    with SummaryWriter(str(folder)) as events, warnings.catch_warnings():
        events.add_scalar("training loss", 0.125, 7)
        events.add_image("grey", PIXELS, 1, dataformats="HW")
        events.add_image("colour", np.stack([PIXELS] * 3, axis=2), 2, dataformats="HWC")
        events.add_pr_curve("pr_curve/a", TRUTH, PROBABILITIES, 3)
        events.add_text("note", "**bold**", 4)
        warnings.simplefilter("ignore")  # torch's own tracer is deprecated by torch
        events.add_graph(net, torch.zeros(4, 1, 28, 28))
    (path,) = folder.iterdir()
    return path


def test_the_events_are_those_of_torchs_writer(tmp_path: Path) -> None:
    ours, theirs = records(write_ours(tmp_path / "a")), records(write_theirs(tmp_path / "b"))
    start, end = ours.pop(-2), ours.pop()
    # torch's histograms are of the older form
    assert ours.pop().summary.value[0].tag == "weights/a"
    assert [event.summary.value[0].tag for event in (start, end)] == [
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    ]
    # torch adds run metadata that say "CPU" whatever the device is: left out
    assert theirs.pop().HasField("tagged_run_metadata")
    assert [e.WhichOneof("what") for e in ours] == [e.WhichOneof("what") for e in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.step == other.step
        if one.HasField("graph_def"):
            assert GraphDef.FromString(one.graph_def) == GraphDef.FromString(other.graph_def)
        elif one.HasField("summary"):
            (value,), (expected,) = one.summary.value, other.summary.value
            _without_what_nobody_sees(expected)
            _without_what_nobody_sees(value)
            assert value == expected


def _without_what_nobody_sees(value: Summary.Value) -> None:
    # torch adds a suffix to the tag of a text, stores grey as RGB, and rounds counts on the way
    value.tag = value.tag.removesuffix("/text_summary")
    value.metadata.plugin_data.ClearField("content")
    if value.HasField("image"):
        picture = Image.open(io.BytesIO(value.image.encoded_image_string)).convert("RGB")
        value.image.encoded_image_string = picture.tobytes()
        value.image.colorspace = 3
    if value.metadata.plugin_data.plugin_name == "pr_curves":
        floats = list(value.tensor.float_val) or list(np.frombuffer(value.tensor.tensor_content, np.float32))
        value.tensor.ClearField("tensor_content")
        value.tensor.float_val[:] = [round(x, 5) for x in floats]


def test_tensorboard_reads_every_kind_back(tmp_path: Path) -> None:
    write_ours(tmp_path)
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in read.Scalars("training loss")] == [(7, 0.125)]
    assert [(e.step, e.width, e.height) for e in read.Images("colour")] == [(2, 16, 16)]
    assert read.Tensors("pr_curve/a")[0].tensor_proto.tensor_shape.dim[1].size == 127
    assert read.Tensors("note")[0].tensor_proto.string_val == [b"**bold**"]
    assert any(node.name.startswith("Net/Conv2d[conv1]") for node in read.Graph().node)
    (histogram,) = read.Tensors("weights/a")
    assert histogram.step == 5
    buckets = tensor_util.make_ndarray(histogram.tensor_proto)
    assert buckets.tolist() == [[-0.5, 0.1, 2**24 + 1], [0.1, 0.2, 0], [0.2, 1e-3 + 1, 3]]


def test_a_histogram_is_written_as_tensorboards_own_summary(tmp_path: Path) -> None:
    values = np.arange(101) / 100
    theirs = histogram_pb("a", values, buckets=4).value[0]
    counts, edges = np.histogram(values, bins=4)
    with EventWriter(tmp_path, KEY) as events:
        events.histogram("a", edges, counts)
    (ours,) = records(events.path)[1].summary.value
    assert tensor_util.make_ndarray(ours.tensor).tolist() == tensor_util.make_ndarray(theirs.tensor).tolist()
    assert ours.tensor.dtype == theirs.tensor.dtype and ours.tensor.tensor_shape == theirs.tensor.tensor_shape
    assert ours.metadata == theirs.metadata


def test_several_values_bear_their_names(tmp_path: Path) -> None:
    with EventWriter(tmp_path, KEY) as events:
        events.scalars("recall", {"macro": 0.5, "T-shirt/top": 1.0})
        events.histograms("weights", {"a": (EDGES, COUNTS), "b": (EDGES[:1], COUNTS[:0])})
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [read.Scalars(tag)[0].value for tag in ("recall/macro", "recall/T-shirt/top")] == [0.5, 1]
    shapes = [
        tensor_util.make_ndarray(read.Tensors(f"weights/{name}")[0].tensor_proto).shape for name in "ab"
    ]
    assert shapes == [(3, 3), (0, 3)]


def test_hparams_are_those_of_torchs_writer(tmp_path: Path) -> None:
    """torch writes them into a run of their own, named after the time."""
    with SummaryWriter(str(tmp_path / "theirs")) as writer:
        writer.add_hparams(HPARAMS, {"accuracy": 1.0})
    (theirs,) = (tmp_path / "theirs").glob("*/events*")
    found = []
    for path in (write_ours(tmp_path / "ours"), theirs):
        values = [value for event in records(path) for value in event.summary.value]
        contents = {value.tag: value.metadata.plugin_data.content for value in values}
        start = HParamsPluginData.FromString(contents["_hparams_/session_start_info"]).session_start_info
        end = HParamsPluginData.FromString(contents["_hparams_/session_end_info"]).session_end_info
        found.append(({name: str(value) for name, value in start.hparams.items()}, end.status))
    # torch takes a bool for a number
    assert found[0][0].pop("shuffle") == "bool_value: true\n"
    assert found[1][0].pop("shuffle") == "number_value: 1\n"
    assert found[0] == found[1]


@pytest.mark.slow
def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from tests.events import test_writer as t; "
        "t.write_ours(pathlib.Path(sys.argv[1]))"
    )
    written = set()
    for seed in ("1", "2", "3"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": "src", "TZ": f"UTC+{seed}"}
        root = Path(__file__).parents[2]
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / seed], check=True, env=environment, cwd=root
        )
        (path,) = (tmp_path / seed).iterdir()
        written.add((path.name, path.read_bytes()))
    assert len(written) == 1


def test_the_name_and_the_times_come_from_the_key(tmp_path: Path) -> None:
    written = {}
    for key in (KEY, "fedcba9876543210"):
        with EventWriter(tmp_path, key) as events:
            events.scalar("a", 1.0, 0)
            events.scalar("a", 1.0, 50)
        # a run has one event file: an older one is gone
        assert [path.name for path in tmp_path.iterdir()] == [f"events.out.tfevents.{key}"]
        written[key] = records(events.path)
    (_, first, second), (_, other, _) = written.values()
    assert second.wall_time - first.wall_time == pytest.approx(50, abs=1e-6)  # seconds, float64
    assert first.wall_time != other.wall_time


def test_an_error_leaves_no_event_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError), EventWriter(tmp_path, KEY) as events:
        events.scalar("a", "not a number")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond 10,000 bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_leaves_no_event_file(tmp_path: Path) -> None:
    def write() -> None:
        with EventWriter(tmp_path, KEY) as events:
            events.text("long", "x" * 20_000)

    with pytest.raises(OSError, match="File too large"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_is_flushed_can_be_read_while_the_file_is_open(tmp_path: Path) -> None:
    with EventWriter(tmp_path, KEY) as events:
        events.scalar("a", 1.0)
        events.flush()
        assert len(records(events.path)) == 2


def test_a_file_is_not_written_through_a_link_that_bears_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "events.out.tfevents.0123456789abcdef").symlink_to("../mine")
    with EventWriter(folder, "0123456789abcdef") as events:
        events.scalar("x", 1)
    assert not events.path.is_symlink() and (tmp_path / "mine").read_text() == "mine"


def test_tensorboard_shows_a_literal_text_as_it_is() -> None:
    generator = np.random.default_rng(0)
    signs = [*"\\`*_{}[]()<>#+-.!|&;:/~$^='\"", "a", "B", "1", " ", "http", "amp", "é", "\u200c", "\u00a0"]
    for _ in range(300):
        text = "".join(generator.choice(signs, generator.integers(1, 12)))
        in_a_line, tags, _ = rendered.read(f"Seen on x{literal(text)}x.")
        assert (in_a_line, tags) == (f"Seen on x{text}x.", {"p"})
        _, tags, cells = rendered.read(f"| | |\n| --- | --- |\n| **a** | x{literal(text)}x |")
        assert cells == ["a", f"x{text}x"]
        assert tags == {"table", "thead", "tbody", "tr", "th", "td", "strong"}
