"""Run the whole pipeline again from nothing, and hold what comes out against the committed dvc.lock."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fashionboard import compare, lockfile
from fashionboard.compare import Difference
from fashionboard.errors import FashionboardError

_INDEPENDENT = ("data/", "runs/visualize", "runs/embed")


class VerifyError(FashionboardError):
    """The pipeline cannot be run again."""


@dataclass(frozen=True)
class Result:
    """An output of the new run against the recorded one; no differences where the bytes are the same."""

    path: str
    differences: tuple[Difference, ...]


def verify(root: Path) -> list[Result]:
    """Clone the repository at `root`, run all stages there, and compare each output with HEAD's dvc.lock.

    What DVC and the stages print goes to stdout and stderr. What differs within an output can only
    be told where the recorded one is in the cache at `root`.

    Raises:
        VerifyError: `root` is no git repository with a committed dvc.lock, or a stage fails.
    """
    expected = _run(["git", "show", "HEAD:dvc.lock"], root, "expected a repository with a committed dvc.lock")
    with tempfile.TemporaryDirectory(prefix="fashionboard-verify-") as folder:
        clone = Path(folder) / "clone"
        _run(["git", "clone", "--quiet", str(root), str(clone)], root, "cannot clone the repository")
        (clone / "dvc.lock").unlink()
        if subprocess.run(
            [sys.executable, "-m", "dvc", "repro"], cwd=clone, env=_environment(), check=False
        ).returncode:
            raise VerifyError("a stage failed in a fresh clone; see its error above")
        found = lockfile.outputs((clone / "dvc.lock").read_text(encoding="utf-8"))
        recorded = lockfile.outputs(expected)
        return [
            Result(path, tuple(_differences(root, clone, path, recorded.get(path), found.get(path))))
            for path in sorted({*recorded, *found})
        ]


def report(results: list[Result], capability: str) -> str:
    """Return a table of `results`, what differs under it, and what may explain it.

    capability: the instruction set that torch uses on this machine.
    """
    width = max(len(result.path) for result in results)
    lines = [f"{result.path:<{width}}  {'DIFFERENT' if result.differences else 'same'}" for result in results]
    different = [result for result in results if result.differences]
    for result in different:
        lines += [f"{result.path}: {difference}" for difference in result.differences]
    sizes = [each.size for result in different for each in result.differences if each.size is not None]
    if different and not any(result.path.startswith(_INDEPENDENT) for result in different):
        largest = f", here by {max(sizes):.3g} at most" if sizes else ""
        lines.append(
            f"Only what depends on floating-point kernels differs{largest}. torch uses {capability} here: "
            "on another instruction set than that of the recorded run, the last bits differ."
        )
    return "\n".join(lines)


def _differences(
    root: Path, clone: Path, path: str, expected: str | None, found: str | None
) -> list[Difference]:
    if expected == found:
        return []
    if expected is None or found is None:
        return [Difference("recorded, not written" if expected else "written, not recorded")]
    before = _by_kind(lockfile.files(root, path, expected))
    after = _by_kind(lockfile.files(clone, path, found))
    if before is None or after is None:
        return [Difference("the bytes; to see which, bring the recorded output here with `dvc pull`")]
    differences = []
    for name in sorted({*before, *after}):
        if name in before and name in after:
            differences += compare.files(before[name], after[name], name)
        else:
            differences.append(
                Difference(f"{name} is {'recorded, not written' if name in before else 'new'}")
            )
    return differences


def _by_kind(files: dict[str, Path] | None) -> dict[str, Path] | None:
    """Leave the key of the run's inputs out of the names of event files, so that two runs' pair up."""
    return files and {re.sub(r"(tfevents)\.[0-9a-f]+$", r"\1", name): path for name, path in files.items()}


def _run(command: list[str], folder: Path, problem: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VerifyError(f"{problem}, found: {done.stderr.strip() or 'nothing'}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return an environment in which stages find this interpreter, and the mirror from another folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    mirror = environment.get("FASHION_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        environment["FASHION_MNIST_MIRROR"] = str(Path(mirror).expanduser().absolute())
    return environment
