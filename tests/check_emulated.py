"""The same bytes on processors of both vendors, emulated; minutes long, so not in `make test-all`."""

import json
import os
from pathlib import Path

import pytest

from fashionboard.base import processor
from tests.support.emulation import EPYC, HASWELL, MISSING, NEHALEM, REASON, Processor, python
from tests.support.repository import Repository
from tests.test_dvc_yaml import STAGES

pytestmark = [
    pytest.mark.skipif(MISSING and "CI" not in os.environ, reason=REASON),
    pytest.mark.skipif(not processor.has_avx2(), reason="needs Linux on x86-64 with AVX2"),
]
_OUTPUTS = ("data", "metrics", "models", "plots", "runs")
_SIZES = {"data.drawn.train_images": 200, "data.drawn.test_images": 100, "train.log_every": 25}


def files(folder: Path) -> dict[str, bytes]:
    """The contents of all outputs by path."""
    found = [path for part in _OUTPUTS for path in (folder / part).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def different(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Repository:
    """A tiny pipeline without any outputs."""
    repository = Repository.create(tmp_path_factory.mktemp("pipeline"), root)
    repository.set(_SIZES)
    repository.git("commit", "-qam", "smaller still")
    return repository


@pytest.fixture(scope="session")
def here(pipeline: Repository, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the five stages write on this machine."""
    clone = pipeline.clone(tmp_path_factory.mktemp("here") / "clone", cache="none")
    for stage in STAGES:
        python(clone.path, ["-m", f"stages.{stage}"])
    return files(clone.path)


@pytest.mark.parametrize("emulated", [HASWELL, EPYC], ids=["Haswell", "EPYC"])
def test_five_stages_write_the_same_files(
    pipeline: Repository, here: dict[str, bytes], tmp_path: Path, emulated: Processor
) -> None:
    clone = pipeline.clone(tmp_path / "clone", cache="none")
    for stage in STAGES:
        done = emulated.run(clone.path, ["-m", f"stages.{stage}"], tmp_path / stage)
        assert "note:" not in done.stderr
    found = files(clone.path)
    # four of data, and at least those of each output of dvc.yaml
    assert len(found) >= 20
    assert different(here, found) == []


@pytest.mark.parametrize("emulated", [HASWELL, EPYC], ids=["Haswell", "EPYC"])
def test_all_that_is_computed_has_the_same_bits(root: Path, tmp_path: Path, emulated: Processor) -> None:
    (tmp_path / "pictures").mkdir()
    arguments = ["-m", "tests.support.bits", str(tmp_path / "pictures")]
    expected = json.loads(python(root, arguments).stdout)
    found = json.loads(emulated.run(root, arguments, tmp_path / "system").stdout)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_without_avx2_the_run_goes_on_and_says_what_differs(
    pipeline: Repository, here: dict[str, bytes], tmp_path: Path
) -> None:
    clone = pipeline.clone(tmp_path / "clone", cache="none")
    said = {
        stage: NEHALEM.run(clone.path, ["-m", f"stages.{stage}"], tmp_path / stage).stderr for stage in STAGES
    }
    noted = {
        stage for stage, text in said.items() if "note: an emulated Nehalem is no x86-64 processor" in text
    }
    assert noted == {"train", "evaluate"}
    found = different(here, files(clone.path))
    assert "models/net.safetensors" in found
    computed = ("metrics/", "models/", "plots/", "runs/train/", "runs/evaluate/")
    assert all(name.startswith(computed) for name in found)
