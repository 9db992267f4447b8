"""The way back to the last commit after a run that failed or was killed, at whatever moment."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fashionboard import at_work, keeping, killed, private, rwlock
from fashionboard.dvcfiles import Cache
from fashionboard.errors import reason, visible
from fashionboard.killed import Git, RestoreError

_PARAMS, _LOCK = "params.yaml", "dvc.lock"
_SHOWN = 5  # names in a line


@dataclass(frozen=True)
class Restored:
    """What was done.

    commit: its short name. branch: the one that was gone back to, None where HEAD was on one. kept: the
    folder with `moved`, what is neither in the commit nor in DVC's cache. stashed: the paths of what is in
    git's stash alone. missing: the outputs of the commit that are not in DVC's cache.
    """

    commit: str
    branch: str | None
    kept: Path
    moved: tuple[str, ...]
    stashed: tuple[str, ...]
    missing: tuple[str, ...]


def repository(folder: Path) -> Path:
    """Return the DVC repository that `folder` is in, without links in its path.

    Raises:
        RestoreError: there is none.
    """
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


def restore(folder: Path) -> Restored:
    """Bring back the last commit: branch, params.yaml, dvc.lock and outputs; remove what a kill left.

    Files that git tracks stay as they are otherwise. Nothing that a person may have written is lost: what
    is neither in the commit nor in DVC's cache is moved to a folder of its own.

    Raises:
        RestoreError: there is no such repository or commit, DVC runs there, or DVC or git fails.
        PathError: there is a link where something would be written or removed.
    """
    root = repository(folder)
    if running := at_work.processes(root):
        names = ", ".join(f"`{at_work.name(each)}` (process {each.pid})" for each in running[:_SHOWN])
        raise RestoreError(f"expected no run here, found {names}; end it, or wait for it")
    git = Git(root)
    commit = git.ask("rev-parse", "--short", "HEAD").strip()
    if git.content(f"HEAD:./{_LOCK}") is None:
        raise RestoreError(f"expected a committed {_LOCK}, found none in {commit}; `dvc repro` and commit it")
    private.check(root, root / ".dvc" / "tmp" / "exps")
    rwlock.mend(root)
    killed.unlock(git)
    stashed = killed.keep_changes(git, root, (_LOCK, _PARAMS))
    branch = killed.attach(git)
    killed.forget(git, root)
    kept = root.joinpath(*keeping.FOLDER, "kept", time.strftime("%Y-%m-%dT%H-%M-%S"))
    moved = [*_settle(git, root, kept), *_bring_outputs(root, kept)]
    _sweep(root)
    return Restored(commit, branch, kept, tuple(moved), tuple(stashed), _status(root).lacking)


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
            f"Changes from before the run are in git's stash: {_few(restored.stashed)}. "
            "`git stash pop` brings them here."
        )
    if restored.missing:
        lines.append(
            f"Not in DVC's cache: {_few(restored.missing)}. `dvc pull` brings it, or `dvc repro` makes it."
        )
    return "\n".join(map(visible, lines))


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _settle(git: Git, root: Path, kept: Path) -> Iterator[str]:
    """Bring the lock file and the parameters of HEAD; yield the names of what was moved for them."""
    for name in (_LOCK, _PARAMS):
        wanted = git.content(f"HEAD:./{name}")
        if wanted is None:
            continue
        path = root / name
        private.check(root, path)
        if path.exists() and (path.is_dir() or path.read_bytes() not in (wanted, b"")):
            yield _move(root, kept, name)
        elif path.exists() and not path.stat().st_size:
            path.unlink()
        git.ask("checkout", "--quiet", "HEAD", "--", name)


def _bring_outputs(root: Path, kept: Path) -> Iterator[str]:
    """Bring the outputs from DVC's cache; yield the names of what was moved for them."""
    cache = Cache(root / _dvc(root, "cache", "dir").strip())
    for name in _status(root).found:
        path = root / name
        if private.is_file(path) and path.stat().st_size and cache.find(_md5(path)) is None:
            yield _move(root, kept, name)
    _dvc(root, "checkout", "--quiet", "--force", "--allow-missing")


@dataclass(frozen=True)
class _Status:
    """What DVC says of outputs against dvc.lock, by path from the repository's root; a folder ends with `/`.

    found: what is there and not recorded so. lacking: what is recorded, not there, and not in the cache.
    """

    found: tuple[str, ...]
    lacking: tuple[str, ...]


def _status(root: Path) -> _Status:
    status: dict[str, Any] = json.loads(_dvc(root, "data", "status", "--granular", "--json"))
    changed = status.get("uncommitted", {})
    renamed = [each["new"] for each in changed.get("renamed", [])]
    gone = {*changed.get("deleted", []), *(each["old"] for each in changed.get("renamed", []))}
    lacking = sorted(gone & set(status.get("not_in_cache", [])))
    folders = tuple(name for name in lacking if name.endswith("/"))
    return _Status(
        (*changed.get("modified", []), *changed.get("added", []), *renamed),
        tuple(name for name in lacking if name in folders or not name.startswith(folders)),
    )


def _dvc(root: Path, *arguments: str) -> str:
    """Return what DVC prints; raises RestoreError if it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = next(iter(re.findall("^ERROR: (.*)", done.stderr, re.MULTILINE)), done.stderr)
        raise RestoreError(f"expected `dvc {arguments[0]}` to succeed, found: {reason(OSError(said))}")
    return done.stdout


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _move(root: Path, kept: Path, name: str) -> str:
    """Move a file of the repository below the folder `kept`, and return its name."""
    path = root / name
    private.check(root, path)
    private.check(root, kept)
    target = kept / name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return name


def _sweep(root: Path) -> None:
    """Remove what nobody has written: half files, copies of experiments that no process works in."""
    for partial in root.joinpath(*keeping.FOLDER).glob(".*.partial"):
        if not psutil.pid_exists(int(re.sub(r".*\.(\d+)\.partial", r"\1", partial.name))):
            partial.unlink(missing_ok=True)
    alone = root / ".dvc" / "tmp" / "exps" / "standalone"
    for folder in [
        root / ".dvc" / "tmp" / "exps" / "run" / "workspace",
        *alone.glob("tmp*"),
        *alone.glob("run/*"),
    ]:
        if private.is_folder(folder) and not at_work.inside(folder):
            shutil.rmtree(folder)
