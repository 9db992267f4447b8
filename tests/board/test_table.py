"""The printed table: what it says of commits, wide letters, and a terminal's width."""

import pytest

from fashionboard.board.group import Group
from fashionboard.board.table import table, width
from fashionboard.repository.commits import Commit

WIDE = ["日本語", "e\u0301te\u0301", "🚀-1", "👩\u200d👩\u200d👧", "한국", "plain"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [("日本語", 6), ("e\u0301", 1), ("🚀", 2), ("👩\u200d👩\u200d👧", 2), ("ﾊﾛｰ", 3), ("a\x1bb", 3), ("", 0)],
)
def test_the_width_of_letters(text: str, columns: int) -> None:
    assert width(text) == columns


def test_wide_letters_are_aligned() -> None:
    header, *lines = table([Group(name, "1234567", "experiment") for name in WIDE]).splitlines()
    place = width(header[: header.index("revision")])
    assert {width(line[: line.index("1234567")]) for line in lines} == {place} == {8}


def commit(subject: str, author: str = "Ada") -> Commit:
    return Commit("1" * 40, author, "", subject)


def test_a_subject_is_cut_to_a_terminal_and_else_never() -> None:
    long = "日本語 " * 40
    groups = [
        Group("main", "1234567", "commit", commit=commit(long.strip())),
        Group("short", "1234567", "commit", commit=commit("short", "")),
        Group("workspace", "", "workspace"),
    ]
    for line in table(groups, room=90).splitlines():
        assert width(line) <= 90
    assert max(width(line) for line in table(groups, room=90).splitlines()) >= 86
    assert "..." in table(groups, room=90) and "..." not in table(groups)
    assert long.strip() in table(groups)
    header, _, short, workspace = table(groups, room=40).splitlines()
    assert header.split()[-2:] == ["author", "subject"]
    assert short.split()[-2:] == ["-", "short"] and workspace.split()[-2:] == ["-", "-"]


def test_an_author_leaves_room_for_the_subject() -> None:
    line = table([Group("main", "1234567", "commit", commit=commit("x" * 200, "A" * 200))], room=120)
    assert all(width(each) <= 120 for each in line.splitlines())
    assert "xxxxxxxxxxxxxxxxxxxxxxxx" in line and "AAAAAAAA" in line


def test_values_have_columns() -> None:
    groups = [
        Group(
            "a",
            "",
            "experiment",
            parameters={"lr": 1e-05, "set": "drawn"},
            metrics={"accuracy": 0.8456789012},
        ),
        Group("b", "", "experiment"),
    ]
    header, first, second = table(groups, ["accuracy", "lr", "set"]).splitlines()
    assert header.split()[-3:] == ["accuracy", "lr", "set"]
    assert first.split()[-3:] == ["0.845679", "1e-05", "drawn"]
    assert second.split()[-3:] == ["-", "-", "-"]
