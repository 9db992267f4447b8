"""Mean, least and most of repeats' curves, held against numpy, in a view and in the real TensorBoard."""

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.scalar.metadata import create_summary_metadata

from fashionboard.board import curves
from fashionboard.board.group import Group
from fashionboard.board.means import Means
from fashionboard.board.view import View
from fashionboard.events.writer import EventWriter
from tests.support import repeated
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get

Points = dict[int, float]


def group(folder: Path, name: str, **tags: Points) -> Group:
    """Return an experiment whose stage `train` wrote these curves, and `same` what all repeats share."""
    with EventWriter(folder / name, "0" * 16) as events:
        for tag, points in tags.items():
            for step, value in points.items():
                events.scalar(tag, value, step)
    same = folder / "same" / "events.out.tfevents.1"
    return Group(name, "", "experiment", {"train/events.out.tfevents.0": events.path, "embed/tfevents": same})


def shown(view: View, run: str, tag: str) -> dict[int, float]:
    """Return a curve as TensorBoard reads it from a folder."""
    read = EventAccumulator(str(view.folder / run)).Reload()
    return {each.step: each.value for each in read.Scalars(tag)}


def files(view: View) -> dict[str, bytes]:
    return {
        path.relative_to(view.folder).as_posix(): path.read_bytes() for path in view.folder.rglob("*events*")
    }


@pytest.fixture
def groups(tmp_path: Path) -> dict[str, Group]:
    draw = np.random.default_rng(0)
    found = {}
    for name in ("a", "b", "c"):
        # the last one ended sooner, and began later
        steps = range(0, 50, 5) if name != "c" else range(5, 40, 5)
        points = {step: float(np.float32(draw.normal())) for step in steps}
        found[name] = group(tmp_path / "groups", name, loss=points, **{f"own {name}": {0: 1.0}})
    return found


def test_they_are_numpys_over_the_steps_that_all_have(tmp_path: Path, groups: dict[str, Group]) -> None:
    with View(tmp_path / "view") as view:
        Means(view).show({"s (mean of 3)": list(groups)}, groups)
        read = [
            curves.read({"train/tfevents": files["train/events.out.tfevents.0"]})
            for files in (each.files for each in groups.values())
        ]
        steps = list(range(5, 40, 5))
        values: npt.NDArray[np.float64] = np.array(
            [[each["train", "loss"][step] for step in steps] for each in read]
        )
        for what, expected in (
            ("mean", values.mean(axis=0)),
            ("least", values.min(axis=0)),
            ("most", values.max(axis=0)),
        ):
            found = shown(view, f"s (mean of 3)/{what}/train", "loss")
            assert list(found) == steps
            assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-6)
        # neither a tag that only one has nor a file that they share
        assert {path.rpartition("/")[0] for path in files(view)} == {
            f"s (mean of 3)/{what}/train" for what in ("mean", "least", "most")
        }


def test_the_same_repeats_give_the_same_bytes_and_are_read_once(
    tmp_path: Path, groups: dict[str, Group]
) -> None:
    repeats = {"s": ["a", "b"]}
    with View(tmp_path / "one") as one, View(tmp_path / "other") as other:
        means = Means(one)
        means.show(repeats, groups)
        Means(other).show(repeats, groups)
        first = files(one)
        assert first == files(other) and len(first) == 3
        times = {path: (one.folder / path).stat().st_mtime_ns for path in first}
        means.show(repeats, groups)
        assert times == {path: (one.folder / path).stat().st_mtime_ns for path in first}
        # others have files of another name
        means.show({"s": ["b", "c"]}, groups)
        assert len(files(one)) == 3 and files(one).keys().isdisjoint(first)
        means.show({}, groups)
        assert not files(one) and not (one.folder / "s").exists()


def test_what_somebody_removed_is_written_again(tmp_path: Path, groups: dict[str, Group]) -> None:
    with View(tmp_path / "view") as view:
        means = Means(view)
        means.show({"s": ["a", "b"]}, groups)
        before = files(view)
        (view.folder / next(iter(before))).unlink()
        means.show({"s": ["a", "b"]}, groups)
        assert files(view) == before


def test_many_are_read_in_several_looks(tmp_path: Path, groups: dict[str, Group]) -> None:
    with View(tmp_path / "view") as view:
        means, repeats = Means(view), {"s": ["a", "b"], "t": ["b", "c"]}
        means.show(repeats, groups, seconds=-1)
        assert files(view) == {}
        means.show(repeats, groups, seconds=math.inf)
        assert {path.split("/")[0] for path in files(view)} == {"s", "t"}


