"""What is installed with the board alone and with each extra: all that its code imports, and nothing else."""

import ast
import re
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from fashionboard.data.dataset import CLASSES
from fashionboard.network import checkpoint, nets
from tests.support import imports, installed, written
from tests.support.repository import Repository
from tests.test_dvc_yaml import STAGES

# it makes ruamel.yaml fast, and nothing imports it by name
_BY_ITSELF = {"ruamel-yaml-clib"}


def distributions(modules: set[str]) -> set[str]:
    """Name what brings `modules`."""
    known = metadata.packages_distributions()
    return {installed.named(name) for module in modules for name in known[module]}


def room(root: Path, *names: str) -> list[Path]:
    return [path for name in names for path in (root / "src" / "fashionboard" / name).glob("*.py")]


def scripts(root: Path) -> list[Path]:
    return [root / "stages" / f"{stage}.py" for stage in STAGES]


@pytest.mark.slow
def test_the_board_and_its_like_import_what_is_always_installed(root: Path) -> None:
    needed = distributions(imports.others(root, room(root, "board", "restore", "verify")))
    assert needed | _BY_ITSELF == installed.names(root)


@pytest.mark.parametrize("extra", ["pipeline", "predict", "cluster"])
def test_an_extra_brings_what_else_its_code_imports(root: Path, extra: str) -> None:
    code = {
        "pipeline": scripts(root),
        "predict": room(root, "predict"),
        "cluster": room(root, "sweep"),
    }[extra]
    needed = distributions(imports.others(root, code))
    always = installed.names(root)
    assert needed - always == installed.names(root, extra) - always


def test_a_stage_looks_for_all_that_it_imports(root: Path) -> None:
    code = (root / "stages" / "__init__.py").read_text()
    (looked_for,) = re.findall(r"_NEEDED = (\(.*?\))", code, re.DOTALL)
    names = set(ast.literal_eval(looked_for).split())
    # tensorboard brings google.protobuf, and requests urllib3
    assert names == imports.others(root, scripts(root)) - {"google", "urllib3"}


def test_what_is_pinned_is_what_dev_brings(root: Path) -> None:
    pinned = [Requirement(line.split("#")[0]) for line in _lines(root / "requirements.txt")]
    here = {installed.named(each.name) for each in pinned if installed.holds(each.marker)}
    brought = installed.closure(installed.requirements(root, "dev"))
    # where TORCH_INDEX was named, these are not here
    assert {name for name in here ^ brought if not re.match("nvidia-|cuda-|triton", name)} == set()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def board_alone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed.environment(tmp_path_factory.mktemp("board") / "venv", root)


@pytest.mark.slow
def test_the_board_alone_shows_verifies_and_restores(
    small: Repository, board_alone: Path, tmp_path: Path
) -> None:
    stages = small.path / "dvc.yaml"
    stages.write_text(stages.read_text().replace("out/a", "out/events.out.tfevents.1"))
    (small.path / "source").write_bytes(written.events(tmp_path))
    small.dvc("repro", "-q")
    small.git("commit", "-qam", "event files")
    shutil.rmtree(small.path / "out")
    shown = installed.run(board_alone, small, "fashionboard", "board", "HEAD", "--export-scalars", "-")
    assert "main,one,loss,0,1.0" in shown.stdout, shown.stdout
    for command in ("verify", "restore"):
        done = installed.run(board_alone, small, "fashionboard", command)
        assert done.returncode == 0, done.stdout
    assert (small.path / "out" / "b").is_file()


def test_what_an_extra_would_bring_is_said_in_a_line_that_names_it(
    board_alone: Path, root: Path, tmp_path: Path
) -> None:
    repository = Repository.create(tmp_path / "r", root)
    said = installed.run(board_alone, repository, "fashionboard", "predict", "a.png")
    line = (
        "error: predict: expected PyTorch, found no torch; install it, in a checkout of fashionboard: "
        f"{board_alone}/python -m pip install '.[predict]'\n"
    )
    assert (said.returncode, said.stdout) == (1, line)
    said = installed.run(board_alone, repository, "fashionboard", "sweep", "-S", "train.lr=1")
    line = (
        "error: sweep: expected Dask, found no distributed; install it, in a checkout of fashionboard: "
        f"{board_alone}/python -m pip install '.[cluster]'\n"
    )
    assert (said.returncode, said.stdout) == (1, line)
    said = installed.run(board_alone, repository, "sh", "stages/run", "download")
    line = f"found {board_alone}/python without matplotlib, sklearn, torch, torchvision; "
    assert said.returncode == 1 and line in said.stdout and said.stdout.count("\n") == 1
    assert said.stdout.endswith("or `pip install '.[pipeline]'`\n")


@pytest.mark.slow
def test_predict_is_enough_to_predict(root: Path, tmp_path: Path) -> None:
    programs = installed.environment(tmp_path / "venv", root, "predict")
    repository = Repository.create(tmp_path / "r", root)
    origin = checkpoint.Origin("drawn", CLASSES)
    checkpoint.save(repository.path / "models/net.safetensors", nets.initial(0), origin)
    picture = Image.new("L", (40, 40), "white")
    picture.paste("black", (10, 8, 20, 30))
    picture.save(repository.path / "a.png")
    said = installed.run(programs, repository, "fashionboard", "predict", "a.png")
    assert (said.returncode, said.stdout.count("%")) == (0, 3), said.stdout
    said = installed.run(programs, repository, "sh", "stages/run", "download")
    assert said.returncode == 1 and "without matplotlib, sklearn; " in said.stdout


@pytest.mark.slow
def test_pipeline_is_enough_for_the_stages(root: Path, tmp_path: Path) -> None:
    programs = installed.environment(tmp_path / "venv", root, "pipeline")
    repository = Repository.create(tmp_path / "r", root)
    for stage in STAGES:
        done = installed.run(programs, repository, "sh", "stages/run", stage)
        assert done.returncode == 0, done.stdout
