import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from fashionboard.events.writer import EventWriter
from fashionboard.repository.cache import Cache
from fashionboard.verify import compare
from fashionboard.verify.compare import Difference
from tests.support import hostile

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


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        # an unsigned difference, one that is no number, and a change of sign that is none in value
        (np.array([1], np.uint8), np.array([2], np.uint8), "tensor 'w' by 1"),
        (np.array([1.0]), np.array([np.nan]), "tensor 'w'"),
        (np.array([0.0]), np.array([-0.0]), "tensor 'w' by 0"),
        (np.array([True]), np.array([False]), "tensor 'w' by 1"),
        (
            np.zeros(1, np.float32),
            np.zeros(1),
            "tensor 'w' is float32 (1,) in one, float64 (1,) in the other",
        ),
    ],
)
def test_tensors_of_any_kind_are_compared(
    tmp_path: Path, one: np.ndarray, other: np.ndarray, message: str
) -> None:
    safetensors.numpy.save_file({"w": one}, tmp_path / "a")
    safetensors.numpy.save_file({"w": other}, tmp_path / "b")
    assert texts(tmp_path / "a", tmp_path / "b", "net.safetensors") == [message]


@pytest.mark.parametrize(
    ("expected", "found", "message"),
    [
        ('{"a": NaN, "b": 1}', '{"a": NaN, "b": 2}', ["metric b by 1"]),
        ('{"a": NaN}', '{"a": 1}', ["metric a"]),
        ('[{"a": 1}, 2]', '[{"a": 3}, 2]', ["metric 0.a by 2"]),
        ("1", "2", ["the value by 1"]),
        ('{"a": 1}', '{"a": 1' + "0" * 400 + "}", ["metric a"]),
        ('{"a": 1}', '{"a": 1' + "0" * 5000 + "}", ["the bytes"]),
        ("[" * 100_000, "{}", ["the bytes"]),
        ("[" * 900 + "]" * 900, '{"a": 1}', ["metric a is in only one"]),
        ("", "{}", ["the bytes"]),
        ("not JSON", "{}", ["the bytes"]),
    ],
)
def test_json_of_any_kind_is_compared(tmp_path: Path, expected: str, found: str, message: list[str]) -> None:
    (tmp_path / "a").write_text(expected)
    (tmp_path / "b").write_text(found)
    assert texts(tmp_path / "a", tmp_path / "b", "metrics.json") == message


