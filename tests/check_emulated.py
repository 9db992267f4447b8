"""The same bytes on processors of both vendors, emulated; minutes long, so not in `make test-all`."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fashionboard.base import processor
from tests.support import bits
from tests.support.emulation import EPYC, HASWELL, MISSING, NEHALEM, REASON, Processor, python
from tests.support.repository import Repository
from tests.test_dvc_yaml import STAGES

Run = Callable[[Path, Sequence[str]], subprocess.CompletedProcess[str]]
pytestmark = [
    pytest.mark.timeout(2700),
    pytest.mark.skipif(MISSING and "CI" not in os.environ, reason=REASON),
    pytest.mark.skipif(not processor.has_avx2(), reason="needs Linux on x86-64 with AVX2"),
]
_OUTPUTS = ("data", "metrics", "models", "plots", "runs")
_SIZES = {"data.drawn.train_images": 200, "data.drawn.test_images": 100, "train.log_every": 25}


@dataclass(frozen=True)
class Written:
    """What one processor has written: files by path, what each stage said, digests of what is computed."""

    files: dict[str, bytes]
    said: dict[str, str]
    bits: dict[str, str]


def written(pipeline: Repository, folder: Path, run: Run, pictures: bool) -> Written:
    """Run the five stages in a clone of the pipeline in `folder`, and with `pictures` also `bits`."""
    clone = pipeline.clone(folder / "clone", cache="none")
    said, drawn = folder / "said", folder / "pictures"
    said.mkdir()
    drawn.mkdir()
    program = str(Path(__file__).parent / "support" / "together.py")
    run(clone.path, [program, str(said), *([str(drawn)] if pictures else [])])
    pieces = [json.loads(line) for line in (said / "bits").read_text().splitlines()] if pictures else []
    return Written(
        files(clone.path),
        {stage: (said / stage).read_text() for stage in STAGES},
        {name: digest for piece in pieces for name, digest in piece["digests"].items()},
    )


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
def here(pipeline: Repository, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """What this machine writes."""
    return written(pipeline, tmp_path_factory.mktemp("here"), python, pictures=True)


@pytest.mark.parametrize("emulated", [HASWELL, EPYC], ids=["Haswell", "EPYC"])
def test_every_byte_is_the_same(
    pipeline: Repository, here: Written, tmp_path: Path, emulated: Processor
) -> None:
    def run(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return emulated.run(folder, arguments, tmp_path / "system")

    found = written(pipeline, tmp_path, run, pictures=True)
    assert not any("note:" in said for said in found.said.values())
    # four of data, and at least those of each output of dvc.yaml
    assert len(found.files) >= 20
    assert different(here.files, found.files) == []
    # five kinds of what is computed, beside the trainings
    assert len(found.bits) > len(bits.TRAININGS) + 5
    assert [name for name in here.bits if found.bits[name] != here.bits[name]] == []


def test_without_avx2_the_run_goes_on_and_says_what_differs(
    pipeline: Repository, here: Written, tmp_path: Path
) -> None:
    def run(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return NEHALEM.run(folder, arguments, tmp_path / "system")

    found = written(pipeline, tmp_path, run, pictures=False)
    noted = "note: an emulated Nehalem is no x86-64 processor"
    assert {stage for stage, said in found.said.items() if noted in said} == {"train", "evaluate"}
    names = different(here.files, found.files)
    assert "models/net.safetensors" in names
    computed = ("metrics/", "models/", "plots/", "runs/train/", "runs/evaluate/")
    assert all(name.startswith(computed) for name in names)
