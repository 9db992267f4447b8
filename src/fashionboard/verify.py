"""Run the whole pipeline again from nothing, and hold what comes out against the committed dvc.lock."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from fashionboard import compare, dvcfiles, private, processor
from fashionboard.compare import Difference
from fashionboard.dvcfiles import Cache, Stage
from fashionboard.errors import FashionboardError, visible

_DVC = [sys.executable, "-m", "dvc"]
# differences of an output in a report
_SHOWN = 10
# parameters by which a stage gives up the same bytes on every processor
_OWN_BITS = {"arithmetic": "native", "device": "cuda"}


class VerifyError(FashionboardError):
    """The pipeline cannot be run again."""


@dataclass(frozen=True)
class Result:
    """An output of the new run against the recorded one; no differences where the bytes are the same."""

    path: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Promise:
    """Which outputs must have the recorded bytes on this processor.

    processor: what it is called. reason: why there are others, nothing where there are none. free: the
    paths of those others, whose last bits may be the processor's.
    """

    processor: str
    reason: str
    free: frozenset[str]


@dataclass(frozen=True)
class Verdict:
    """All outputs, the names of the inputs that are no longer what dvc.lock records, and what is promised."""

    results: tuple[Result, ...]
    changed: tuple[str, ...]
    promise: Promise

    @property
    def different(self) -> tuple[Result, ...]:
        """The outputs whose bytes are not the recorded ones."""
        return tuple(result for result in self.results if result.differences)

    @property
    def kept(self) -> bool:
        """Whether nothing differs but outputs that may, with the inputs that were recorded."""
        return not self.different or not (self.changed or any(map(self.promised, self.different)))

    def promised(self, result: Result) -> bool:
        """Say whether an output must have the recorded bytes."""
        return result.path not in self.promise.free


def verify(folder: Path) -> Verdict:
    """Clone the repository that `folder` is in, run all stages there, and compare with HEAD's dvc.lock.

    What DVC and the stages print goes to stdout and stderr. What differs within an output can only
    be told where the recorded one is in the repository's cache.

    Raises:
        VerifyError: there is no git repository with a committed dvc.lock, or a stage fails.
        DataError: the committed dvc.lock cannot be read.
        PathError: a link is in the place of one of DVC's own files.
    """
    root = Path(_run(["git", "rev-parse", "--show-toplevel"], folder, "expected a git repository"))
    lock = _run(["git", "show", "HEAD:dvc.lock"], root, "expected a committed dvc.lock")
    recorded = dvcfiles.stages(lock)
    _follow_no_link(root)
    cache = root / _run([*_DVC, "cache", "dir"], root, "expected a DVC repository")
    with tempfile.TemporaryDirectory(prefix="fashionboard-verify-") as temporary:
        clone = Path(temporary) / "clone"
        own_cache = Path(temporary) / "cache"
        _run(["git", "clone", "--quiet", str(root), str(clone)], root, "cannot clone the repository")
        _follow_no_link(clone)
        (clone / "dvc.lock").unlink()
        # else a shared cache would bring the outputs without running anything
        _run([*_DVC, "cache", "dir", "--local", str(own_cache)], clone, "cannot give the clone a cache")
        _reproduce(clone)
        found = dvcfiles.stages((clone / "dvc.lock").read_text(encoding="utf-8"))
        before, after = _outputs(recorded), _outputs(found)
        results = [
            Result(path, tuple(_differences(path, (cache, before.get(path)), (own_cache, after.get(path)))))
            for path in sorted({*before, *after})
        ]
    return Verdict(tuple(results), tuple(_changed(recorded, found)), promise(recorded))


def _follow_no_link(root: Path) -> None:
    """Refuse links where DVC writes before it runs anything."""
    for name in ("tmp", "config.local", ".gitignore"):
        private.check(root.resolve(), root / ".dvc" / name)


def promise(recorded: dict[str, Stage]) -> Promise:
    """Return what must be the same here of the outputs that `recorded`, the stages of a dvc.lock, has.

    A stage with a parameter `arithmetic` computes with kernels that are chosen by the processor.
    """
    reasons, free = [], set[str]()
    for stage in recorded.values():
        settings = [(re.split("[.:]", name)[-1], name, value) for name, value in stage.parameters.items()]
        own = [f"{name} is {value}" for key, name, value in settings if _OWN_BITS.get(key) == value]
        reasons += own
        elsewhere = not processor.has_avx2() and any(key == "arithmetic" for key, _, _ in settings)
        if own or elsewhere:
            free |= stage.outputs.keys()
    while more := {
        path
        for stage in recorded.values()
        if any(_overlap(one, other) for one in free for other in stage.dependencies)
        for path in stage.outputs
        if path not in free
    }:
        free |= more
    if not processor.has_avx2():
        reasons.append("this is no x86-64 processor with AVX2 under Linux")
    return Promise(processor.name(), " and ".join(reasons), frozenset(free))


def _overlap(one: str, other: str) -> bool:
    """Say whether two paths are the same, or one lies below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def report(verdict: Verdict) -> str:
    """Return a table of the outputs, what differs under it, where it ran, and what is promised there."""
    width = max(len(result.path) for result in verdict.results)
    lines = []
    for result in verdict.results:
        found = "same"
        if result.differences:
            found = "DIFFERENT" if verdict.promised(result) else "differs, as it may"
        lines.append(f"{result.path:<{width}}  {found}")
    for result in verdict.different:
        lines += [f"{result.path}: {difference}" for difference in result.differences[:_SHOWN]]
        if len(result.differences) > _SHOWN:
            lines.append(f"{result.path}: and {len(result.differences) - _SHOWN:,} more")
    lines.append(_promised(verdict))
    if verdict.changed:
        lines.append(f"Not what dvc.lock was recorded with: {', '.join(verdict.changed)}")
    elif verdict.different:
        lines.append(_explanation(verdict))
    return "\n".join(map(visible, lines))


