"""What a killed `dvc exp run` leaves in git, and the way back from it.

DVC (3.67, dvc/repo/experiments) moves the changes of the workspace to git's stash, detaches HEAD, applies
them together with new parameters, runs the stages, and goes back to the branch. It notes commits in refs:
`refs/stash` and `refs/exps/stash` at first, `refs/exps/exec/*` while stages run.
"""

import contextlib
import os
import re
import time
from collections.abc import Collection
from pathlib import Path

import psutil

from fashionboard.repository import at_work, no_links
from fashionboard.repository.names import short
from fashionboard.restore.git import Git, RestoreError
from fashionboard.restore.kept import Kept

_EXEC = "refs/exps/exec/"
_MERGE = f"{_EXEC}EXEC_MERGE"
_STASH = "refs/exps/stash"
# the folder for what only a run's own refs held
FROM_RUN = "from-the-run"
_RUN = (_MERGE, f"{_EXEC}EXEC_HEAD", f"{_EXEC}EXEC_BASELINE", f"{_EXEC}EXEC_BRANCH", _STASH)
# the arguments of a run, which DVC adds to git's index
ARGUMENTS = ".dvc/tmp/repro.dat"
# what DVC and a person's commits write to the log of HEAD after DVC has detached it
_LATER = re.compile(r"commit|dvc: Restore HEAD|reset: moving to HEAD")
_DETACHED = re.compile(r"checkout: moving from (.+) to ([0-9a-f]{40,64})")
# files of git's own, and the commands that make them and wait for a person
_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}
# seconds after which a lock file of git belongs to nobody: it is held for the time of one write
_STALE = 3.0


def check(git: Git) -> None:
    """Return if git does nothing else, nor waits for a person.

    Raises:
        RestoreError: a merge or the like is in progress, or git runs.
    """
    for name, what in _IN_PROGRESS.items():
        if any((folder / name).exists() for folder in git.folders()):
            raise RestoreError(f"expected no {what} in progress, found one; end it, or `git {what} --abort`")
    folders = [*git.folders(), *git.worktrees()]
    for process in psutil.process_iter():
        # other people's processes cannot be asked, nor those that have ended
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "git" and any(Path(process.cwd()).is_relative_to(each) for each in folders):
                name = f"`{at_work.name(process)}` (process {process.pid})"
                raise RestoreError(f"expected no git at work, found {name}; end it")


def unlock(git: Git) -> None:
    """Remove the lock files that a killed program has left in git's own folder; no git must be at work."""
    for folder in git.folders():
        for lock in [*folder.glob("*.lock"), *Path(folder, "refs").rglob("*.lock")]:
            if no_links.is_file(lock):
                _remove_stale(lock)


def _remove_stale(lock: Path) -> None:
    try:
        written = lock.lstat().st_mtime_ns
        time.sleep(max(0.0, min(_STALE, _STALE - (time.time() - written / 1e9))))
        if lock.lstat().st_mtime_ns == written:
            lock.unlink()
    except FileNotFoundError:
        return  # git has ended its write


def attach(git: Git) -> str | None:
    """Go back to the branch that a killed run has left, and return it; None if HEAD stays as it is.

    What a person has committed since becomes part of the branch, an experiment's commit does not. A HEAD
    that a person has detached stays so.

    Raises:
        RestoreError: the branch has moved elsewhere meanwhile.
    """
    bisecting = any((folder / "BISECT_LOG").exists() for folder in git.folders())
    if bisecting or git.run("symbolic-ref", "--quiet", "HEAD").returncode == 0:
        return None
    branch = _left(git)
    if branch is None:
        return None
    ref, head = f"refs/heads/{branch}", git.ask("rev-parse", "HEAD").strip()
    tip = git.refs(ref).get(ref)
    killed = bool(git.refs(*_RUN)) or git.content(f":./{ARGUMENTS}") is not None
    if tip is None or (tip != head and not killed):
        return None
    if git.run("merge-base", "--is-ancestor", tip, head).returncode:
        raise RestoreError(
            f"HEAD: expected {branch} or a commit after it, found {short(head)}, which is not on it; keep "
            f"what was committed with `git switch -c NAME`, or go back with `git switch {branch}`"
        )
    if not _is_experiment(git, head):
        git.ask("update-ref", "-m", f"restore: go back to {branch}", ref, head, tip)
    git.ask("symbolic-ref", "-m", f"restore: go back to {branch}", "HEAD", ref)
    return branch


def _is_experiment(git: Git, commit: str) -> bool:
    """Tell whether DVC has made a commit, as the result of an experiment that it may not have named yet."""
    named = commit in git.refs("refs/exps").values()
    return named or git.ask("log", "-1", "--format=%s", commit).startswith("dvc: commit experiment ")


def _left(git: Git) -> str | None:
    """Return the branch from which DVC has detached HEAD, by git's log of HEAD."""
    for line in git.ask("log", "--walk-reflogs", "--format=%gs", "HEAD", "--").splitlines():
        if match := _DETACHED.fullmatch(line):
            # a second run started from a HEAD that was detached already
            if not re.fullmatch(r"[0-9a-f]{40,64}", match[1]):
                return match[1]
        elif not _LATER.match(line):
            return None
    return None


def keep_changes(git: Git, kept: Kept, own: Collection[str]) -> list[str]:
    """Write what a person changed and only a killed run's own refs still hold to the folder for that.

    own: paths of files that DVC itself changes before a run. Returns the paths of what is in git's stash
    alone, from the top of the git repository.
    """
    head, top, prefix = git.ask("rev-parse", "HEAD"), git.top, git.prefix
    ours = {f"{prefix}{path}" for path in own}
    held: dict[str, bytes | None] = {}
    stashed: list[str] = []
    found = git.refs("refs/stash", _MERGE, _STASH)
    for ref in sorted(found, key=["refs/stash", _MERGE, _STASH].index):
        commit = found[ref]
        if ref == "refs/stash" and git.ask("rev-parse", f"{commit}^1") != head:
            continue  # an older one, of the person's own
        for path in git.ask("diff", "--name-only", "-z", f"{commit}^1", commit).split("\0"):
            content = git.content(f"{commit}:{path}")
            if path in ("", f"{prefix}{ARGUMENTS}") or (ref == _STASH and path in ours):
                continue
            if content in _here(git, top, path) or (path in held and held[path] == content):
                continue
            held[path] = content
            if ref == "refs/stash":
                stashed.append(path)
            elif content is not None:
                kept.write(f"{FROM_RUN}/{path}", content)
    return stashed


def _here(git: Git, top: Path, path: str) -> list[bytes | None]:
    """Return the bytes of a file in the workspace, as they are and as git would store them."""
    place = top / path
    if place.is_symlink():
        return [os.fsencode(place.readlink())]
    if not no_links.is_file(place):
        return [None]
    found = place.read_bytes()
    # the name alone: an object with other bytes than the stash's is none that is looked for
    stored = git.content(git.ask("-C", str(top), "hash-object", "--", path).strip())
    return [found, *([] if stored is None else [stored])]


def forget(git: Git, root: Path) -> None:
    """Remove the refs and the arguments of a killed run, which the next run would take up."""
    for ref in git.refs(*_RUN):
        git.ask("update-ref", "--no-deref", "-d", ref)
    git.ask("rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", ARGUMENTS)
    if no_links.is_file(root / ARGUMENTS):
        (root / ARGUMENTS).unlink()
