import json
import os
from pathlib import Path

import pytest

from fashionboard.base import outputs


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    outputs.write_bytes(tmp_path / "a" / "b", b"x")
    assert (tmp_path / "a" / "b").read_bytes() == b"x"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    outputs.write_json(tmp_path / "f.json", {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        outputs.write_json(tmp_path / "f.json", {"a": float("nan")})
    assert json.loads((tmp_path / "f.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_csv_quotes_and_ends_lines_the_same_everywhere(tmp_path: Path) -> None:
    outputs.write_csv(tmp_path / "f.csv", ["x", "a,b"], [(1, 0.1), (2, "ä")])
    assert (tmp_path / "f.csv").read_bytes() == 'x,"a,b"\n1,0.1\n2,ä\n'.encode()


def test_a_link_at_either_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in ("f", f".f.{os.getpid()}.partial"):
        (tmp_path / name).symlink_to("mine")
    outputs.write_bytes(tmp_path / "f", b"x")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "f").is_symlink() and (tmp_path / "f").read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "mine"]
