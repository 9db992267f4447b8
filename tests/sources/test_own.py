from pathlib import Path

import pytest

from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.sources import own


@pytest.mark.parametrize(
    "name",
    [
        "a\tb",
        "a`b",
        "a\nb",
        "a\x1b[31m",
        "a\u202eb",
        "a\u200eb",
        "a\u2028b",
        b"a\xff".decode(errors="surrogateescape"),
        "\u200c",
    ],
)
def test_a_folder_whose_name_cannot_be_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected a folder with a name that can be shown; rename it"):
        own.description("idx", tmp_path / name, ("a", "b"), Kind())


def test_a_folder_is_where_dvc_looks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "repository"
    for place in (repository / "main", repository / "~", tmp_path / "beside"):
        place.mkdir(parents=True)
    monkeypatch.chdir(repository)
    assert own.folder("main/") == own.folder(f"{repository}/main") == repository / "main"
    assert own.folder("../beside") == tmp_path / "beside"
    assert own.folder("~") == repository / "~"


@pytest.mark.parametrize(
    ("path", "found"), [("gone", "none at gone"), ("data/README.md", "a file at data/README.md")]
)
def test_what_is_no_folder_is_refused(
    path: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        own.folder(path)
    advice = "name yours with -S data.path=FOLDER"
    assert str(caught.value) == f"data.path: expected a folder, found {found}; {advice}"


def test_a_link_keeps_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "pets").symlink_to("v2")
    monkeypatch.chdir(tmp_path)
    assert own.folder("pets").name == "pets"


def test_a_folder_whose_path_is_too_long_is_refused() -> None:
    with pytest.raises(DataError, match="expected a folder, found: File name too long; name yours"):
        own.folder("a" * 300)


def test_what_is_known_of_a_data_set_of_ones_own(tmp_path: Path) -> None:
    kind = Kind(64, "rgb", "pad")
    about = own.description("folder", tmp_path / "flowers", ("daisy", "rose"), kind)
    assert (about.name, about.classes, about.kind) == ("folder:flowers", ("daisy", "rose"), kind)
    assert about.title == "flowers, a data set of the user's own" and about.originals == ""
    assert str(tmp_path) not in repr(about)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "expected 2 to 100 bins, found 1"),
        ([f"class {k}" for k in range(101)], "expected 2 to 100 bins, found 101"),
        (["a", "b\t"], "a name without tabs and the like, other than macro in bin 1, found 'b\\t'"),
        (["macro", "a"], "other than macro in bin 0, found 'macro'"),
        (["a", "b" * 101], "a name of at most 100 characters in bin 1, found 101"),
        (["a", "b", "a"], "expected each name once, found 'a' 2 times"),
    ],
)
def test_names_that_cannot_be_used(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        own.check_names(names, tmp_path, "bins", "mend it", lambda number: f" in bin {number}")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}: ") and message in text and text.endswith("; mend it")
