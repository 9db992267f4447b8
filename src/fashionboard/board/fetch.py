"""Bring what the board misses from DVC's remote, and nothing else."""

import logging
from collections.abc import Iterable
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo

from fashionboard import errors, private
from fashionboard.board import opening
from fashionboard.errors import BoardError, FashionboardError


class Remote:
    """The default remote of a DVC repository, as the workspace's configuration names it."""

    def __init__(self, repo: Repo) -> None:
        """Raises BoardError if there is no default remote, or none of a kind that can be read."""
        self._repo = repo
        try:
            self._store = repo.cloud.get_remote_odb()
        except (DvcException, ImportError, OSError) as error:
            raise BoardError(f"--fetch: expected a default remote, found: {error}") from None

    def manifests(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Return the lists of files of outputs, by md5, as far as the remote has them; nothing is kept."""
        found: dict[str, bytes] = {}
        for digest in digests:
            try:
                found[digest] = self._store.fs.cat_file(self._store.oid_to_path(digest))
            except FileNotFoundError:
                continue
            except Exception as error:
                raise _failed(error) from None
        return found

    def bring(self, digests: Iterable[str]) -> None:
        """Copy these objects into the cache, with a progress bar, and verify their md5.

        Raises:
            BoardError: the remote cannot be reached, or a transfer failed; what arrived stays.
        PathError: a link in the repository stands where an object of the cache would be written.
        """
        digests = set(digests)
        self._guard(digests)
        # what the remote has not either is told by the board, with names
        logging.getLogger("dvc").setLevel(logging.ERROR)
        try:
            result = self._repo.cloud.pull({HashInfo("md5", digest) for digest in digests})
        except Exception as error:
            raise _failed(error) from None
        if result.failed:
            raise BoardError(f"--fetch: {len(result.failed)} files could not be brought; run it again")

    def _guard(self, digests: Iterable[str]) -> None:
        """Refuse links where DVC would write an object, or change the mode of one that is there."""
        cache = Path(self._repo.cache.local_cache_dir)
        for digest in digests:
            private.check(Path(self._repo.scm.root_dir), cache / "files" / "md5" / digest[:2] / digest[2:])


def _failed(error: Exception) -> BoardError:
    return BoardError(
        f"--fetch: expected to read the remote, found: {error or type(error).__name__}; try again"
    )


def is_configured(repo: Repo) -> bool:
    """Tell whether there is a default remote."""
    return bool(repo.config["core"].get("remote"))


def opened(folder: Path) -> Repo:
    """Return the DVC repository that `folder` is in.

    Raises:
        BoardError: it is in none, or it cannot be opened.
        PathError: a link stands where DVC keeps its own files.
    """
    try:
        return opening.repository(folder.resolve())
    except FashionboardError:
        raise
    except Exception as error:  # DVC's own, and what a damaged file leads to
        raise BoardError(f"expected a DVC repository, found: {errors.reason(error)}") from None
