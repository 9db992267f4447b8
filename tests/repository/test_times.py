"""What a stage's process took, kept beside its run: found by the digest of its inputs, and never trusted."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from fashionboard.base import clock, processor
from fashionboard.base.clock import PARTS, Loop
from fashionboard.repository import keeping, times
from fashionboard.repository.times import Kept, Times
from tests.support import fuzz
from tests.support.hostile import seen

KEY = "0123456789abcdef"
GOOD: dict[str, Any] = {
    "parts": {**dict.fromkeys(PARTS, 0.25), "computing": 12},
    "peak_memory": 123_456_789,
    "processor": "AMD EPYC",
    "loop": {"first_step": 30, "steps": 70, "seconds": 3.5},
}


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "r"
    (root / ".dvc").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(root))
    return root


@pytest.fixture
def place(repository: Path) -> Path:
    path = repository / ".dvc" / "tmp" / "fashionboard" / f"times-{KEY}.json"
    path.parent.mkdir(parents=True)
    return path


def test_what_is_kept_is_found_by_its_key(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = clock.Clock(before=1.25)
    measured.loop = Loop(0, 100, 0.5)
    monkeypatch.setattr(clock, "own", measured)
    times.keep("train", KEY)
    found = Kept(repository).find(KEY)
    assert found is not None
    assert found.parts["imports"] >= 1.25 and found.seconds == sum(found.parts.values())
    assert found.peak_memory is not None and found.peak_memory > 10_000_000
    assert found.processor == processor.name()
    assert found.loop == measured.loop and found.steps_per_second == 200
    assert Kept(repository).find(KEY[::-1]) is None


def test_all_of_it_is_read(repository: Path, place: Path) -> None:
    place.write_text(json.dumps(GOOD))
    found = Kept(repository).find(KEY)
    assert found == Times(GOOD["parts"], 123_456_789, "AMD EPYC", Loop(30, 70, 3.5))
    assert (found.seconds, found.steps_per_second) == (13.25, 20)


def test_a_training_with_no_step_left_has_no_speed() -> None:
    assert Times({}, None, "", Loop(100, 0, 0.1)).steps_per_second is None
    assert Times({}, None, "", Loop(0, 100, 0)).steps_per_second is None
    assert Times({}, None, "").steps_per_second is None


def test_a_zero_has_no_sign(repository: Path, place: Path) -> None:
    place.write_text(json.dumps({**GOOD, "parts": dict.fromkeys(PARTS, -0.0)}))
    found = Kept(repository).find(KEY)
    assert found is not None and str(found.seconds) == "0.0"


def test_what_was_in_the_way_may_go(repository: Path, place: Path) -> None:
    place.write_text(json.dumps(GOOD))
    away = place.parent.rename(repository / "away")
    place.parent.symlink_to(away)
    kept = Kept(repository)
    assert kept.find(KEY) is None
    place.parent.unlink()
    away.rename(place.parent)
    assert kept.find(KEY) is not None


def test_a_number_that_no_process_has_is_nobodys(place: Path) -> None:
    partial = place.with_name(f".{place.name}.{'9' * 30}.partial")
    partial.touch()
    times.keep("embed", KEY)
    assert place.exists() and partial.exists()


def test_a_stage_succeeds_where_nothing_can_be_said(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".dvc" / "tmp").symlink_to(tmp_path)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        times.keep("embed", KEY)
        # what it holds would be said at its end
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert not (tmp_path / "fashionboard").exists()


def test_what_has_changed_is_read_again_and_what_is_gone_is_forgotten(repository: Path, place: Path) -> None:
    kept = Kept(repository)
    assert kept.find(KEY) is None
    for name in ("one", "two"):
        place.write_text(json.dumps({**GOOD, "processor": name}))
        os.utime(place, ns=(0, len(name) + ord(name[0])))
        found = kept.find(KEY)
        assert found is not None and found.processor == name
        assert kept.find(KEY) is found
    place.unlink()
    assert kept.find(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        {"parts": {}},
        {"parts": {**GOOD["parts"], "more": 1}},
        {"parts": {**GOOD["parts"], "events": True}},
        {"parts": {**GOOD["parts"], "events": -0.1}},
        {"parts": {**GOOD["parts"], "events": float("nan")}},
        {"parts": {**GOOD["parts"], "events": float("inf")}},
        {"parts": {**GOOD["parts"], "events": "1"}},
        {"parts": [1, 2, 3, 4, 5, 6]},
        {"peak_memory": 1.5},
        {"peak_memory": 10**16},
        {"peak_memory": False},
        {"processor": None},
        {"processor": "x" * 201},
        {"processor": "\ud800"},
        {"loop": {}},
        {"loop": {**GOOD["loop"], "steps": -1}},
        {"loop": {**GOOD["loop"], "seconds": None}},
        {"loop": {**GOOD["loop"], "seconds": 1e-300}},
        {"more": 1},
    ],
)
def test_anything_else_is_as_if_it_were_not_there(
    repository: Path, place: Path, change: dict[str, Any]
) -> None:
    place.write_text(json.dumps({**GOOD, **change}))
    assert Kept(repository).find(KEY) is None


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "\x00", "[" * 4000, "9" * 4000])
def test_what_is_no_record_is_as_if_it_were_not_there(repository: Path, place: Path, content: str) -> None:
    place.write_text(content)
    assert Kept(repository).find(KEY) is None


def test_no_more_is_read_than_a_record_has(repository: Path, place: Path) -> None:
    good = json.dumps(GOOD)
    place.write_text(good + " " * (4000 - len(good)))
    assert Kept(repository).find(KEY) is not None
    place.write_text(good + " " * (4001 - len(good)))
    assert Kept(repository).find(KEY) is None


def test_a_damaged_record_is_one_or_none(repository: Path, place: Path) -> None:
    pieces = [b"NaN", b"null", b"{}", b"[]", b'""', b"1e400", b"\\ud800", b"true", b"-", b"9" * 400, b"\xff"]
    unread = 0
    for number in range(300):
        place.write_bytes(fuzz.damaged(json.dumps(GOOD).encode(), f"times {number}", pieces))
        found = Kept(repository).find(KEY)
        unread += found is None
        if found:
            assert 0 <= found.seconds < 10**17
            found.processor.encode()
    assert unread > 30


@pytest.mark.parametrize(
    "name", [".dvc", ".dvc/tmp", ".dvc/tmp/fashionboard", f".dvc/tmp/fashionboard/times-{KEY}.json"]
)
def test_no_link_is_followed(repository: Path, place: Path, tmp_path: Path, name: str) -> None:
    place.write_text(json.dumps(GOOD))
    (repository / name).rename(tmp_path / "elsewhere")
    (repository / name).symlink_to(tmp_path / "elsewhere")
    assert Kept(repository).find(KEY) is None


@pytest.mark.parametrize("key", ["", "x" * 16, "0" * 15, "../" + "0" * 13, "0" * 17, KEY.upper()])
def test_a_name_that_is_no_key_is_looked_for_nowhere(repository: Path, place: Path, key: str) -> None:
    place.with_name(f"times-{key.replace('/', '')}.json").write_text(json.dumps(GOOD))
    assert Kept(repository).find(key) is None


def test_a_fifo_is_not_waited_for(repository: Path, place: Path) -> None:
    os.mkfifo(place)
    assert Kept(repository).find(KEY) is None


def test_where_there_is_no_dvc_nothing_is_kept(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(repository / ".dvc")
    times.keep("train", KEY)
    assert list(repository.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_where_they_cannot_be_kept_one_line_says_so(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    (tmp_path / "outside").mkdir()
    place = repository / ".dvc" / "tmp"
    if kind == "link":
        place.symlink_to(tmp_path / "outside")
    else:
        place.touch()
    before = seen(tmp_path / "outside")
    times.keep("train", KEY)
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("train: how long it took cannot be kept (")
    assert seen(tmp_path / "outside") == before


def test_a_full_disk_is_said_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(keeping, "write", full)
    times.keep("train", KEY)
    line = "train: how long it took cannot be kept (x: No space left on device)\n"
    assert capsys.readouterr() == ("", line)


def test_the_newest_are_kept(
    repository: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(times, "_NEWEST", 3)
    (tmp_path / "outside").touch()
    for age, name in enumerate(
        ["times-a.json", "other-b.json", "times-c.json", "times-d.json", "times-e.json"]
    ):
        path = place.with_name(name)
        # a link is removed itself, not what it leads to
        path.symlink_to(tmp_path / "outside") if name == "times-a.json" else path.touch()
        os.utime(path, ns=(0, age), follow_symlinks=False)
    times.keep("train", KEY)
    left = {path.name for path in place.parent.iterdir()}
    assert left == {"other-b.json", "times-d.json", "times-e.json", place.name}
    assert (tmp_path / "outside").exists()
