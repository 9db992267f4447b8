"""How long stages took, in the real TensorBoard's Text tab: of commits and experiments."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fashionboard.base.clock import PARTS, Loop
from fashionboard.board import timed
from fashionboard.repository.times import Kept, Times
from tests.support import hostile, rendered
from tests.support.servers import Served, board, eventually, get

# of the event file of `hostile.recorded`
KEY = "0123456789abcdef"
TIMES = Times(dict.fromkeys(PARTS, 1.25), 651_000_000, "AMD EPYC", Loop(0, 15_000, 10.0))
CELLS = ["7.50", *["1.25"] * 6, "15,000", "1,500", "651 MB", "AMD EPYC"]


def kept(processor: str = "AMD EPYC") -> str:
    loop = {"first_step": 0, "steps": 15_000, "seconds": 10.0}
    return json.dumps(
        {"parts": TIMES.parts, "peak_memory": 651_000_000, "processor": processor, "loop": loop}
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return hostile.recorded(tmp_path / "r")


@pytest.fixture
def place(repository: Path) -> Path:
    path = repository / ".dvc" / "tmp" / "fashionboard" / f"times-{KEY}.json"
    path.parent.mkdir(parents=True)
    return path


def test_a_key_is_told_by_an_event_files_name_and_by_no_other() -> None:
    files = {
        f"train/events.out.tfevents.{KEY}": KEY,
        f"deep/train/out/events.out.tfevents.{KEY[::-1]}": KEY[::-1],
        "other/events.out.tfevents.1700000000.host.12.0": None,
        f"long/events.out.tfevents.{KEY}0": None,
        f"none/{KEY}": None,
        f"more/events.out.tfevents.{KEY}.v2": None,
    }
    assert timed.keys(files) == {"train": KEY, "deep/train/out": KEY[::-1]}


def test_what_is_known_is_told(repository: Path, place: Path) -> None:
    place.write_text(kept())
    files = [f"train/events.out.tfevents.{KEY}", f"evaluate/events.out.tfevents.{KEY[::-1]}"]
    found = timed.of(files, Kept(repository))
    assert found == {"train": TIMES}
    assert list(timed.cells(TIMES).values()) == CELLS
    assert tuple(timed.cells(TIMES)) == tuple(timed.cells(None)) == timed.TITLES
    assert set(timed.cells(None).values()) == {"-"}
    resumed = timed.cells(Times({}, None, "", Loop(9_000, 6_000, 0)))
    assert [resumed[name] for name in ("steps", "steps/s", "peak memory", "processor")] == [
        "6,000 from 9,000",
        *"---",
    ]


def test_a_table_shows_every_name_as_it_is_and_holds_no_other_html() -> None:
    name = "a|b\n<b>*c*</b> [d](http://e) `f` \\| &lt;"
    times = Times(TIMES.parts, None, "<img src=x> | y", None)
    text, tags, cells = rendered.read(timed.markdown({name: times, "train": TIMES}))
    assert tags == {"table", "thead", "tbody", "tr", "th", "td", "br"}
    shown = "a|b<b>*c*</b> [d](http://e) `f` \\| &lt;"
    assert cells[::3] == list(timed.TITLES)
    assert cells[1::3] == [*CELLS[:7], "-", "-", "-", "<img src=x> | y"]
    assert cells[2::3] == CELLS
    assert text.replace("\n", "").startswith(f"{shown}train")


def texts(served: Served) -> dict[str, dict[str, str]]:
    """Return the texts of each run by tag."""
    tags = get(served.address, "plugin/text/tags") or {}
    ask = partial(get, served.address, "plugin/text/text")
    return {
        run: {tag: "".join(e["text"] for e in ask(run=run, tag=tag)) for tag in tags[run]} for run in tags
    }


def told(served: Served, run: str) -> Any:
    """Return what the table of a run with one stage says: the stage, and its cells."""
    text, _, cells = rendered.read(texts(served).get(run, {}).get("times", ""))
    return [*text.split()[:1], *cells[-2 * len(CELLS) :][1::2]]


LOADERS = pytest.mark.parametrize("fast", ["true", "false"])


@LOADERS
def test_the_text_tab_shows_them(repository: Path, place: Path, fast: str) -> None:
    place.write_text(kept())
    with board(repository, "--", f"--load_fast={fast}") as served:
        eventually(lambda: told(served, "main"), ["train", *CELLS])
        assert "author" in texts(served)["main"]["commit"]
        # TensorBoard would have to forget all of the workspace when they change
        assert sorted(get(served.address, "runs")) == ["main", "main/train", "workspace/train"]
        # no metrics
        assert get(served.address, "plugin/scalars/tags").keys() == {"main/train", "workspace/train"}


@pytest.mark.slow
@LOADERS
def test_another_run_of_the_same_inputs_takes_no_curve_away(repository: Path, place: Path, fast: str) -> None:
    place.write_text(kept())
    loading = ("--", f"--load_fast={fast}")
    with board(repository, *loading) as served:
        eventually(lambda: told(served, "main"), ["train", *CELLS])
        runs = get(served.address, "runs")
        place.write_text(kept("another processor"))
        with board(repository, *loading) as new:
            # meanwhile the other one has looked
            eventually(lambda: told(new, "main"), ["train", *CELLS[:-1], "another processor"])
            assert get(served.address, "runs") == runs and told(served, "main") == ["train", *CELLS]


def test_a_link_in_their_place_is_not_followed(repository: Path, place: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(kept())
    place.symlink_to(tmp_path / "secret.json")
    with board(repository) as served:
        eventually(lambda: set(texts(served)), {"main"})
        assert texts(served)["main"].keys() == {"commit"}
        assert place.readlink() == tmp_path / "secret.json"
