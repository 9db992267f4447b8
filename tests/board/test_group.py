from pathlib import Path

import pytest

from fashionboard.board import group
from fashionboard.board.group import Group
from fashionboard.board.table import size, table

EVENTS = "events.out.tfevents.1.host"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        # one folder of event files, whole; what holds none is left out
        (
            {"logs": [f"logs/{EVENTS}", "logs/a/x.tsv"], "model": ["model/net.pt"]},
            [f"train/{EVENTS}", "train/a/x.tsv"],
        ),
        # folders below
        (
            {"logs": [f"logs/fit/{EVENTS}", f"logs/val/{EVENTS}"]},
            [f"train/fit/{EVENTS}", f"train/val/{EVENTS}"],
        ),
        # two outputs, one of them outside
        (
            {"logs": [f"logs/{EVENTS}"], "../more/tb": [f"../more/tb/{EVENTS}"]},
            [f"train/logs/{EVENTS}", f"train/more/tb/{EVENTS}"],
        ),
        # a file as an output: its folder
        (
            {f"tb/{EVENTS}": [f"tb/{EVENTS}"], "tb/x.tsv": ["tb/x.tsv"], "net.pt": ["net.pt"]},
            [f"train/{EVENTS}", "train/x.tsv"],
        ),
        ({EVENTS: [EVENTS], "net.pt": ["net.pt"]}, [f"train/{EVENTS}", "train/net.pt"]),
        ({"tfevents": ["tfevents/notes.txt"]}, []),
        ({}, []),
        # nothing leaves the view, and no name is too long
        ({"logs": [f"logs/../../x/{EVENTS}"]}, [f"train/x/{EVENTS}"]),
        ({f"/etc/{EVENTS}": [f"/etc/{EVENTS}"]}, [f"train/{EVENTS}"]),
        ({"logs": [f"logs/a\x00b\\c/{EVENTS}"]}, [f"train/a-b-c/{EVENTS}"]),
        # two outputs that would be one folder
        (
            {"logs": [f"logs/{EVENTS}"], "../logs": [f"../logs/{EVENTS}"]},
            [f"train/logs/{EVENTS}", f"train~2/logs/{EVENTS}"],
        ),
    ],
)
def test_what_belongs_into_the_view(outputs: dict[str, list[str]], expected: list[str]) -> None:
    found = group.arrange("train", {name: {path: path for path in paths} for name, paths in outputs.items()})
    assert sorted(found) == sorted(expected)


def test_integers_keep_all_their_digits() -> None:
    exact, beyond = 2**53, 2**53 + 1
    assert group.parameters({"a": exact, "b": beyond, "c": -beyond, "d": 10**400}) == {
        "a": float(exact),
        "b": str(beyond),
        "c": str(-beyond),
        "d": str(10**400),
    }


def test_parameters_are_numbers_where_they_can_be() -> None:
    values = {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": "1e-05",
        "e": None,
        "f": [1, 2],
        "g": "on",
        "h": float("nan"),
        "i": "12",
    }
    assert group.parameters(values) == {
        "a": 1.0,
        "b": 0.5,
        "c": True,
        "d": 1e-5,
        "e": "null",
        "f": "[1, 2]",
        "g": "on",
        "h": "nan",
        "i": "12",
    }
    assert isinstance(group.parameters({"a": 1})["a"], float)


def test_metrics_are_the_finite_numbers() -> None:
    assert group.metrics({"a": 1, "b": "x", "c": True, "d": float("inf"), "e": None, "f": 0.5}) == {
        "a": 1.0,
        "f": 0.5,
    }


def test_a_stage_cannot_leave_its_group() -> None:
    found = group.arrange("../../../src/train", {"logs": {f"logs/{EVENTS}": 1}})
    assert list(found) == [f"src/train/{EVENTS}"]
    assert list(group.arrange("/abs/train", {"logs": {f"logs/{EVENTS}": 1}})) == [f"abs/train/{EVENTS}"]


def test_numbers_that_are_too_large_are_texts_or_no_metrics() -> None:
    huge = 10**400
    assert group.parameters({"a": huge}) == {"a": str(huge)}
    assert group.metrics({"a": huge, "b": 2}) == {"b": 2.0}


def test_the_table_names_everything(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"0" * 600)
    files = {
        f"train/{EVENTS}": tmp_path / "one",
        f"evaluate/a/{EVENTS}": tmp_path / "two",
        "x": tmp_path / "gone",
    }
    groups = [
        Group("workspace", "", "workspace", files),
        Group("lr-0.01", "1234567", "experiment", missing=("logs",)),
    ]
    assert table(groups).splitlines() == [
        "name       revision  stages            files    size  state",
        "workspace  -         evaluate/a train      3  1.2 kB  workspace",
        "lr-0.01    1234567   -                     0     0 B  experiment, incomplete",
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (31_400_000, "31.4 MB"),
        (5e15, "5e+03 TB"),
    ],
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said
