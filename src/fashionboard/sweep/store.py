"""What a host keeps for sweeps: commits, the data that experiments start from, and where they run.

In the folder of the store:

<store>/git        a bare repository
<store>/cache      a cache of DVC's
<store>/work/NAME  the clone in which an experiment runs, until it has succeeded
"""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from fashionboard.repository import at_work, dvcconfig, programs
from fashionboard.repository.cache import Cache, is_digest
from fashionboard.sweep import bundle
from fashionboard.sweep.job import Job, SweepError

# seconds after which the folder of an experiment that did not succeed is given up
_OLD = 14 * 24 * 3600
# what a full disk says
FULL = (errno.ENOSPC, errno.EDQUOT)
# bytes of a disk below which git and DVC cannot do their work
_ROOM = 16_000_000
# seconds for what an earlier try has left to end, and between two looks
_PATIENCE, _POLL = 10.0, 0.1


class Store:
    """The store in `folder`, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git = folder / "git"
        self.cache = Cache(folder / "cache")

    def prepare(self) -> None:
        """Make what is not there, and remove what was left behind long ago.

        Raises:
            ProgramError: git cannot make its repository.
            OSError: the disk is full, or cannot be written.
        """
        (self.folder / "work").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy()
        self.check_room(0)
        with self._locked("store"):
            if not (self.git / "HEAD").is_file():
                self._git("init", "--quiet", "--bare", str(self.git), problem="cannot make a git repository")

    def _tidy(self) -> None:
        for part in (self.folder / "parts").glob(f"{socket.gethostname()}-*"):
            if not psutil.pid_exists(int(part.name.split("-")[-2])):
                part.unlink(missing_ok=True)
        for clone in (self.folder / "work").iterdir():
            # what another worker has just removed, or runs now, is none of it
            with contextlib.suppress(OSError):
                if clone.is_dir() and time.time() - clone.stat().st_mtime > _OLD:
                    with self._locked(clone.name, wait=False):
                        shutil.rmtree(clone, ignore_errors=True)

    def check_room(self, size: int) -> None:
        """Return if the disk has room for `size` bytes, and for what git and DVC write.

        Raises:
            OSError: it has not.
        """
        if shutil.disk_usage(self.folder).free < size + _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def has(self, commit: str) -> bool:
        """Tell whether the store has a commit, be it in the history of another; it gets a ref then."""
        own = ("--git-dir", str(self.git))
        with contextlib.suppress(programs.ProgramError):
            self._git(*own, "cat-file", "-e", f"{commit}^{{commit}}", problem="no such commit")
            self._git(*own, "update-ref", f"refs/sweep/{commit}", commit, problem="cannot name the commit")
            return True
        return False

    def begun(self) -> list[str]:
        """Return the names of experiments that did not end here; they are in clones."""
        work = self.folder / "work"
        return [each.name for each in work.iterdir() if each.is_dir()] if work.is_dir() else []

    def commits(self) -> list[str]:
        """Return the commits that were sent, from which git knows what else it has."""
        listed = self._git(
            "--git-dir", str(self.git), "for-each-ref", "--format=%(objectname)", problem="no refs"
        )
        return listed.split()

    def lacking(self, md5s: Iterable[str]) -> list[str]:
        """Return which of these objects are not in the cache."""
        return [each for each in md5s if not self.cache.find(each)]

    def take(self, name: str, offset: int, content: bytes) -> None:
        """Take a part of a file from the driver: parts come in order, and `end_...` says that it is whole.

        name: the md5 of an object, or a commit.

        Raises:
            OSError: the disk cannot be written.
        """
        path = self._part(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                file.write(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def end_object(self, md5: str) -> None:
        """Put what was taken under the name `md5` into the cache.

        Raises:
            SweepError: it has other bytes.
        """
        self.cache.add(md5, self._part(md5))

    def end_bundle(self, baseline: str) -> None:
        """Put what was taken under the name of a commit into git.

        Raises:
            ProgramError: git cannot read it.
        """
        path = self._part(baseline)
        try:
            with self._locked("store"):
                self._git(
                    *("--git-dir", str(self.git), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
                    *(str(path), f"+{bundle.REF}:refs/sweep/{baseline}"),
                    problem="cannot take the commit",
                )
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def clone(self, job: Job) -> Iterator[Path]:
        """Yield a clone with the job's baseline checked out; it stays where the block raises.

        One that an earlier try has left is used again: a stage may go on from where it was. Two tries of the
        same experiment wait for each other.

        Raises:
            ProgramError: git cannot clone.
        """
        folder = self.folder / "work" / job.name
        with self._locked(job.name):
            # what an earlier try has left is ending
            end = time.monotonic() + _PATIENCE
            while at_work.inside(folder) and time.monotonic() < end:
                time.sleep(_POLL)
            if not (folder / ".git" / "HEAD").is_file():
                shutil.rmtree(folder, ignore_errors=True)
                self._git(
                    *("clone", "--quiet", "--shared", "--no-checkout", str(self.git), str(folder)),
                    problem="cannot clone the commit",
                )
            self._clean(folder, job)
            os.utime(folder)
            yield folder
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, job: Job) -> None:
        """Remove what a failed try has left."""
        shutil.rmtree(self.folder / "work" / job.name, ignore_errors=True)

    def _clean(self, folder: Path, job: Job) -> None:
        """Bring a clone to the baseline, as if nothing had run in it; what git does not know stays."""
        (folder / ".git" / "index.lock").unlink(missing_ok=True)
        shutil.rmtree(folder / ".git" / "refs" / "exps", ignore_errors=True)
        arguments = ("checkout", "--quiet", "--force", "--detach", job.baseline)
        self._git("-C", str(folder), *arguments, problem=f"cannot check out {job.baseline}")
        for key, value in zip(("user.name", "user.email"), job.author, strict=True):
            self._git("-C", str(folder), "config", key, value, problem="cannot name the author")
        root = folder / job.prefix
        for name in ("rwlock", "lock"):
            (root / ".dvc" / "tmp" / name).unlink(missing_ok=True)
        dvcconfig.write_local(
            root,
            {
                "core": {
                    "analytics": "false",
                    "check_update": "false",
                    "site_cache_dir": self.folder / "site",
                },
                "cache": {"dir": self.folder / "cache"},
                "exp": {"auto_push": "false"},
            },
        )

    @contextlib.contextmanager
    def _locked(self, name: str, wait: bool = True) -> Iterator[None]:
        """Hold the lock of that name; raises BlockingIOError if another has it and this is not to wait."""
        with (self.folder / "work" / f".{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def _part(self, name: str) -> Path:
        # a digest or a commit: nothing else becomes part of a path
        if not (is_digest(name) or name.isalnum()):
            raise SweepError(f"expected the name of an object or a commit, found {name!r}")
        # several workers may share the store
        return self.folder / "parts" / f"{socket.gethostname()}-{os.getpid()}-{name}"

    def _git(self, *arguments: str, problem: str) -> str:
        plain = (
            "git",
            "-c",
            f"core.hooksPath={os.devnull}",
            "-c",
            "gc.auto=0",
            "-c",
            "maintenance.auto=false",
        )
        return programs.run((*plain, *arguments), self.folder, problem)
