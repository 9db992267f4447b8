"""What the last commit holds, brought into the workspace: files by git, outputs from DVC's cache."""

import hashlib
import json
import os
import posixpath
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionboard.base.errors import reason
from fashionboard.repository import lockfile, no_links
from fashionboard.repository.cache import Cache
from fashionboard.repository.lockfile import Stage
from fashionboard.restore.git import Git, RestoreError
from fashionboard.restore.kept import Kept

# what DVC changes for a run
PARAMS = "params.yaml"
# paths that one call of DVC is given
_AT_ONCE = 500


def settle(git: Git, root: Path, kept: Kept) -> None:
    """Bring DVC's own files, the parameters and the outputs that git itself keeps, as in HEAD."""
    listed = _listed(git)
    locks, added = _recorders(listed)
    recorded = (
        path for lock in locks for path in (*_files_of_parameters(git, lock), *_outputs_of(git, lock))
    )
    for name in dict.fromkeys([*locks, *added, *recorded]):
        if name not in listed:
            continue
        wanted = (git.content(f"HEAD:./{name}"), git.content(f"HEAD:./{name}", filters=True))
        path = root / name
        if path.is_symlink() and os.fsencode(path.readlink()) == wanted[0]:
            continue
        no_links.check(root, path.parent)
        _keep_staged(git, path, kept, name, wanted)
        if no_links.is_file(path) and path.read_bytes() in wanted:
            git.ask("reset", "--quiet", "HEAD", "--", name)
            continue
        if no_links.is_file(path) and (not path.stat().st_size or _is_committed(git, name)):
            path.unlink()
        elif os.path.lexists(path):
            kept.move(name)
        git.ask("checkout", "--quiet", "HEAD", "--", name)


def _is_committed(git: Git, name: str) -> bool:
    """Tell whether the bytes of a file are in a commit of an experiment, a branch or a tag."""
    found = git.ask("hash-object", "--", name).strip()
    kinds = ("--glob=refs/exps", "--branches", "--tags")
    return bool(git.ask("log", "-1", "--format=%H", f"--find-object={found}", "-m", *kinds).strip())


def _listed(git: Git) -> set[str]:
    """Return the files of HEAD in this repository, by path from its root."""
    return set(git.ask("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0"))


