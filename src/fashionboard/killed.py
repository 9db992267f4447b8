"""What a killed `dvc exp run` leaves in git, and the way back from it.

DVC (3.67, dvc/repo/experiments) moves the changes of the workspace to git's stash, detaches HEAD, applies
them together with new parameters, runs the stages, and goes back to the branch. It notes commits in refs:
`refs/stash` and `refs/exps/stash` at first, `refs/exps/exec/*` while stages run.
"""

import os
import re
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from fashionboard import private
from fashionboard.errors import FashionboardError, reason

_EXEC = "refs/exps/exec/"
_MERGE = f"{_EXEC}EXEC_MERGE"
_STASH = "refs/exps/stash"
_RUN = (_MERGE, f"{_EXEC}EXEC_HEAD", f"{_EXEC}EXEC_BASELINE", f"{_EXEC}EXEC_BRANCH", _STASH)
# the arguments of a run, which DVC adds to git's index
_ARGUMENTS = ".dvc/tmp/repro.dat"
# what DVC and a person's commits write to the log of HEAD after DVC has detached it
_LATER = re.compile(r"commit|dvc: Restore HEAD|reset: moving to HEAD")
_DETACHED = re.compile(r"checkout: moving from (.+) to ([0-9a-f]{40,64})")
# seconds after which a lock file of git belongs to nobody: it is held for the time of one write
_STALE = 3.0


class RestoreError(FashionboardError):
    """The last commit cannot be brought back."""


class Git:
    """A git repository to write to; paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, *arguments: str) -> str:
        """Return what git prints.

        Raises:
            RestoreError: it fails, or there is no git.
        """
        done = self.run(*arguments)
        if done.returncode:
            found = os.fsdecode(done.stderr).strip().removeprefix("fatal: ") or f"exit code {done.returncode}"
            raise RestoreError(f"expected `git {arguments[0]}` to succeed, found: {reason(OSError(found))}")
        return os.fsdecode(done.stdout)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run git, and return how it ended; no hook is run.

        Raises:
            RestoreError: there is no git.
        """
        command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
        try:
            return subprocess.run(command, cwd=self._folder, capture_output=True, check=False)
        except OSError as error:
            raise RestoreError(f"expected git, found: {reason(error)}") from None

    def content(self, name: str) -> bytes | None:
        """Return the bytes of `<revision>:<path>`, None if there is no such file."""
        done = self.run("cat-file", "blob", name)
        return None if done.returncode else done.stdout

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return the commit of each ref that is one of `prefixes`, or lies below it."""
        lines = self.ask("for-each-ref", "--format=%(objectname) %(refname)", *prefixes).splitlines()
        return {name: commit for commit, _, name in (line.partition(" ") for line in lines)}


def unlock(git: Git) -> None:
    """Remove the lock files that a killed program has left in git's own folder."""
    kinds = ("--git-dir", "--git-common-dir")  # two in a worktree
    for folder in {git.ask("rev-parse", "--path-format=absolute", kind).strip() for kind in kinds}:
        for lock in [*Path(folder).glob("*.lock"), *Path(folder, "refs").rglob("*.lock")]:
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

    What was committed since becomes part of the branch.

    Raises:
        RestoreError: the branch has moved elsewhere meanwhile.
    """
    if git.run("symbolic-ref", "--quiet", "HEAD").returncode == 0:
        return None
    branch = _left(git)
    if branch is None:
        return None
    ref, head = f"refs/heads/{branch}", git.ask("rev-parse", "HEAD").strip()
    tip = git.refs(ref).get(ref)
    if tip is None:
        return None
    if git.run("merge-base", "--is-ancestor", tip, head).returncode:
        raise RestoreError(
            f"HEAD: expected {branch} or a commit after it, found {head[:7]}, which is not on it; keep what "
            f"was committed with `git switch -c NAME`, or go back with `git switch {branch}`"
        )
    git.ask("update-ref", "-m", f"restore: go back to {branch}", ref, head, tip)
    git.ask("symbolic-ref", "-m", f"restore: go back to {branch}", "HEAD", ref)
    return branch


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


def keep_changes(git: Git, root: Path, own: Collection[str]) -> list[str]:
    """Put into git's stash what a person changed and only a killed run's own refs still hold.

    own: paths of files that DVC itself changes before a run. Returns the paths of what is in the stash alone.
    """
    head = git.ask("rev-parse", "HEAD")
    held: dict[str, bytes | None] = {}
    found = git.refs("refs/stash", _MERGE, _STASH)
    for ref in sorted(found, key=["refs/stash", _MERGE, _STASH].index):
        commit = found[ref]
        if git.ask("rev-parse", f"{commit}^1") != head:
            continue  # an older one, of the person's own
        lost = {
            path: content
            for path in git.ask("diff", "--name-only", "--relative", "-z", f"{commit}^1", commit).split("\0")
            if path and path != _ARGUMENTS and not (ref == _STASH and path in own)
            if (content := git.content(f"{commit}:./{path}")) != _bytes(root / path)
            if path not in held or held[path] != content
        }
        if lost and ref != "refs/stash":
            git.ask("stash", "store", "--message", "what a killed dvc exp run had", commit)
        held |= lost
    return list(held)


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if private.is_file(path) else None


def forget(git: Git, root: Path) -> None:
    """Remove the refs and the arguments of a killed run, which the next run would take up."""
    for ref in git.refs(*_RUN):
        git.ask("update-ref", "--no-deref", "-d", ref)
    git.ask("rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", _ARGUMENTS)
    (root / _ARGUMENTS).unlink(missing_ok=True)
