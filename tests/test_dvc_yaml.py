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
    return {dep for dep in stages(root)[stage]["deps"] if dep.endswith(".py")}


def needed(root: Path, stage: str) -> set[str]:
    return imports.project_files(root, root / "stages" / f"{stage}.py")


def test_there_are_the_five_stages_in_order(root: Path) -> None:
    assert tuple(stages(root)) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_exactly_the_modules_that_the_stage_imports(root: Path, stage: str) -> None:
    assert code_deps(root, stage) == needed(root, stage)


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("stages/embed.py", "import fashionboard.card", "src/fashionboard/card.py"),
        ("stages/embed.py", "from fashionboard import idx, card as c", "src/fashionboard/card.py"),
        (
            "stages/embed.py",
            "def f():\n    from fashionboard.card import markdown",
            "src/fashionboard/card.py",
        ),
        ("stages/embed.py", "from stages import train", "stages/train.py"),
        ("src/fashionboard/idx.py", "from . import card", "src/fashionboard/card.py"),
        ("src/fashionboard/idx.py", "from .card import markdown", "src/fashionboard/card.py"),
        ("src/fashionboard/idx.py", "from fashionboard import card", "src/fashionboard/card.py"),
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
def test_a_stage_is_short(root: Path, stage: str) -> None:
    assert len((root / "stages" / f"{stage}.py").read_text().splitlines()) <= 60  # imports included
