"""A DVC repository that is not trusted, opened so that DVC writes nothing through it."""

import logging
import os
from pathlib import Path

from dvc import dirs
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import NoSCM, map_scm_exception
from scmrepo.git import Git

from fashionboard import private
from fashionboard.errors import BoardError

# what they say of a repository quotes its names; what matters of it is in the errors that are raised
_LOGGERS = ("dvc", "dvc_data", "dvc_objects", "scmrepo")


class _Reader(Git):
    def ignore(self, path: str | os.PathLike[str]) -> str | None:
        """Add no line to .gitignore, as DVC would at each opening: that file may be a link."""


def repository(folder: Path) -> Repo:
    """Return the DVC repository that `folder` is in, as DVC reads it.

    What DVC knows of files' digests is kept in the user's own folder, wherever the repository's
    configuration would have it.

    Raises:
        BoardError: git has a setting there that DVC does not know.
        DvcException: it is in none, or it cannot be opened.
        PathError: a link stands where DVC keeps its own files.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    root = Path(Repo.find_root(str(folder)))
    private.check(root.resolve(), root / Repo.DVC_DIR / "tmp")
    without_git = Config(str(root / Repo.DVC_DIR)).get("core", {}).get("no_scm", False)
    git = NoSCM(str(root)) if without_git else _git(root)
    own = Config(validate=False).get("core", {}).get("site_cache_dir")
    return Repo(str(root), scm=git, config={"core": {"site_cache_dir": dirs.site_cache_dir(own)}})


def _git(root: Path) -> Git:
    try:
        with map_scm_exception():
            return _Reader(str(root))
    except DvcException:
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise BoardError(f"expected a git repository that DVC can read, found: {found}") from None
