"""Bring objects from DVC's remote into the cache: those that are asked for, and nothing else."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.fs.callbacks import TqdmCallback
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB

from fashionboard.base import errors
from fashionboard.base.errors import BoardError, DataError, FashionboardError
from fashionboard.repository import no_links, untrusted
from fashionboard.repository.cache import Cache, is_digest

# that the remote has no such object, among the reasons for which one could not be brought
LACKING = ""


class Remote:
    """The default remote of a DVC repository, as the workspace's configuration names it."""

    def __init__(self, repo: Repo) -> None:
        """Raises BoardError if there is no default remote, or it cannot be read."""
        self._repo = repo
        try:
            # the second is where DVC 2 kept everything
            self._stores = (
                (repo.cloud.get_remote_odb(), repo.cache.local),
                (repo.cloud.get_remote_odb(hash_name="md5-dos2unix"), repo.cache.legacy),
            )
        except (DvcException, ImportError, OSError) as error:
            raise BoardError(f"--fetch: expected a default remote, found: {error}") from None
        try:
            store, _ = self._stores[0]
            store.fs.exists(store.path)
        except PermissionError:
            pass  # its objects may still be read
        except Exception as error:
            raise BoardError(
                f"--fetch: expected to read the remote, found: {_reason(error)}; try again"
            ) from None

    def manifests(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Return the lists of files of outputs, by md5, as far as they can be read; nothing is kept."""
        found: dict[str, bytes] = {}
        for digest in filter(is_digest, digests):
            for store, _ in self._stores:
                # whatever it is, `bring` asks again, and says why it is not to be had
                with contextlib.suppress(Exception):
                    content = store.fs.cat_file(store.oid_to_path(digest))
                    if hashlib.md5(content, usedforsecurity=False).hexdigest() == digest.removesuffix(".dir"):
                        found[digest] = content
                        break
        return found

    def bring(self, digests: Iterable[str]) -> dict[str, str]:
        """Copy objects into the cache, with a progress bar, and verify their md5.

        Return why by the md5 of each that could not be brought; `LACKING` if the remote has none such.

        Raises:
            PathError: a link in the repository stands where an object of the cache would be written.
        """
        asked = set(digests)
        reasons = dict.fromkeys(filter(is_digest, asked), LACKING)
        others = dict.fromkeys(asked - reasons.keys(), "something else than its md5 in a file of DVC's")
        self._guard(reasons)
        for store, cache in self._stores:
            failed = _copy(store, cache, sorted(reasons)) if reasons else {}
            for digest in list(reasons):
                if digest not in failed:
                    del reasons[digest]
                elif not isinstance(failed[digest], FileNotFoundError):
                    reasons[digest] = _reason(failed[digest])
        return reasons | others

    def _guard(self, digests: Iterable[str]) -> None:
        """Refuse links where DVC would write an object, or change the mode of one that is there."""
        cache = Path(self._repo.cache.local_cache_dir)
        for digest in digests:
            no_links.check(Path(self._repo.scm.root_dir), cache / "files" / "md5" / digest[:2] / digest[2:])


def _copy(store: HashFileDB, cache: HashFileDB, digests: list[str]) -> dict[str, BaseException]:
    """Copy objects; return why by the md5 of each that is not in the cache then."""
    failed: dict[str, BaseException] = {}
    paths = [store.oid_to_path(digest) for digest in digests]
    with TqdmCallback(desc=f"Fetching from {store.fs.unstrip_protocol(store.path)}", unit="file") as bar:
        cache.add(paths, store.fs, digests, callback=bar, on_error=failed.__setitem__, verify=True)
    damaged = BoardError("other bytes than those of its md5")
    return {each: failed.get(each, damaged) for each in digests if not cache.exists(each)}


def bring(
    remote: Remote, cache: Cache, missing: set[str], look_again: Callable[[], set[str]]
) -> dict[str, str]:
    """Bring what is missing; return why by the md5 of each object that could not be brought.

    missing: the md5s of what is not in the cache; look_again: returns them anew. What was brought may name
    more: a list of files those files, a projector's description its points.
    """
    asked: set[str] = set()
    reasons: dict[str, str] = {}
    while new := missing - asked:
        if lists := [each for each in new if each.endswith(".dir")]:
            for digest, content in remote.manifests(lists).items():
                with contextlib.suppress(DataError):  # as good as none: its output stays missing
                    cache.learn(digest, content)
            # of the lists that are known by now, only those of outputs that are shown are still missing
            missing = look_again()
        wanted = missing - asked
        asked |= new | wanted
        reasons |= remote.bring(wanted)
        missing = look_again()
    return reasons


def answers(reasons: Mapping[str, str], missing: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return why each output is still missing that the remote was asked for.

    reasons: as `bring` returns them. missing: the md5s of what each output lacks.
    """
    told = {output: [reasons[each] for each in lacks if each in reasons] for output, lacks in missing.items()}
    return {output: max(each) for output, each in told.items() if each}


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


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
        return untrusted.repository(folder.resolve())
    except FashionboardError:
        raise
    except Exception as error:  # DVC's own, and what a damaged file leads to
        raise BoardError(f"expected a DVC repository, found: {errors.reason(error)}") from None
