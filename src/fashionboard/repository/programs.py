"""git and DVC as programs: how they are started, and what of the environment they do not get."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fashionboard.base.errors import FashionboardError, reason
from fashionboard.repository import ending

# -P: a file dvc.py in the repository is none of DVC
DVC = (sys.executable, "-P", "-m", "dvc")
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


class ProgramError(FashionboardError):
    """git or DVC cannot do what it was asked for."""


def environment() -> dict[str, str]:
    """Return the environment in which DVC's stages find this interpreter.

    What leads git to another repository, as in a hook of git's, is left out. A mirror named by a relative
    path is found from another folder, too.
    """
    own = without_git_settings(os.environ)
    found = {**own, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"}
    mirror = found.get("FASHION_MNIST_MIRROR", "")
    if mirror and "://" not in mirror:
        found["FASHION_MNIST_MIRROR"] = str(Path(mirror).expanduser().absolute())
    return found


def without_git_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without what leads git to another repository, as it does in a hook of git's."""
    return {name: value for name, value in variables.items() if name not in _OF_A_REPOSITORY}


def run(command: Sequence[str], folder: Path, problem: str) -> str:
    """Run a program in a folder and return what it printed.

    Raises:
        ProgramError: it fails; the message begins with `problem`.
    """
    try:
        with start(command, folder, without_git_settings(os.environ), subprocess.PIPE) as process:
            try:
                printed, complaint = process.communicate()
            except BaseException:
                process.kill()
                raise
    except OSError as error:
        raise ProgramError(f"{problem}, found: {error}") from None
    if process.returncode:
        # Ctrl-C in a terminal is for both
        ending.check()
        found = reason(ProgramError(complaint.strip() or "nothing"))
        raise ProgramError(f"{problem}, found: {found}")
    return printed


def start(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], output: int | None = None
) -> "subprocess.Popen[str]":
    """Start a program that dies with this process under Linux, however that ends.

    DVC would go on alone after a SIGKILL; its stages end with it by themselves. output: subprocess.PIPE, or
    None, by which its stdout and stderr are those of this process.
    """
    with ending.held_back():
        return subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=output,
            encoding="utf-8",
            errors="surrogateescape",
            preexec_fn=_dying_with_this_one(),
        )


def _dying_with_this_one() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    this, libc = os.getpid(), ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # it may have ended just before
        if os.getppid() != this:
            os._exit(1)

    return tie
