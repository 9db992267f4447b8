"""An environment with what `pip install .`, or one of this project's extras, brings, and nothing else."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

from tests.support.repository import Repository


def named(name: str) -> str:
    """Return a distribution's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(root: Path, *extras: str) -> list[Requirement]:
    """Return what pyproject.toml asks for, with `extras`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    found = []
    for each in map(Requirement, lines):
        found += requirements(root, *each.extras) if each.name == project["name"] else [each]
    return found


def names(root: Path, *extras: str) -> set[str]:
    """Name what pyproject.toml asks for, with `extras`."""
    return {named(each.name) for each in requirements(root, *extras)}


def closure(asked: Iterable[Requirement]) -> set[str]:
    """Name all that is installed with `asked`, as this environment's packages say."""
    pending = list(asked)
    seen: set[tuple[str, str]] = set()
    while pending:
        requirement = pending.pop()
        for extra in {"", *requirement.extras} - {each for name, each in seen if name == requirement.name}:
            seen.add((requirement.name, extra))
            lines = map(Requirement, metadata.requires(requirement.name) or [])
            pending += [each for each in lines if holds(each.marker, extra)]
    return {named(name) for name, _ in seen}


def holds(marker: Marker | None, extra: str = "") -> bool:
    """Tell whether a requirement with `marker` is one of this system's."""
    return marker is None or marker.evaluate({"extra": extra})


def environment(folder: Path, root: Path, *extras: str) -> Path:
    """Make the environment in `folder`, and return the folder of its programs.

    Its packages are links to those of the environment that runs the tests.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in closure(requirements(root, *extras)):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    (packages / "fashionboard.pth").write_text(f"{root / 'src'}\n")
    program = folder / "bin" / "fashionboard"
    program.write_text(f"#!{folder}/bin/python\nfrom fashionboard.cli import main\n\nmain()\n")
    program.chmod(0o755)
    return folder / "bin"


def run(programs: Path, repository: Repository, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a repository as a person does in whose shell an environment is active."""
    path = f"{programs}:{repository.environment()['PATH']}"
    return repository.run("env", "-u", "PYTHONPATH", f"PATH={path}", *command, check=False)