class Stored:
    """A cache with the recorded version of an output, and one with the new version."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = folder / "old", folder / "new"

    def differences(self, path: str, recorded: str, found: str) -> list[Difference]:
        return compare.output(path, (Cache(self.old), recorded), (Cache(self.new), found))

    def texts(self, path: str, recorded: str, found: str) -> list[str]:
        return list(map(str, self.differences(path, recorded, found)))

    def place(self, digest: str) -> Path:
        return self.old / "files" / "md5" / digest[:2] / digest[2:]

    def listed(self, cache: Path, files: dict[str, bytes]) -> str:
        """Store a folder, and return its name in the cache."""
        entries = [{"md5": hostile.store(cache, files[name]), "relpath": name} for name in sorted(files)]
        return hostile.store(cache, json.dumps(entries).encode(), ".dir")


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


def whole(kind: str, folder: Path, value: float) -> bytes:
    """What an output of a kind holds."""
    if kind == "events":
        return events(folder / str(value), value).read_bytes()
    if kind == "model":
        return safetensors.numpy.save({"w": np.full(5, value)})
    if kind == "json":
        return json.dumps({"accuracy": value}).encode()
    return f"kind,{kind}\nvalue,{value}\n".encode() * 20


NAMES = {"events": "x.tfevents", "model": "net.safetensors", "json": "m.json", "csv": "x.csv", "png": "x.png"}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "a bit turned": lambda content: content[:-3] + bytes([content[-3] ^ 4]) + content[-2:],
    "empty": lambda content: b"",
    "of another kind": lambda content: b"[" * 100_000,
    "not text": lambda content: b"\xff\xfe" * 30,
    "nonsense behind it": lambda content: content + b"\0" * 20,
    "not a number": lambda content: b'{"accuracy": NaN}',
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_named_whatever_it_was(
    stored: Stored, tmp_path: Path, kind: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name = NAMES[kind]
    recorded = hostile.store(stored.old, whole(kind, tmp_path, 0.5))
    found = hostile.store(stored.new, whole(kind, tmp_path, 0.25))
    assert "damaged" not in str(stored.differences(name, recorded, found))
    place = stored.place(recorded)
    place.chmod(0o644)
    place.write_bytes(DAMAGES[damage](place.read_bytes()))
    advice = f"remove {place}, and bring it back with `dvc fetch`"
    assert stored.texts(name, recorded, found) == [f"the recorded one is damaged in DVC's cache; {advice}"]
    # recorded with such bytes, it is not damaged, but differs
    other = hostile.store(stored.old, place.read_bytes())
    assert all("damaged" not in text for text in stored.texts(name, other, found))
    assert stored.texts(name, other, found)
    # nor does a reader print anything
    assert capfd.readouterr() == ("", "")


def test_in_a_folder_the_file_is_named(stored: Stored) -> None:
    files = {"a.csv": b"1", "b/c.png": b"2", "d.json": b"{}", "same": b"3"}
    recorded = stored.listed(stored.old, files)
    found = stored.listed(stored.new, {**files, "a.csv": b"4", "b/c.png": b"5", "d.json": b'{"x": 1}'})
    assert stored.texts("runs", recorded, found) == [
        "the bytes of a.csv",
        "the bytes of b/c.png",
        "metric x is in only one",
    ]
    place = stored.place(hostile.md5(b"2"))
    place.chmod(0o644)
    place.write_bytes(b"")
    advice = f"remove {place}, and bring it back with `dvc fetch`"
    stored.place(hostile.md5(b"1")).unlink()
    assert stored.texts("runs", recorded, found) == [
        "the bytes of a.csv; to see which, bring the recorded output here with `dvc pull`",
        f"the recorded b/c.png is damaged in DVC's cache; {advice}",
        "metric x is in only one",
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[" * 100_000, b'[{"md5": 1}]'])
def test_a_damaged_list_of_files_is_named(stored: Stored, content: bytes) -> None:
    recorded = stored.listed(stored.old, {"a.csv": b"1"})
    found = stored.listed(stored.new, {"a.csv": b"2"})
    place = stored.place(recorded)
    place.chmod(0o644)
    place.write_bytes(content)
    advice = f"remove {place}, and bring it back with `dvc fetch`"
    assert stored.texts("runs", recorded, found) == [
        f"the recorded list of files is damaged in DVC's cache; {advice}"
    ]
    # recorded with such bytes, it is none
    assert stored.texts("runs", hostile.store(stored.old, content, ".dir"), found) == ["the bytes"]


@pytest.mark.parametrize("what", ["folder", "link", "loop"])
def test_what_is_no_file_in_the_place_of_an_object_is_named(
    stored: Stored, tmp_path: Path, what: str
) -> None:
    recorded, found = hostile.store(stored.old, b"1"), hostile.store(stored.new, b"2")
    place = stored.place(recorded)
    place.unlink()
    if what == "folder":
        place.mkdir()
    else:
        (tmp_path / "secret").write_bytes(b"1")
        place.symlink_to(tmp_path / "secret" if what == "link" else place)
    advice = f"remove {place}, and bring it back with `dvc fetch`"
    assert stored.texts("x.csv", recorded, found) == [f"the recorded one is no file in DVC's cache; {advice}"]


def test_the_line_ends_of_a_text_in_a_cache_of_dvc_2_are_no_damage(stored: Stored) -> None:
    content = b"1\r\n2\r\n"
    recorded = hostile.md5(content.replace(b"\r\n", b"\n"))
    (stored.old / recorded[:2]).mkdir(parents=True)
    (stored.old / recorded[:2] / recorded[2:]).write_bytes(content)
    assert stored.texts("x.csv", recorded, hostile.store(stored.new, b"3")) == ["the bytes"]


def test_files_in_another_order_or_under_another_key_are_told(stored: Stored) -> None:
    one = {"md5": hostile.store(stored.old, b"1"), "relpath": "x.tfevents.0a"}
    other = {"md5": hostile.store(stored.new, b"1"), "relpath": "x.tfevents.0b"}
    recorded = hostile.store(stored.old, json.dumps([one]).encode(), ".dir")
    found = hostile.store(stored.new, json.dumps([other]).encode(), ".dir")
    assert stored.texts("runs", recorded, found) == ["the names or the order of its files"]
