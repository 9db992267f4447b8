"""A DVC repository that is not trusted, opened so that DVC writes nothing through it."""

import logging
import os
import stat
from pathlib import Path

from dvc import dirs
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import NoSCM, map_scm_exception
from scmrepo.git import Git

from fashionboard.base import yamltext
from fashionboard.base.errors import BoardError, DataError, PathError
from fashionboard.repository import no_links

# bytes that DVC may be given to read as YAML
_MOST = 100_000_000

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
    no_links.check(root.resolve(), root / Repo.DVC_DIR / "tmp")
    for name in (".dvc/config", ".dvc/config.local", ".dvcignore", ".gitignore"):
        if not is_plain(root / name):
            raise PathError(f"{root / name}: expected a file, found something else; remove it")
    without_git = Config(str(root / Repo.DVC_DIR)).get("core", {}).get("no_scm", False)
    git = NoSCM(str(root)) if without_git else _git(root)
    own = Config(validate=False).get("core", {}).get("site_cache_dir")
    return Repo(str(root), scm=git, config={"core": {"site_cache_dir": dirs.site_cache_dir(own)}})


def is_plain(path: Path) -> bool:
    """Tell whether there is nothing at `path`, or a regular file that can be read as a whole."""
    try:
        status = path.stat()
    except OSError:
        return True
    return stat.S_ISREG(status.st_mode) and status.st_size <= _MOST


def check(path: Path) -> None:
    """Return if DVC may read a file of YAML, which may be absent.

    Raises:
        DataError: it is a device, say, or nested so deeply that a parser would end the process.
    """
    if not is_plain(path):
        raise DataError(f"{path.name}: expected a file of at most {_MOST:,} bytes, found something else")
    if path.suffix in (".yaml", ".yml", ".lock", ".dvc") and path.is_file():
        yamltext.check(path.read_text(encoding="utf-8", errors="replace"))


def _git(root: Path) -> Git:
    try:
        with map_scm_exception():
            return _Reader(str(root))
    except DvcException:
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise BoardError(f"expected a git repository that DVC can read, found: {found}") from None