def _promised(verdict: Verdict) -> str:
    promise = verdict.promise
    if not promise.free:
        return (
            f"Run on {promise.processor}. Every output must have the recorded bytes: portable arithmetic "
            "gives them on every x86-64 processor with AVX2 under Linux."
        )
    held = [result.path for result in verdict.results if verdict.promised(result)]
    return (
        f"Run on {promise.processor}. These must have the recorded bytes: {', '.join(held) or 'none'}. "
        f"The others need not, since {promise.reason}."
    )


def _explanation(verdict: Verdict) -> str:
    """Say what a difference means where no input that dvc.lock names has changed."""
    if verdict.kept:
        return "Only what may differ here does."
    return (
        "The processor here is no reason for that, and nothing that dvc.lock names has changed. Compare the "
        "installed packages with requirements.txt (`make setup`). Or the recorded run, or the run cache that "
        "it was restored from, is of a machine without AVX2."
    )


def _outputs(stages: dict[str, Stage]) -> dict[str, str]:
    return {path: md5 for stage in stages.values() for path, md5 in stage.outputs.items()}


def _changed(recorded: dict[str, Stage], found: dict[str, Stage]) -> list[str]:
    """Name the inputs that differ, other than outputs of earlier stages."""
    made = {*_outputs(recorded), *_outputs(found)}
    changed = set[str]()
    for name in {*recorded, *found}:
        one, other = (stages[name].inputs if name in stages else {} for stages in (recorded, found))
        changed |= {each for each in {*one, *other} - made if one.get(each) != other.get(each)}
    return sorted(changed)


def _differences(
    path: str, expected: tuple[Path, str | None], found: tuple[Path, str | None]
) -> list[Difference]:
    """Compare an output, given as the cache that holds it and its md5, None where there is none."""
    if expected[1] == found[1]:
        return []
    if expected[1] is None or found[1] is None:
        return [Difference("recorded, not written" if expected[1] else "written, not recorded")]
    before = _by_kind(Cache(expected[0]).files(path, expected[1]))
    after = _by_kind(Cache(found[0]).files(path, found[1]))
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
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise VerifyError(f"{problem}, found: {error}") from None
    if done.returncode:
        raise VerifyError(f"{problem}, found: {done.stderr.strip() or 'nothing'}")
    return done.stdout.strip() if command[1] != "show" else done.stdout


def _reproduce(clone: Path) -> None:
    """Run all stages; whatever ends this, ends them too."""
    dvc = subprocess.Popen([*_DVC, "repro"], cwd=clone, env=_environment())
    try:
        code = dvc.wait()
    except BaseException:
        stages = psutil.Process(dvc.pid).children(recursive=True)
        dvc.terminate()
        dvc.wait()
        psutil.wait_procs(stages, timeout=5)
        raise
    if code:
        raise VerifyError("a stage failed in a fresh clone; see its error above")


def _environment() -> dict[str, str]:
    """Return an environment in which stages find this interpreter, and the mirror from another folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    mirror = environment.get("FASHION_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        environment["FASHION_MNIST_MIRROR"] = str(Path(mirror).expanduser().absolute())
    return environment
