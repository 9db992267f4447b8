"""Whether all is committed: a sweep starts from a commit, not from what is edited."""

import os
import shlex
from pathlib import Path

from dvc.dvcfile import DVC_FILE_SUFFIX
from dvc.exceptions import DvcException

from fashionboard.base.errors import reason
from fashionboard.repository import programs, untrusted
from fashionboard.sweep.job import SweepError

# files without which DVC runs something else, for git
_DVCS = (":(glob)**/dvc.yaml", ":(glob)**/dvc.lock", ":(glob)**/*.dvc", "params.yaml")


def check(root: Path) -> None:
    """Return if git has nothing to commit, and DVC nothing to add.

    Raises:
        SweepError: it has.
    """
    command = ("git", "status", "--porcelain", "--untracked-files=no", "-z")
    changed = [
        each[3:] for each in programs.run(command, root, "expected a git repository").split("\0") if each
    ]
    if changed:
        more = ", ..." if len(changed) > 1 else ""
        raise SweepError(
            f"expected all changes committed, found {changed[0]}{more} changed; git commit, or git stash"
        )
    unknown = ("git", "ls-files", "--others", "--exclude-standard", "-z", "--", *_DVCS)
    if others := programs.run(unknown, root, "expected a git repository").split("\0")[:-1]:
        raise SweepError(f"expected DVC's files committed, found {others[0]} that is not; git add it")
    if programs.run(("git", "rev-parse", "--is-shallow-repository"), root, "expected git").strip() == "true":
        raise SweepError(
            "expected a full clone, found a shallow one, which cannot be sent; git fetch --unshallow"
        )
    _check_added(root)


def _check_added(root: Path) -> None:
    """Return if nothing is newer than what `dvc add` has noted; what is gone here comes from the cache."""
    with untrusted.repository(root) as repo:
        for stage in repo.index.stages:
            for output in stage.outs if stage.path.endswith(DVC_FILE_SUFFIX) else ():
                path = os.path.relpath(output.fs_path, root)
                try:
                    newer = output.exists and output.changed_checksum()
                # DVC does not make its own of what it meets in a folder
                except (DvcException, OSError, UnicodeError) as error:
                    found = reason(error)
                    raise SweepError(f"{path}: expected what DVC can read, found: {found}") from None
                if newer:
                    advice = f"dvc add {shlex.quote(path)}, and git commit"
                    raise SweepError(f"expected {path} as committed, found it changed; {advice}")
