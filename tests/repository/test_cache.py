from pathlib import Path

import pytest

from fashionboard.base.errors import DataError
from fashionboard.repository.cache import Cache
from tests.support.repository import Repository


def test_what_is_not_in_the_cache_is_not_found(finished: Repository) -> None:
    assert Cache(finished.path).files("x", "0" * 32) is None
    assert Cache(finished.path).files("x", "0" * 32 + ".dir") is None


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "manifest",
    [
        "{}",
        "[1]",
        '[{"md5": 5, "relpath": "a"}]',
        '[{"md5": "a", "relpath": 5}]',
        '[{"md5": "a"}]',
        DEEP,
        "",
        "\0",
    ],
)
def test_a_damaged_list_of_files_is_refused(tmp_path: Path, manifest: str) -> None:
    with pytest.raises(DataError, match="expected a JSON list of files"):
        Cache(tmp_path).learn("a" * 32 + ".dir", manifest.encode())


def test_the_cache_of_dvc_2_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / ("c" * 30)).touch()
    assert Cache(tmp_path).find("ab" + "c" * 30) == tmp_path / "ab" / ("c" * 30)
    assert Cache(tmp_path).find("ab" + "d" * 30) is None
    # no name of an object
    assert Cache(tmp_path / "ab").find("../ab/" + "c" * 30) is None


def test_an_object_is_a_regular_file_or_a_link_to_another_object(tmp_path: Path) -> None:
    outside, cache = tmp_path / "outside", tmp_path / "cache"
    file, *others = (digit * 30 for digit in "012345")
    for folder in (outside / "ef", cache / "ab"):
        folder.mkdir(parents=True)
        (folder / file).touch()
    (cache / "notes").touch()
    # another object; and what is none: a file elsewhere, the link itself, nothing, a file beside the objects
    targets: tuple[Path | str, ...] = (file, outside / "ef" / file, others[2], "gone", "../notes")
    for name, target in zip(others, targets, strict=True):
        (cache / "ab" / name).symlink_to(target)
    (cache / "cd").symlink_to("ab")
    (cache / "ef").symlink_to(outside / "ef")
    find = Cache(cache).find
    assert find(f"ab{file}") == find(f"ab{others[0]}") == cache / "ab" / file
    assert find(f"cd{file}") == cache / "cd" / file
    assert [find(f"ab{name}") for name in others[1:]] == [None] * 4
    assert find(f"ef{file}") is None
    # the cache itself may lie elsewhere
    (tmp_path / "link").symlink_to(cache)
    assert Cache(tmp_path / "link").find(f"ab{file}")


def test_a_link_in_the_place_of_a_list_is_not_read_and_not_written_to(tmp_path: Path) -> None:
    name = "a" * 32 + ".dir"
    (tmp_path / "mine").write_text('[{"relpath": "x", "md5": "y"}]')
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / name).symlink_to("../mine")
    assert Cache(tmp_path, tmp_path / "lists").entries("out", name) is None
    Cache(tmp_path, tmp_path / "lists").learn(name, b"[]")
    assert (tmp_path / "mine").read_text() == '[{"relpath": "x", "md5": "y"}]'
    assert Cache(tmp_path, tmp_path / "lists").entries("out", name) == {}
