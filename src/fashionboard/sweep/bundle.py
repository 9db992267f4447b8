"""A commit as one file, as git packs it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from fashionboard.repository import programs

# the name of the commit in a bundle
REF = "refs/sweep/commit"


def pack(path: Path, root: Path, commit: str, known: Sequence[str] = ()) -> None:
    """Pack a commit and its history, without that of `known` commits, into the file `path`.

    root: of the git repository. It is left as it is: what bears the name `REF` is a repository beside it, so
    that HEAD may move meanwhile.

    Raises:
        ProgramError: git cannot pack it.
    """
    problem = "cannot pack the commit"
    asked = ("git", "rev-parse", "--path-format=absolute", "--git-path", "objects")
    objects = programs.run(asked, root, problem)
    with tempfile.TemporaryDirectory() as folder:
        beside = ("git", "--git-dir", folder)
        programs.run(("git", "init", "--quiet", "--bare", folder), root, problem)
        Path(folder, "objects", "info", "alternates").write_text(objects, encoding="utf-8")
        programs.run((*beside, "update-ref", REF, commit), root, problem)
        without = [f"^{each}" for each in known]
        programs.run((*beside, "bundle", "create", "--quiet", str(path), REF, *without), root, problem)
