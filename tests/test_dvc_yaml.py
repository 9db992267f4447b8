import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import imports

STAGES = ("download", "visualize", "embed", "train", "evaluate")


def stages(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return found


def code_deps(root: Path, stage: str) -> set[str]:
    """Return the modules that a stage's deps stand for: a folder stands for all in it."""
    found = set()
    for dep in stages(root)[stage]["deps"]:
        if dep.endswith(".py"):
            found.add(dep)
        elif dep.startswith(("src/", "stages/")):
            found |= {path.relative_to(root).as_posix() for path in (root / dep).rglob("*.py")}
    return found


def needed(root: Path, stage: str) -> set[str]:
    return imports.project_files(root, root / "stages" / f"{stage}.py")


def test_there_are_the_five_stages_in_order(root: Path) -> None:
    assert tuple(stages(root)) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_exactly_the_modules_that_the_stage_imports(root: Path, stage: str) -> None:
    assert code_deps(root, stage) == needed(root, stage)


@pytest.mark.parametrize("stage", STAGES)
def test_a_room_of_which_a_stage_imports_all_is_one_dep(root: Path, stage: str) -> None:
    single = [Path(dep) for dep in stages(root)[stage]["deps"] if dep.endswith(".py")]
    for folder in {path.parent for path in single} - {Path("src/fashionboard"), Path("stages")}:
        listed = {path.name for path in single if path.parent == folder}
        assert listed < {path.name for path in (root / folder).glob("*.py")}


_CARD = "src/fashionboard/figures/card.py"


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("stages/embed.py", "import fashionboard.figures.card", _CARD),
        ("stages/embed.py", "from fashionboard.figures import canvas, card as c", _CARD),
        ("stages/embed.py", "def f():\n    from fashionboard.figures.card import markdown", _CARD),
        ("stages/embed.py", "from stages import train", "stages/train.py"),
        ("src/fashionboard/data/idx.py", "from ..figures import card", _CARD),
        ("src/fashionboard/data/idx.py", "from ..figures.card import markdown", _CARD),
        ("src/fashionboard/data/idx.py", "from fashionboard.figures import card", _CARD),
    ],
)
def test_an_import_without_its_dep_is_found(
    tmp_path: Path, root: Path, file: str, line: str, found: str
) -> None:
    for part in ("src", "stages"):
        shutil.copytree(root / part, tmp_path / part)
    shutil.copy(root / "dvc.yaml", tmp_path)
    with (tmp_path / file).open("a") as code:
        code.write(f"\n{line}\n")
    assert found in needed(tmp_path, "embed") - code_deps(tmp_path, "embed")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_its_own_section_and_nothing_else(root: Path, stage: str) -> None:
    section = "data" if stage == "download" else stage
    assert stages(root)[stage]["params"] == [section]
    code = (root / "stages" / f"{stage}.py").read_text()
    assert f'settings = params.load(Path("params.yaml")).{section}\n' in code
    assert code.count("params.load(") == 1


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_described_and_every_output_cached(root: Path, stage: str) -> None:
    declared = stages(root)[stage]
    assert declared["desc"]
    # an output with options would be a mapping: none has any, so none says `cache: false`
    assert all(isinstance(out, str) for out in [*declared["outs"], *declared.get("metrics", [])])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_calls_the_library_and_has_no_logic_of_its_own(root: Path, stage: str) -> None:
    tree = ast.parse((root / "stages" / f"{stage}.py").read_text())
    defined = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert defined == ["main"]
    # an event file, its reports, and what only some of them have
    assert max(_nested(tree, (ast.If, ast.For, ast.While, ast.Try, ast.With))) <= 3


def _nested(node: ast.AST, kinds: tuple[type[ast.AST], ...], depth: int = 0) -> list[int]:
    depth += isinstance(node, kinds)
    return [depth, *(each for child in ast.iter_child_nodes(node) for each in _nested(child, kinds, depth))]
