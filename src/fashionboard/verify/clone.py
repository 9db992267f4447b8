"""A temporary clone of a repository, in which DVC runs all stages anew.

It is a folder `fashionboard-verify-*` among the temporary files. It is removed with the process that made
it, or by the next one if that was killed.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fashionboard.base import outputs
from fashionboard.base.errors import FashionboardError, reason
from fashionboard.repository import ending, no_links
from fashionboard.repository.programs import DVC, environment, run, start

_PREFIX = "fashionboard-verify-"
# in the folder: who made it and when that process began, and the folder's inode number, which no copy has
_MARK = ".fashionboard-verify"
_MARKED = re.compile(r"(\d+) (\d+) (\d+)")
# seconds by which a process can seem to have begun otherwise, after the clock was set
_CLOCK = 60
# bytes that a small file takes on a disk, in a megabyte, and of DVC's databases beside what it keeps
_BLOCK, _MB, _OWN = 4096, 1_000_000, 1_000_000


# the repository's own cache, as a remote of the clone
_KEPT = "kept-by-fashionboard-verify"


class VerifyError(FashionboardError):
    """The pipeline cannot be run again."""


@dataclass(frozen=True)
class Clone:
    """What is committed, checked out in `path`; DVC keeps the outputs of its stages in `cache`."""

    path: Path
    cache: Path


@contextlib.contextmanager
def of(root: Path) -> Iterator[Clone]:
    """Clone the repository at `root` into a temporary folder; it is removed at the end of the block.

    Those of processes that were killed are removed, too.

    Raises:
        VerifyError: there is no folder for temporary files.
        ProgramError: git or DVC cannot clone.
        PathError: a link is in the place of one of DVC's own files.
    """
    for other in _temporary().glob(f"{_PREFIX}*"):
        if _is_abandoned(other):
            shutil.rmtree(other, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        started = int(psutil.Process().create_time())
        outputs.write_bytes(folder / _MARK, f"{os.getpid()} {started} {folder.stat().st_ino}".encode())
        run(
            ["git", "clone", "--quiet", str(root), str(folder / "clone")], root, "cannot clone the repository"
        )
        follow_no_link(folder / "clone")
        yield Clone(folder / "clone", folder / "cache")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        found = "expected a folder for temporary files that can be written, found none"
        raise VerifyError(f"{found}; name one: TMPDIR=FOLDER ({reason(error)})") from None


def _is_abandoned(folder: Path) -> bool:
    """Tell whether a process of this user made this very folder, and has ended."""
    try:
        status = folder.lstat()
        if not no_links.is_folder(folder) or not no_links.is_file(folder / _MARK):
            return False
        mark = _MARKED.fullmatch((folder / _MARK).read_text(encoding="ascii"))
        if mark is None or int(mark[3]) != status.st_ino:
            return False
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            return False
        return abs(psutil.Process(int(mark[1])).create_time() - int(mark[2])) > _CLOCK
    except psutil.NoSuchProcess:
        return True
    except (OSError, ValueError, psutil.Error):
        return False


def follow_no_link(root: Path) -> None:
    """Refuse links where DVC writes before it runs anything.

    Raises:
        PathError: there is one.
    """
    for name in ("tmp", "config.local", ".gitignore"):
        no_links.check(root.resolve(), root / ".dvc" / name)


def reproduce(clone: Clone, kept: Path) -> str:
    """Run all stages, and return the text of the new dvc.lock; whatever ends this, ends them too.

    What DVC and the stages print goes to stdout and stderr. kept: the repository's own cache, from which what
    no stage makes is taken: files that `dvc add` gave to DVC.

    Raises:
        VerifyError: a stage fails.
        ProgramError: the clone cannot be given a cache, or that lacks what was added.
    """
    (clone.path / "dvc.lock").unlink()
    # else a shared cache would bring the outputs without running anything; DVC 3.67 writes ASCII alone
    cache = os.path.relpath(clone.cache, clone.path)
    run([*DVC, "cache", "dir", "--local", cache], clone.path, "cannot give the clone a cache")
    _bring_added(clone, kept)
    variables = {**environment(), "DVC_SITE_CACHE_DIR": str(clone.path.parent / "site")}
    dvc = start([*DVC, "repro"], clone.path, variables)
    try:
        code = dvc.wait()
    except BaseException:
        stages = []
        with contextlib.suppress(psutil.NoSuchProcess):
            stages = psutil.Process(dvc.pid).children(recursive=True)
        dvc.terminate()
        dvc.wait()
        psutil.wait_procs(stages, timeout=5)
        raise
    if code:
        ending.check()
        raise VerifyError("a stage failed in a fresh clone; see its error above")
    try:
        return (clone.path / "dvc.lock").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise VerifyError("expected stages in dvc.yaml, found none; write one") from None


def _bring_added(clone: Clone, kept: Path) -> None:
    listed = run(["git", "ls-files", "-z", "--", "*.dvc"], clone.path, "cannot list what is committed")
    if files := list(filter(None, listed.split("\0"))):
        problem = "expected what `dvc add` gave to DVC in its cache here; bring it with `dvc pull`"
        # a cache is laid out as a remote is
        run([*DVC, "remote", "add", "--local", _KEPT, str(kept)], clone.path, problem)
        run([*DVC, "pull", "--quiet", "--remote", _KEPT, *files], clone.path, problem)


def check_room(root: Path, outputs_size: int) -> None:
    """Return if the disk of the temporary files has room for a clone of `root` and its outputs.

    outputs_size: bytes of all outputs; DVC keeps each in its cache and in the clone.

    Raises:
        VerifyError: it has not.
    """
    parent = _temporary()
    needed, free = 2 * outputs_size + _size(root) + _OWN, shutil.disk_usage(parent).free
    if free < needed:
        raise VerifyError(
            f"{parent}: expected room for about {-(-needed // _MB):,} MB, found {free // _MB:,} MB free; "
            "make room there, or name another folder: TMPDIR=FOLDER"
        )


def _size(root: Path) -> int:
    """Return about how many bytes a clone takes: git's objects, and the files of HEAD in whole blocks."""
    counted = run(["git", "count-objects", "-v"], root, "cannot count git's objects")
    packed = sum(int(size) for size in re.findall(r"^size(?:-pack)?: (\d+)$", counted, re.MULTILINE))
    files = run(["git", "ls-tree", "-r", "-l", "-z", "HEAD"], root, "cannot list what is committed")
    sizes = [entry.split()[3] for entry in files.split("\0") if entry]
    # a submodule has none
    blocks = sum(-(-int(size) // _BLOCK) for size in sizes if size.isdigit())
    return 1024 * packed + _BLOCK * blocks