def test_what_is_not_finite_is_nan_in_all_three(tmp_path: Path) -> None:
    found = {
        "a": group(tmp_path, "a", loss={0: 1.0, 1: math.nan, 2: math.inf}),
        "b": group(tmp_path, "b", loss={0: 3.0, 1: 1.0, 2: 1.0}),
    }
    with View(tmp_path / "view") as view:
        Means(view).show({"s": ["a", "b"]}, found)
        for what, first in (("mean", 2.0), ("least", 1.0), ("most", 3.0)):
            curve = shown(view, f"s/{what}/train", "loss")
            assert curve[0] == first and math.isnan(curve[1]) and math.isnan(curve[2])


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_shown(
    tmp_path: Path, groups: dict[str, Group]
) -> None:
    lost = groups["a"].files["train/events.out.tfevents.0"]
    lost.unlink()
    with View(tmp_path / "view") as view:
        means = Means(view)
        means.show({"s": ["a", "b"], "t": ["b", "c"]}, groups)
        assert {path.split("/")[0] for path in files(view)} == {"t"} and not (view.folder / "s").exists()
        assert means.unread == [f"s: no curves ({lost}: No such file or directory)"]
        means.show({"s": ["b", "c"]}, groups)
        assert means.unread == [] and len(files(view)) == 3


def test_repeats_without_a_common_step_have_none(tmp_path: Path) -> None:
    found = {"a": group(tmp_path, "a", loss={0: 1.0}), "b": group(tmp_path, "b", loss={1: 1.0})}
    with View(tmp_path / "view") as view:
        Means(view).show({"s": ["a", "b"]}, found)
        assert files(view) == {}


def records(*events: Event) -> bytes:
    contents = [event.SerializeToString() for event in events]
    return b"".join(struct.pack("<Q4x", len(each)) + each + bytes(4) for each in contents)


def scalar(step: int, value: float, is_new: bool = False, size: int = 0) -> Event:
    event = Event(step=step)
    if is_new:
        shape = {"dim": [{"size": size}]} if size else {}
        tensor = TensorProto(dtype=1, float_val=[value], tensor_shape=shape)
        event.summary.value.add(tag="t", tensor=tensor, metadata=create_summary_metadata("", ""))
    else:
        event.summary.value.add(tag="t", simple_value=value)
    return event


@pytest.mark.parametrize("is_new", [False, True])
def test_scalars_of_both_forms_are_read_and_a_step_again_replaces(tmp_path: Path, is_new: bool) -> None:
    path = tmp_path / "x.tfevents"
    path.write_bytes(
        records(*(scalar(step, value, is_new) for step, value in [(0, 1), (1, 2), (2, 3), (1, 4)]))
    )
    assert curves.read({"r/x.tfevents": path}) == {("r", "t"): {0: 1.0, 1: 4.0}}


@pytest.mark.parametrize(
    "damage", [b"\xff" * 7, b"\xff" * 8 + bytes(8), struct.pack("<Q4x", 3) + b"\xff\xff\xff" + bytes(4)]
)
def test_what_comes_before_damage_is_read(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.tfevents"
    path.write_bytes(records(scalar(0, 1.0)) + damage + records(scalar(1, 2.0)))
    assert curves.read({"x.tfevents": path}) == {("", "t"): {0: 1.0}}


def test_a_scalar_that_says_it_is_large_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.tfevents"
    path.write_bytes(records(scalar(0, 1.0, True, 10**12)))
    (curve,) = curves.read({"x.tfevents": path}).values()
    assert math.isnan(curve[0])


def points(address: str, run: str) -> dict[int, float]:
    return {
        step: value for _, step, value in get(address, "plugin/scalars/scalars", run=run, tag="loss") or []
    }


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_tensorboard_shows_them_and_others_when_a_repeat_comes(tmp_path: Path, fast: str) -> None:
    repository: Repository = repeated.repeated(tmp_path / "r")
    with board(repository.path, "--", f"--load_fast={fast}") as served:

        def is_mean_of(*names: str) -> bool:
            each = [points(served.address, f"{name}/train") for name in names]
            run = f"train.lr=0.125 (mean of {len(names)})"
            found = {
                what: points(served.address, f"{run}/{what}/train") for what in ("mean", "least", "most")
            }
            if not all(len(curve) == 10 for curve in (*each, *found.values())):
                return False
            values = np.array([list(curve.values()) for curve in each])
            for what, expected in (
                ("mean", values.mean(axis=0)),
                ("least", values.min(axis=0)),
                ("most", values.max(axis=0)),
            ):
                assert list(found[what].values()) == pytest.approx(expected.tolist(), rel=1e-6)
            return True

        eventually(lambda: is_mean_of("b-1", "b-2"), True)
        repeated.run(repository, "b-3", seed=3, lr=0.125)
        eventually(lambda: is_mean_of("b-1", "b-2", "b-3"), True)
        runs = get(served.address, "runs")
        eventually(lambda: [run for run in get(served.address, "runs") if "lr=0.125 (mean of 2)" in run], [])
        assert any(run.startswith("train.lr=0.25 (mean of 3)/mean") for run in runs)