def _recorders(listed: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the lock files, and the .dvc files of what `dvc add` was given."""
    locks = sorted(name for name in listed if posixpath.basename(name) == lockfile.NAME)
    return locks, sorted(name for name in listed if lockfile.is_one(name) and name not in locks)


def _files_of_parameters(git: Git, lock: str) -> Iterator[str]:
    """Yield the files of parameters that a dvc.lock of HEAD records."""
    folder = posixpath.dirname(lock)
    yield posixpath.join(folder, PARAMS)
    for stage in _stages(git, lock):
        for name in stage.parameters:
            if ":" in name:
                yield posixpath.normpath(posixpath.join(folder, name.partition(":")[0]))


def _outputs_of(git: Git, file: str) -> Iterator[str]:
    """Yield the outputs that a dvc.lock or .dvc file of HEAD records."""
    for stage in _stages(git, file):
        for path in stage.outputs:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(file), stage.folder, path))


def _stages(git: Git, file: str) -> list[Stage]:
    text = (git.content(f"HEAD:./{file}") or b"").decode(errors="replace")
    return list(lockfile.read(file, text).values())


def _keep_staged(git: Git, path: Path, kept: Kept, name: str, wanted: Collection[bytes | None]) -> None:
    """Write the versions of a file that are in git's index alone, of a conflict those of both sides."""
    known = {*wanted, path.read_bytes() if no_links.is_file(path) else None, b"", None}
    for number, what in ((0, "staged"), (2, "ours"), (3, "theirs")):
        content = git.content(f":{number}:./{name}")
        if content is not None and content not in known:
            kept.write(f"{name}.{what}", content)


def outputs(git: Git, root: Path, kept: Kept) -> None:
    """Bring the outputs from DVC's cache; what is in no cache and stands in their way is moved.

    What `dvc add` was given is a person's own: of it comes what lacks, and the rest stays as it is.
    """
    place = Path(os.path.realpath(root / _dvc(root, "cache", "dir").removesuffix("\n")))
    cache = Cache(place)
    locks, recorders = _recorders(_listed(git))
    made = {path for lock in locks for path in _outputs_of(git, lock)}
    added = {path for file in recorders for path in _outputs_of(git, file)}
    for output in sorted(made | added):
        path = root / output
        no_links.check(root, path.parent)
        if path.is_symlink() and path.is_dir():
            no_links.check(root, path)
        for strange in _strange(path, place, own=output in added):
            kept.move(os.path.relpath(strange, root))
    for name in _within(made, status(root).found):
        path = root / name
        if no_links.is_file(path) and path.stat().st_size and cache.find(_md5(path)) is None:
            kept.move(name)
    pipelines = [posixpath.join(posixpath.dirname(lock), "dvc.yaml") for lock in locks]
    if there := [each for each in pipelines if (root / each).exists()]:
        _dvc(root, "checkout", "--quiet", "--force", "--allow-missing", *there)
    now = status(root)
    whole = tuple(each for each in now.gone if each.endswith("/"))
    lacking = [
        each
        for each in _within(added, now.gone)
        if each not in now.lacking and (each in whole or not each.startswith(whole))
    ]
    for folder in sorted({parent for each in lacking for parent in Path(each).parents}):
        # a file in the place of a folder
        if no_links.is_file(root / folder):
            kept.move(str(folder))
    for number in range(0, len(lacking), _AT_ONCE):
        _dvc(root, "checkout", "--quiet", "--allow-missing", *lacking[number : number + _AT_ONCE])


def _within(outputs: Collection[str], found: Iterable[str]) -> Iterator[str]:
    """Yield those paths that are outputs, or lie in one."""
    for each in found:
        if any(f"{each.rstrip('/')}/".startswith(f"{output}/") for output in outputs):
            yield each


def _strange(path: Path, cache: Path, own: bool) -> Iterator[Path]:
    """Yield what no output of DVC's has: pipes and the like, and links that do not end in its cache.

    own: whether a person has put it there, who may link to files elsewhere.
    """
    for each in (path, *path.rglob("*")) if no_links.is_folder(path) else (path,):
        mode = each.lstat().st_mode if os.path.lexists(each) else 0
        if stat.S_ISLNK(mode):
            if not (own and each.is_file()) and not Path(os.path.realpath(each)).is_relative_to(cache):
                yield each
        elif mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            yield each


@dataclass(frozen=True)
class Status:
    """What DVC says of outputs against dvc.lock, by path from the repository's root; a folder ends with `/`.

    found: what is there and not recorded so. gone: what is recorded and not there. lacking: what of it is
    not in the cache either.
    """

    found: tuple[str, ...]
    gone: tuple[str, ...]
    lacking: tuple[str, ...]


def status(root: Path) -> Status:
    """Return what DVC says of the outputs in the workspace.

    Raises:
        RestoreError: DVC fails.
    """
    said: dict[str, Any] = json.loads(_dvc(root, "data", "status", "--granular", "--json"))
    changed = said.get("uncommitted", {})
    renamed = [each["new"] for each in changed.get("renamed", [])]
    gone = {*changed.get("deleted", []), *(each["old"] for each in changed.get("renamed", []))}
    lacking = sorted(gone & set(said.get("not_in_cache", [])))
    folders = tuple(name for name in lacking if name.endswith("/"))
    return Status(
        (*changed.get("modified", []), *changed.get("added", []), *renamed),
        tuple(sorted(gone)),
        tuple(name for name in lacking if name in folders or not name.startswith(folders)),
    )


def _dvc(root: Path, *arguments: str) -> str:
    """Return what DVC prints; raises RestoreError if it fails."""
    # -P: a file dvc.py in the folder is none of DVC
    command = [sys.executable, "-P", "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        said = next((line for line in lines if line.startswith("ERROR: ")), lines[-1]).removeprefix("ERROR: ")
        raise RestoreError(
            f"expected `dvc {arguments[0]}` to succeed, found: {reason(OSError(said))}; mend it, call again"
        )
    return done.stdout


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
