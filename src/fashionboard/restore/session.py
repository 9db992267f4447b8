"""One call of `fashionboard restore`: the way back to the last commit after a run that was cut off."""

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fashionboard.base.errors import FashionboardError, reason, visible
from fashionboard.repository import at_work, keeping, no_links, rwlock
from fashionboard.repository.lockfile import NAME as LOCK
from fashionboard.restore import bringing, killed
from fashionboard.restore.bringing import PARAMS
from fashionboard.restore.git import Git, RestoreError
from fashionboard.restore.kept import Kept
from fashionboard.restore.killed import ARGUMENTS

_SHOWN = 5  # names in a line


@dataclass(frozen=True)
class Restored:
    """What was done.

    commit: its short name. branch: the one that was gone back to, None where HEAD was on one. kept: the
    folder with `moved`, what is neither in the commit nor in DVC's cache. stashed: the paths of what is in
    git's stash alone. missing: the outputs of the commit that are not in DVC's cache. other: those that are
    not as in the commit.
    """

    commit: str
    branch: str | None
    kept: Path | None
    moved: tuple[str, ...]
    stashed: tuple[str, ...]
    missing: tuple[str, ...]
    other: tuple[str, ...]


def repository(folder: Path) -> Path:
    """Return the DVC repository that `folder` is in, without links in its path.

    Raises:
        RestoreError: there is none, or no such folder.
    """
    if not folder.is_dir():
        raise RestoreError(f"{folder}: expected a folder of a DVC repository, found none; name another")
    real = folder.resolve()
    for each in (real, *real.parents):
        if (each / ".dvc").is_dir():
            return each
    raise RestoreError(f"{folder}: expected a DVC repository, found none; call from within one")


def unlock(folder: Path) -> None:
    """Mend DVC's lock file where a kill has cut it off, and say so; nothing else.

    Raises:
        RestoreError: there is no such repository.
        PathError: there is a link in the file's place.
    """
    if rwlock.mend(repository(folder)):
        print("Removed .dvc/tmp/rwlock, which a killed DVC had left half written.", file=sys.stderr)


def run(folder: Path, lock_only: bool) -> None:
    """Restore the repository that `folder` is in, or mend its lock file alone, and print what was done.

    Raises:
        RestoreError: the last commit cannot be brought back.
    """
    if lock_only:
        unlock(folder)
    else:
        print(report(restore(folder)))


def restore(folder: Path) -> Restored:
    """Bring back the last commit: branch, parameters, DVC's files and outputs; remove what a kill left.

    Of what `dvc add` was given, files that lack come back. All else stays as it is. Nothing that a person may
    have written is lost: what is neither in the commit nor in DVC's cache is moved to a folder of its own.

    Raises:
        RestoreError: there is no such repository or commit, DVC or git runs there, or one of them fails.
        PathError: there is a link where something would be written or removed.
    """
    root = repository(folder)
    kept = Kept(root)
    try:
        with _alone(root):
            return _restore(root, kept)
    except (FashionboardError, OSError) as error:
        moved = f"; {_few(tuple(kept.moved))} was moved to {kept.folder}" if kept.moved else ""
        if isinstance(error, OSError):
            raise RestoreError(f"{reason(error)}; mend it and call again{moved}") from None
        raise type(error)(f"{error}{moved}") from None


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let no other one restore meanwhile, and none start while DVC is at work."""
    _refuse_links(root)
    lock = no_links.folder(root, *keeping.FOLDER) / "restore.lock"
    no_links.check(root, lock)
    # DVC takes a while to import
    from dvc.lock import LockError, make_lock

    try:
        with make_lock(str(lock), tmp_dir=str(lock.parent)):
            yield
    except LockError:
        raise RestoreError("expected no other restore here, found one; wait for it") from None


def _refuse_links(root: Path) -> None:
    """Refuse links on the way to what is removed at the end."""
    exps = root / ".dvc" / "tmp" / "exps"
    for path in (exps / "run" / "workspace", exps / "standalone" / "run", root / ARGUMENTS):
        no_links.check(root, path)


def _restore(root: Path, kept: Kept) -> Restored:
    git = Git(root)
    commit = git.ask("rev-parse", "--short", "HEAD").strip()
    if git.content(f"HEAD:./{LOCK}") is None:
        raise RestoreError(f"expected a committed {LOCK}, found none in {commit}; `dvc repro` and commit it")
    inner = git.prefix
    for each in dict.fromkeys([root, *(worktree / inner for worktree in git.worktrees())]):
        _refuse_runs(each)
    killed.check(git)
    rwlock.mend(root)
    killed.unlock(git)
    stashed = killed.keep_changes(git, kept, (LOCK, PARAMS))
    branch = killed.attach(git)
    killed.forget(git, root)
    bringing.settle(git, root, kept)
    bringing.outputs(git, root, kept)
    _sweep(root)
    status = bringing.status(root)
    return Restored(
        commit,
        branch,
        kept.folder if kept.moved else None,
        tuple(kept.moved),
        tuple(stashed),
        status.lacking,
        status.found,
    )


def _refuse_runs(root: Path) -> None:
    if running := at_work.processes(root):
        names = ", ".join(f"`{at_work.name(each)}` (process {each.pid})" for each in running[:_SHOWN])
        raise RestoreError(f"expected no run here, found {names}; end it, or wait for it")


def report(restored: Restored) -> str:
    """Say what was done, a thing a line."""
    back = f", on branch {restored.branch}" if restored.branch else ""
    lines = [f"Back at commit {restored.commit}{back}."]
    if restored.moved:
        lines.append(
            f"Kept in {restored.kept}: {_few(restored.moved)}. Delete that folder if you do not need it."
        )
    if restored.stashed:
        lines.append(
            f"In git's stash alone, from before the run: {_few(restored.stashed)}. "
            "`git stash pop` brings it here."
        )
    if restored.missing:
        lines.append(
            f"Not in DVC's cache: {_few(restored.missing)}. `dvc pull` brings it, or `dvc repro` makes it."
        )
    if restored.other:
        lines.append(
            f"Not as in the commit: {_few(restored.other)}. `dvc status` and `git status` tell more."
        )
    return "\n".join(map(visible, lines))


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _sweep(root: Path) -> None:
    """Remove what nobody has written: half files, copies of experiments that no process works in."""
    for partial in root.joinpath(*keeping.FOLDER).glob(".*.partial"):
        number = re.fullmatch(r"\..*\.([0-9]{1,9})\.partial", partial.name)
        if number and no_links.is_file(partial) and not psutil.pid_exists(int(number[1])):
            partial.unlink()
    exps = root / ".dvc" / "tmp" / "exps"
    alone = exps / "standalone"
    for folder in (exps / "run" / "workspace", *alone.glob("tmp*"), *alone.glob("run/*")):
        if no_links.is_folder(folder) and not at_work.inside(folder):
            shutil.rmtree(folder)
