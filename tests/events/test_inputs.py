import re
from pathlib import Path

import pytest

from fashionboard.base.errors import DataError
from fashionboard.base.params import Embed
from fashionboard.events import inputs

SETTINGS = Embed(seed=0, points=100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  a:\n    deps: [data, code.py]\n  b:\n    deps: [data, code.py]\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_bytes(b"1")
    (tmp_path / "code.py").write_bytes(b"pass")
    return tmp_path


def test_the_key_is_sixteen_digits_and_repeatable(folder: Path) -> None:
    key = inputs.key("a", SETTINGS, folder)
    assert len(key) == 16 and int(key, 16) >= 0
    assert inputs.key("a", SETTINGS, folder) == key


def test_every_input_changes_the_key(folder: Path) -> None:
    keys = [inputs.key("a", SETTINGS, folder), inputs.key("b", SETTINGS, folder)]
    keys.append(inputs.key("a", Embed(seed=1, points=100), folder))
    for name, content in (("data/x", b"2"), ("data/y", b""), ("code.py", b"pass\n")):
        (folder / name).write_bytes(content)
        keys.append(inputs.key("a", SETTINGS, folder))
    (folder / "data" / "y").rename(folder / "data" / "z")
    keys.append(inputs.key("a", SETTINGS, folder))
    assert len(set(keys)) == len(keys)


def test_what_python_writes_beside_a_module_changes_nothing(folder: Path) -> None:
    before = inputs.key("a", SETTINGS, folder)
    (folder / "data" / "__pycache__").mkdir()
    (folder / "data" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert inputs.key("a", SETTINGS, folder) == before


def test_where_the_repository_lies_does_not_matter(folder: Path) -> None:
    before = inputs.key("a", SETTINGS, folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    assert inputs.key("a", SETTINGS, moved) == before


def test_no_order_of_deps_or_of_files_in_a_folder_matters(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data" / "y").touch()
    before = inputs.key("a", SETTINGS, folder)
    declared, listed = folder / "dvc.yaml", Path.rglob
    declared.write_text(declared.read_text().replace("[data, code.py]", "[code.py, data]"))
    assert inputs.key("a", SETTINGS, folder) == before
    # as another file system may list them
    monkeypatch.setattr(Path, "rglob", lambda *arguments: reversed(list(listed(*arguments))))
    assert inputs.key("a", SETTINGS, folder) == before


@pytest.mark.parametrize("path", ["${raw}", "nosuch"])
def test_a_dependency_that_is_not_there_is_named(folder: Path, path: str) -> None:
    declared = folder / "dvc.yaml"
    declared.write_text(declared.read_text().replace("code.py", f'"{path}"'))
    with pytest.raises(DataError, match=re.escape(path)):
        inputs.key("a", SETTINGS, folder)
