"""The rooms of the library: which may import which, read from the code."""

import shutil
from pathlib import Path

import pytest

from tests.support import imports

# from the ground up: a room imports only rooms of floors below its own
FLOORS = (
    {"base"},
    {"data", "network", "evaluation", "events", "pictures", "repository"},
    {"sources", "training", "figures", "predict", "verify", "restore", "board", "sweep"},
    {"cli"},
)
_FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def arrows(root: Path) -> set[tuple[str, str]]:
    """Return which room imports which other one, as the code says."""
    found = set()
    for path in (root / "src" / "fashionboard").rglob("*.py"):
        for imported in imports.files(root, path):
            start, end = (
                each.relative_to(root / "src" / "fashionboard").parts[0] for each in (path, imported)
            )
            found.add((start.removesuffix(".py"), end.removesuffix(".py")))
    return {(start, end) for start, end in found if start != end}


def upward(root: Path) -> set[tuple[str, str]]:
    return {(start, end) for start, end in arrows(root) if _FLOOR[end] >= _FLOOR[start]}


def test_every_folder_is_a_room_with_a_floor(root: Path) -> None:
    library = root / "src" / "fashionboard"
    rooms = {path.parent.name for path in library.glob("*/__init__.py")}
    modules = {path.stem for path in library.glob("*.py")} - {"__init__"}
    assert rooms | modules == _FLOOR.keys()


def test_imports_run_downwards_only(root: Path) -> None:
    assert arrows(root) and upward(root) == set()


@pytest.mark.parametrize(
    ("room", "line", "arrow"),
    [
        ("base", "from fashionboard.data import idx", ("base", "data")),
        ("events", "import fashionboard.evaluation.scores", ("events", "evaluation")),
        ("repository", "def f():\n    from fashionboard.board.view import View", ("repository", "board")),
    ],
)
def test_an_arrow_upwards_or_to_a_neighbour_is_found(
    tmp_path: Path, root: Path, room: str, line: str, arrow: tuple[str, str]
) -> None:
    shutil.copytree(root / "src", tmp_path / "src")
    with (tmp_path / "src" / "fashionboard" / room / "__init__.py").open("a") as code:
        code.write(f"\n{line}\n")
    assert upward(tmp_path) == {arrow}
