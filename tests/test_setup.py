"""`make setup`, on an index of stand-ins: wheels with the pinned names and versions, and nothing in them."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import installed

_TORCH = ("torch", "torchvision")


def publish(index: Path, name: str, version: str, files: Mapping[str, bytes]) -> None:
    """Add a wheel of these files to an index."""
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    folder = index / installed.named(name)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / wheel, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    (folder / "index.html").write_text(f'<a href="{wheel}">{wheel}</a>\n')


def stand_in(name: str, version: str, needs: str = "") -> dict[str, bytes]:
    """Return the files of a wheel that holds nothing and asks for `needs`."""
    asked = f"Requires-Dist: {needs}\n" if needs else ""
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asked}".encode(),
        f"{info}/WHEEL": kind.encode(),
        f"{info}/RECORD": b"",
    }


def real(name: str) -> dict[str, bytes]:
    """Return the files of a package of this environment."""
    files = metadata.files(name) or []
    kept = [file for file in files if not {"..", "__pycache__"} & set(file.parts)]
    return {str(file): file.read_binary() for file in kept}


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Path:
    """What set-up reads, between an index of all that is pinned and one of PyTorch's wheels for the CPU."""
    for line in (root / "requirements.txt").read_text(encoding="utf-8").splitlines()[1:]:
        pinned = Requirement(line)
        if installed.holds(pinned.marker):
            (version,) = (each.version for each in pinned.specifier)
            # torch's own wheels ask for what comes with CUDA; setuptools installs this project
            needs = "triton" if pinned.name == "torch" else ""
            hollow = stand_in(pinned.name, version, needs)
            files = real(pinned.name) if pinned.name == "setuptools" else hollow
            publish(tmp_path / "all", pinned.name, version, files)
            if pinned.name in _TORCH:
                local = f"{version}+cpu"
                publish(tmp_path / "cpu", pinned.name, local, stand_in(pinned.name, local))
    checkout = tmp_path / "checkout"
    (checkout / "src" / "fashionboard").mkdir(parents=True)
    for name in ("Makefile", "README.md", "LICENSE", "requirements.txt", "pyproject.toml"):
        shutil.copy(root / name, checkout)
    return checkout


def run(checkout: Path, *command: str) -> str:
    """Run a command in a surrounding without any index but a folder."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "MAKE", "PYTHONPATH", "TORCH_"))
    }
    done = subprocess.run(
        command,
        cwd=checkout,
        env={
            **own,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_INDEX_URL": (checkout.parent / "all").as_uri(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def set_up(checkout: Path, *arguments: str) -> dict[str, str]:
    """Call `make setup` and return the version of each package in .venv."""
    run(checkout, "make", "setup", f"PYTHON={sys.executable}", *arguments)
    (packages,) = checkout.glob(".venv/lib/python*/site-packages")
    found = metadata.distributions(path=[str(packages)])
    return {installed.named(each.name): each.version for each in found}


@pytest.mark.slow
def test_torch_comes_from_the_index_that_is_named_and_no_nvidia_package_with_it(checkout: Path) -> None:
    everything = set_up(checkout)
    without = set_up(checkout, f"TORCH_INDEX={(checkout.parent / 'cpu').as_uri()}")
    dropped = everything.keys() - without.keys()
    assert {name.split("-")[0] for name in dropped} == {"cuda", "nvidia", "triton"}
    assert without == {
        name: f"{version}+cpu" if name in _TORCH else version
        for name, version in everything.items()
        if name not in dropped
    }
    # a later call without it leaves all as it is; where requirements.txt has changed, it means the same
    assert "Setting up" not in run(checkout, "make", "setup")
    (checkout / "requirements.txt").touch()
    assert "with torch from TORCH_INDEX" in run(checkout, "make", "--dry-run", "setup")
    # an empty setting is none: only the command line goes back
    assert "with torch from TORCH_INDEX" in run(checkout, "env", "TORCH_INDEX=", "make", "--dry-run", "setup")
    assert "about 6 GB" in run(checkout, "make", "--dry-run", "setup", "TORCH_INDEX=")
