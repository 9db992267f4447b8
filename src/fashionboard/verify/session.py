"""One call of `fashionboard verify`: all stages run again, and held against the committed dvc.lock."""

import re
from dataclasses import dataclass
from pathlib import Path

from fashionboard.base import processor
from fashionboard.base.errors import visible
from fashionboard.repository import lockfile, names, programs, rwlock
from fashionboard.repository.cache import Cache, is_digest
from fashionboard.repository.lockfile import Stage
from fashionboard.repository.programs import ProgramError
from fashionboard.verify import clone, compare
from fashionboard.verify.clone import VerifyError
from fashionboard.verify.compare import Difference

# differences of an output in a report
_SHOWN = 10
_MEND = "`dvc repro` and a commit of dvc.lock put it right"


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
    """All outputs, the names of the inputs that are no longer what dvc.lock records, and what is promised.

    contradicted: outputs of which dvc.lock records what DVC never writes: no md5, or another one where a
    later stage reads them. unheld: outputs that differ, of which DVC's cache holds the new version and
    not the recorded one.
    """

    results: tuple[Result, ...]
    changed: tuple[str, ...]
    promise: Promise
    contradicted: tuple[str, ...] = ()
    unheld: tuple[str, ...] = ()

    @property
    def different(self) -> tuple[Result, ...]:
        """The outputs whose bytes are not the recorded ones."""
        return tuple(result for result in self.results if result.differences)

    @property
    def kept(self) -> bool:
        """Whether nothing differs but outputs that may, with the inputs that were recorded."""
        excused = not (self.changed or self.contradicted or any(map(self.promised, self.different)))
        return not self.different or excused

    def promised(self, result: Result) -> bool:
        """Say whether an output must have the recorded bytes."""
        return result.path not in self.promise.free


def run(folder: Path) -> bool:
    """Verify the repository that `folder` is in, print what was found, and return whether all is as promised.

    Raises:
        FashionboardError: it cannot be verified.
    """
    print("Running all stages of HEAD in a clone; uncommitted changes are no part of it.", flush=True)
    verdict = verify(folder)
    print(report(verdict))
    if verdict.kept and not verdict.different:
        print(f"All {len(verdict.results)} outputs are, byte for byte, those that HEAD's dvc.lock records.")
    return verdict.kept


def verify(folder: Path) -> Verdict:
    """Clone the repository that `folder` is in, run all stages there, and compare with HEAD's dvc.lock.

    What DVC and the stages print goes to stdout and stderr. What differs within an output can only
    be told where the recorded one is in the repository's cache.

    Raises:
        ProgramError: there is no git repository with a committed dvc.lock.
        VerifyError: there is no room for a clone, or a stage fails.
        DataError: the committed dvc.lock cannot be read.
        PathError: a link is in the place of one of DVC's own files.
    """
    asked = programs.run(["git", "rev-parse", "--show-toplevel"], folder, "expected a git repository")
    root = Path(asked.removesuffix("\n"))
    lock = programs.run(["git", "show", "HEAD:dvc.lock"], root, "expected a committed dvc.lock")
    recorded = lockfile.stages(lock)
    clone.follow_no_link(root)
    # a killed DVC may have left it empty
    rwlock.mend(root.resolve())
    told = programs.run([*programs.DVC, "cache", "dir"], root, "expected a DVC repository")
    kept = root / told.removesuffix("\n")
    cache = Cache(kept)
    try:
        with clone.of(root) as copy:
            found = lockfile.stages(clone.reproduce(copy, kept))
            return _verdict((recorded, cache), (found, Cache(copy.cache)))
    except (VerifyError, ProgramError, OSError):
        # git and DVC do not always name a full disk
        clone.check_room(root, lockfile.outputs_size(lock))
        raise


def _verdict(recorded: tuple[dict[str, Stage], Cache], found: tuple[dict[str, Stage], Cache]) -> Verdict:
    """Compare two versions of all stages, each given with the cache of its outputs."""
    (old, old_cache), (new, new_cache) = recorded, found
    before, after = _outputs(old), _outputs(new)
    results = [
        Result(path, tuple(compare.output(path, (old_cache, before.get(path)), (new_cache, after.get(path)))))
        for path in sorted({*before, *after})
    ]
    unheld = [
        path
        for path in sorted(before.keys() & after.keys())
        if before[path] != after[path]
        and not compare.is_held(old_cache, before[path])
        and compare.is_held(old_cache, after[path])
    ]
    changed = tuple(_changed(old, new))
    # where stages have folders of their own, two outputs may share a name: then DVC writes it so, too
    contradicted = tuple(sorted(_contradicted(old) - _contradicted(new)))
    return Verdict(tuple(results), changed, promise(old), contradicted, tuple(unheld))


def _contradicted(recorded: dict[str, Stage]) -> set[str]:
    """Name the outputs of which a dvc.lock records what DVC never writes."""
    made = _outputs(recorded)
    read = [each for stage in recorded.values() for each in stage.dependencies.items() if each[0] in made]
    unnamed = {path for path, md5 in made.items() if not is_digest(md5)}
    return unnamed | {path for path, md5 in read if md5 != made[path]}


def promise(recorded: dict[str, Stage]) -> Promise:
    """Return what must be the same here of the outputs that `recorded`, the stages of a dvc.lock, has.

    A stage with a parameter `arithmetic` computes with kernels that are chosen by the processor.
    """
    reasons, free = [], set[str]()
    for stage in recorded.values():
        settings = stage.parameters.items()
        own = [f"{name} is {value}" for name, value in settings if processor.decides(name, value)]
        reasons += own
        computes = any(re.split("[.:]", name)[-1] == "arithmetic" for name in stage.parameters)
        elsewhere = computes and not processor.has_avx2()
        if own or elsewhere:
            free |= stage.outputs.keys()
    while more := {
        path
        for stage in recorded.values()
        if any(names.overlap(one, other) for one in free for other in stage.dependencies)
        for path in stage.outputs
        if path not in free
    }:
        free |= more
    if not processor.has_avx2():
        reasons.append("this is no x86-64 processor with AVX2 under Linux")
    return Promise(processor.name(), " and ".join(reasons), frozenset(free))


def report(verdict: Verdict) -> str:
    """Return a table of the outputs, what differs under it, where it ran, and what is promised there."""
    width = max((len(result.path) for result in verdict.results), default=0)
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
    if verdict.contradicted:
        lines.append(
            f"dvc.lock contradicts itself on {', '.join(verdict.contradicted)}: it was edited by hand, or "
            f"merged; {_MEND}."
        )
    if verdict.changed:
        lines.append(f"Not what dvc.lock was recorded with: {', '.join(verdict.changed)}")
        if not verdict.different:
            lines.append(f"It changes no output, or dvc.lock was edited by hand or merged; {_MEND}.")
    elif verdict.different and not verdict.contradicted:
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
    if verdict.unheld:
        return (
            "The processor here is no reason for that, and nothing that dvc.lock names has changed. DVC's "
            f"cache holds what this run wrote of {', '.join(verdict.unheld)}, and not what dvc.lock records: "
            f"dvc.lock was edited by hand or merged ({_MEND}), or recorded elsewhere (`dvc pull` brings it)."
        )
    return (
        "The processor here is no reason for that, and nothing that dvc.lock names has changed. dvc.lock may "
        f"have been edited by hand or merged: {_MEND}. Or compare the installed packages with "
        "requirements.txt (`make setup`). Or the recorded run, or the run cache that it was restored from, "
        "is of a machine without AVX2."
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
