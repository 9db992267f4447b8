from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fashionboard import compare
from fashionboard.events import EventWriter

PIXELS = np.zeros((2, 2), np.uint8)


def texts(expected: Path, found: Path, name: str) -> list[str]:
    return [str(difference) for difference in compare.files(expected, found, name)]


def events(folder: Path, loss: float, level: int = 0) -> Path:
    with EventWriter(folder, "0123456789abcdef") as writer:
        writer.scalar("training loss", 1.0, 29)
        writer.scalar("training loss", loss, 59)
        writer.image("picture", PIXELS + level, 59)
    return writer.path


def test_the_same_bytes_do_not_differ(tmp_path: Path) -> None:
    assert texts(events(tmp_path / "a", 0.5), events(tmp_path / "b", 0.5), "x.tfevents") == []


def test_a_scalar_is_named_by_tag_and_step(tmp_path: Path) -> None:
    found = texts(events(tmp_path / "a", 0.5), events(tmp_path / "b", 0.25), "x.tfevents.1")
    assert found == ["tag 'training loss' at step 59 by 0.25"]


def test_a_picture_is_named_by_tag_and_step(tmp_path: Path) -> None:
    found = texts(events(tmp_path / "a", 0.5), events(tmp_path / "b", 0.5, level=1), "x.tfevents.1")
    assert found == ["tag 'picture' at step 59"]


def test_a_tensor_is_named_with_its_largest_difference(tmp_path: Path) -> None:
    one = {"same": np.zeros(2), "w": np.array([1.0, 2.0]), "gone": np.zeros(1)}
    other = {"same": np.zeros(2), "w": np.array([1.5, 2.125])}
    safetensors.numpy.save_file(one, tmp_path / "a")
    safetensors.numpy.save_file(other, tmp_path / "b")
    found = texts(tmp_path / "a", tmp_path / "b", "net.safetensors")
    assert found == ["tensor 'gone' is in only one", "tensor 'w' by 0.5"]


@pytest.mark.parametrize(
    ("expected", "found", "message"),
    [
        ('{"a": {"b": 1.0}}', '{"a": {"b": 1.5}}', ["metric a.b by 0.5"]),
        ('{"a": "x"}', '{"a": "y"}', ["metric a"]),
        ('{"a": 1}', '{"a": 1, "b": 2}', ["metric b is in only one"]),
        ('{"a": 1}', '{"a":  1}', ["the bytes"]),
    ],
)
def test_a_metric_is_named(tmp_path: Path, expected: str, found: str, message: list[str]) -> None:
    (tmp_path / "a").write_text(expected)
    (tmp_path / "b").write_text(found)
    assert texts(tmp_path / "a", tmp_path / "b", "metrics/train.json") == message


def test_of_other_files_the_bytes_are_said_to_differ(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    assert texts(tmp_path / "a", tmp_path / "b", "plots/x.csv") == ["the bytes"]
