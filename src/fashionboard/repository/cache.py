"""DVC's cache: where the bytes of outputs lie.

As DVC 3.67 keeps it: an object lies at `<cache>/files/md5/<first two digits>/<the rest>`, those of DVC 2 at
`<cache>/<first two digits>/<the rest>`; a folder is a JSON list of its files.
"""

import hashlib
import json
import os
import re
import stat
from pathlib import Path

from fashionboard.base import outputs, yamltext
from fashionboard.base.errors import DataError
from fashionboard.repository import no_links

_OBJECT = re.compile(r"(files/md5/)?[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")


def is_digest(md5: str) -> bool:
    """Tell whether `md5` can be the name of an object; nothing else may become part of a path."""
    return _DIGEST.fullmatch(md5) is not None


class Cache:
    """A folder in which DVC keeps the bytes of outputs, by md5.

    An object is a regular file there, or a link to one there: other links count as missing, since
    they may lead to any file of the person's. lists: a folder for lists of files that are known from
    elsewhere, kept for the next time.
    """

    def __init__(self, folder: Path, lists: Path | None = None) -> None:
        self._folders = (folder / "files" / "md5", folder)
        self._root = os.path.realpath(folder)
        # whether a folder of objects really lies in the cache, asked once: there may be many objects
        self._inside: dict[str, bool] = {}
        self._lists = lists
        self._manifests: dict[str, dict[str, str]] = {}
        self._found: dict[str, Path] = {}
        self._times: dict[Path, int | None] = {}

    def find(self, md5: str) -> Path | None:
        """Return the file with these bytes, or None; asks the disk until it has been found once.

        Raises:
            PermissionError: its folder cannot be looked into.
        """
        # nothing else is the name of an object, least of all one with dots and slashes
        if md5 not in self._found and _DIGEST.fullmatch(md5):
            for folder in self._folders:
                if path := self._object(f"{folder}/{md5[:2]}", md5[2:]):
                    self._found[md5] = path
                    break
        return self._found.get(md5)

    def place(self, md5: str) -> Path:
        """Return where DVC 3 keeps an object, be it there or not; `md5` is a digest."""
        return self._folders[0] / md5[:2] / md5[2:]

    def add(self, md5: str, file: Path) -> Path:
        """Move `file`, which lies in the same file system, into the cache as the object `md5`.

        As DVC keeps it: read-only, for DVC does not read again what it finds so. One that is there stays.

        Raises:
            DataError: it has other bytes, or `md5` is no digest; the file is removed.
            OSError: the disk cannot be written.
        """
        try:
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if not is_digest(md5) or found != md5.removesuffix(".dir"):
                raise DataError(f"{md5}: expected an object of DVC's cache, found other bytes: {found}")
            place = self.place(md5)
            if not no_links.is_file(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                file.chmod(0o444)
                file.replace(place)
            return place
        finally:
            file.unlink(missing_ok=True)

    def lost(self) -> set[Path]:
        """Return the files that were found and are gone by now, and forget that they were there.

        Only folders whose own time has changed since the last call are looked into.
        """
        by_folder: dict[Path, list[str]] = {}
        for md5, path in self._found.items():
            by_folder.setdefault(path.parent, []).append(md5)
        lost: set[Path] = set()
        for folder, md5s in by_folder.items():
            time = folder.stat().st_mtime_ns if folder.is_dir() else None
            if time is None or self._times.get(folder) != time:
                gone = [md5 for md5 in md5s if not self._found[md5].is_file()]
                lost |= {self._found.pop(md5) for md5 in gone}
                self._times[folder] = time
        return lost

    def holds(self, real: Path) -> bool:
        """Tell whether `real`, a path without links, is that of an object."""
        inner = os.path.relpath(real, self._root)
        return bool(_OBJECT.fullmatch(Path(inner).as_posix())) and no_links.is_file(real)

    def _object(self, folder: str, name: str) -> Path | None:
        path = f"{folder}/{name}"
        try:
            kind = os.lstat(path).st_mode
        except PermissionError:
            raise  # it may well be there
        except OSError:
            return None
        if stat.S_ISREG(kind):
            if folder not in self._inside:
                self._inside[folder] = Path(os.path.realpath(folder)).is_relative_to(self._root)
            return Path(path) if self._inside[folder] else None
        real = Path(os.path.realpath(path))
        return real if stat.S_ISLNK(kind) and self.holds(real) else None

    def entries(self, path: str, md5: str) -> dict[str, str] | None:
        """Return the md5 of each file of an output by path; None if its manifest is not in the cache.

        Raises:
            DataError: the manifest is damaged.
        """
        if not md5.endswith(".dir"):
            return {path: md5}
        if md5 not in self._manifests:
            manifest = self.find(md5) or self._learnt(md5)
            if manifest is None:
                return None
            self._manifests[md5] = _listed_in(manifest.read_bytes(), md5)
        return {f"{path}/{name}": digest for name, digest in self._manifests[md5].items()}

    def learn(self, md5: str, manifest: bytes) -> None:
        """Take the list of files of an output from elsewhere.

        Raises:
            DataError: it is none.
        """
        self._manifests[md5] = _listed_in(manifest, md5)
        if self._lists and _DIGEST.fullmatch(md5):
            outputs.write_bytes(self._lists / md5, manifest)

    def _learnt(self, md5: str) -> Path | None:
        path = self._lists / md5 if self._lists and _DIGEST.fullmatch(md5) else None
        return path if path and no_links.is_file(path) else None

    def files(self, path: str, md5: str) -> dict[str, Path] | None:
        """Return where the files of an output lie, by their paths; None if one is not in the cache."""
        entries = self.entries(path, md5)
        if entries is None:
            return None
        found = {name: self.find(digest) for name, digest in entries.items()}
        return {name: file for name, file in found.items() if file} if all(found.values()) else None


def _listed_in(manifest: bytes, md5: str) -> dict[str, str]:
    try:
        found = json.loads(manifest)
        if not isinstance(found, list):
            raise TypeError("not a list")
        return {yamltext.name(each["relpath"]): yamltext.name(each["md5"]) for each in found}
    except yamltext.DAMAGED:
        raise DataError(f"{md5}: expected a JSON list of files, found something else") from None
