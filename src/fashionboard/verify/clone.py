"""A temporary clone of a repository, in which DVC runs all stages anew.

It is a folder `fashionboard-verify-*` among the temporary files. It is removed with the process that made
it, or by the next one if that was killed.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fashionboard.base import outputs
from fashionboard.base.errors import FashionboardError, reason
from fashionboard.repository import no_links

# -P: a file dvc.py in the repository is none of DVC
DVC = [sys.executable, "-P", "-m", "dvc"]
_PREFIX = "fashionboard-verify-"
# in the folder: who made it and when that process began, and the folder's inode number, which no copy has
_MARK = ".fashionboard-verify"
_MARKED = re.compile(r"(\d+) (\d+) (\d+)")
# seconds by which a process can seem to have begun otherwise, after the clock was set
_CLOCK = 60
# of `git rev-parse --local-env-vars`, those that lead to another repository, index or configuration
_OF_A_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}
# prctl(2): the signal that a process gets when its parent ends
_PR_SET_PDEATHSIG = 1
# bytes that a small file takes on a disk, in a megabyte, and of DVC's databases beside what it keeps
_BLOCK, _MB, _OWN = 4096, 1_000_000, 1_000_000


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
        VerifyError: there is no folder for temporary files, or the clone fails.
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


def reproduce(clone: Clone) -> str:
    """Run all stages, and return the text of the new dvc.lock; whatever ends this, ends them too.

    What DVC and the stages print goes to stdout and stderr.

    Raises:
        VerifyError: a stage fails.
    """
    (clone.path / "dvc.lock").unlink()
    # else a shared cache would bring the outputs without running anything; DVC 3.67 writes ASCII alone
    cache = os.path.relpath(clone.cache, clone.path)
    run([*DVC, "cache", "dir", "--local", cache], clone.path, "cannot give the clone a cache")
    environment = {**_environment(), "DVC_SITE_CACHE_DIR": str(clone.path.parent / "site")}
    dvc = subprocess.Popen(
        [*DVC, "repro"], cwd=clone.path, env=environment, preexec_fn=_ending_with_this_one()
    )
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
        raise VerifyError("a stage failed in a fresh clone; see its error above")
    try:
        return (clone.path / "dvc.lock").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise VerifyError("expected stages in dvc.yaml, found none; write one") from None


def _ending_with_this_one() -> Callable[[], None] | None:
    """Return what makes a new process die with this one under Linux, however that ends.

    DVC would go on alone after a SIGKILL; its stages end with it by themselves.
    """
    if sys.platform != "linux":
        return None
    this, libc = os.getpid(), ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # it may have ended just before
        if os.getppid() != this:
            os._exit(1)

    return tie


def _environment() -> dict[str, str]:
    """Return an environment in which stages find this interpreter, and the mirror from another folder."""
    own = _without_git_settings()
    environment = {**own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"}
    mirror = environment.get("FASHION_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        environment["FASHION_MNIST_MIRROR"] = str(Path(mirror).expanduser().absolute())
    return environment


def _without_git_settings() -> dict[str, str]:
    """Return the environment without what leads to another repository, as it does in a hook of git's."""
    return {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}


def run(command: list[str], folder: Path, problem: str) -> str:
    """Run a command in a folder and return what it printed; raises VerifyError with `problem` if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_without_git_settings(),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            preexec_fn=_ending_with_this_one(),
        )
    except OSError as error:
        raise VerifyError(f"{problem}, found: {error}") from None
    if done.returncode:
        raise VerifyError(f"{problem}, found: {reason(VerifyError(done.stderr.strip() or 'nothing'))}")
    return done.stdout


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
