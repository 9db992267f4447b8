"""A summary as a table, Markdown, CSV and JSON; a repository's names are only shown, whatever they are."""

import csv
import io
import json
import re

import pytest

from fashionboard.board import forms, settings
from fashionboard.board.forms import Summary
from fashionboard.board.group import Value
from fashionboard.board.settings import Experiment
from tests.support import rendered

EXPERIMENTS = [
    Experiment("a-1", {"lr": 0.25, "on": True}, {"score": 0.1, "top/loss": 1.0}, 10.0),
    Experiment("a-2", {"lr": 0.25, "on": True}, {"score": 0.2}, 11.5),
    Experiment("b", {"lr": 4.0, "on": False}, {"score": -1 / 3, "top/loss": 2.0}),
    Experiment("none", {"lr": 4.0}),
]
METRICS = ("score", "top/loss")
NASTY = "=1|<b>*c*</b> [d](http://e) `f` \\| &lt; www.g.h \x1b[31m"


def summary(experiments: list[Experiment], *names: str, metrics: tuple[str, ...] = METRICS) -> Summary:
    return Summary(settings.together(experiments, names), names, metrics)


def written(told: Summary) -> list[list[str]]:
    stream = io.StringIO()
    forms.write_csv(told, stream)
    return list(csv.reader(io.StringIO(stream.getvalue())))


def test_a_table_for_a_person() -> None:
    titles, *rows = forms.text(summary(EXPERIMENTS, "lr", "on")).splitlines()
    assert re.split("  +", titles.strip()) == [
        *("lr", "on", "n", "score n", "score mean", "score std"),
        *("top/loss n", "top/loss mean", "top/loss std", "seconds", "best", "worst"),
    ]
    assert [row.split() for row in rows] == [
        ["0.25", "true", "2", "2", "0.15", "0.071", "1", "1", "-", "10.8", "a-2", "a-1"],
        ["4", "false", "1", "1", "-0.333333", "-", "1", "2", "-", "-", "b", "b"],
        ["4", "-", "1", "0", "-", "-", "0", "-", "-", "-", "-", "-"],
    ]
    # numbers end where their title does
    assert rows[0].index("0.15") + 4 == titles.index("score mean") + len("score mean")
    # what says nothing new is not there
    found = forms.text(summary(EXPERIMENTS[2:3], "lr", metrics=("score",))).splitlines()
    assert found[0].split() == ["lr", "n", "score", "mean", "score", "std", "best", "worst"]


def test_csv_has_every_digit_and_json_too() -> None:
    told = summary(EXPERIMENTS, "lr", "on", metrics=("score",))
    rows = written(told)
    assert rows[0] == ["lr", "on", "n", "score n", "score mean", "score std", "seconds", "best", "worst"]
    assert rows[1][:4] == ["0.25", "true", "2", "2"] and rows[1][6:] == ["10.75", "a-2", "a-1"]
    mean, std = 0.15000000000000002, 0.07071067811865477
    assert (float(rows[1][4]), float(rows[1][5])) == pytest.approx((mean, std), rel=1e-15)
    assert rows[2] == ["4", "false", "1", "1", repr(-1 / 3), "", "", "b", "b"]
    assert rows[3] == ["4", "", "1", "0", "", "", "", "", ""]
    objects = [json.loads(line) for line in forms.objects(told)]
    assert objects[2] == {
        "parameters": {"lr": 4.0, "on": None},
        "n": 1,
        "metrics": {"score": {"n": 0, "mean": None, "std": None}},
        "seconds": None,
        "best": None,
        "worst": None,
        "experiments": ["none"],
    }
    assert objects[1]["metrics"]["score"] == {"n": 1, "mean": -1 / 3, "std": None}
    assert [float(rows[1][4]), float(rows[1][5])] == [
        objects[0]["metrics"]["score"]["mean"],
        objects[0]["metrics"]["score"]["std"],
    ]


def nasty() -> Summary:
    return summary([Experiment(NASTY, {NASTY: NASTY}, {NASTY: 1.0})], NASTY, metrics=(NASTY,))


def test_markdown_shows_every_name_as_it_is() -> None:
    text, tags, cells = rendered.read(forms.markdown(nasty()))
    assert tags == {"table", "thead", "tbody", "tr", "th", "td"}
    shown = NASTY.replace("\x1b", "\\x1b")
    assert cells == [shown, "1", "1", "-", shown, shown]
    assert f"{shown} mean" in text
    assert "\x1b" not in forms.markdown(nasty()) and "www." not in forms.markdown(nasty())


def test_markdown_reads_well_as_it_stands() -> None:
    found = forms.markdown(summary(EXPERIMENTS[:3], "lr", metrics=("score",)))
    assert found.splitlines() == [
        "| lr | n | score mean | score std | seconds | best | worst |",
        "| ---: | ---: | ---: | ---: | ---: | --- | --- |",
        "| 0.25 | 2 | 0.15 | 0.071 | 10.8 | a-2 | a-1 |",
        "| 4 | 1 | -0.333333 | - | - | b | b |",
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-x", "@sum(a)"])
def test_no_cell_of_csv_is_a_formula(text: str) -> None:
    values: list[Value] = [text, -0.5]
    found = [Experiment(text, {text: value, "b": 1.0}, {text: -1.0}) for value in values]
    header, *rows = written(summary(found, text, metrics=(text,)))
    assert header[0] == f"'{text}" and header[3] == f"'{text} mean"
    assert rows[0][0] == rows[0][-1] == f"'{text}"
    # a number is none
    assert rows[1][0] == "-0.5" and rows[1][3] == "-1"


def test_what_acts_on_a_terminal_or_parts_lines_is_a_code() -> None:
    assert "\x1b" not in forms.text(nasty())
    text = "a\r\nb\t\x1b"
    header, *rows = written(summary([Experiment("x", {text: text})], text))
    assert (header[0], rows[0][0]) == (r"a\r\nb\t\x1b",) * 2 and len(rows) == 1
