import os
from pathlib import Path

from fashionboard.board import marks


def test_what_a_killed_board_left_behind_goes(tmp_path: Path) -> None:
    mine = marks.own(tmp_path)
    # a process that ended, one whose number was given anew, a view kept on purpose, a living one
    folders = ["999999999-1", f"{os.getpid()}-1", "view", mine.name]
    for name in folders:
        (tmp_path / name).mkdir()
        marks.write(tmp_path / name, name)
    assert marks.own(tmp_path) == mine
    assert {path.name for path in tmp_path.iterdir()} == {"view", mine.name}
