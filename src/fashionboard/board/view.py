"""The tree of links that TensorBoard reads: one folder a group, nothing copied where the system can link."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import psutil

from fashionboard import outputs, private
from fashionboard.board.group import is_events
from fashionboard.errors import BoardError

# in the folder of a view: who made it, and the folder's inode number, which no clone or copy of it has
_MARK = ".fashionboard-view"
_OWN = re.compile(r"\d+-\d+")
_PROJECTOR = "projector_config.pbtxt"
_Way = Callable[[Path, Path], None]


class View:
    """A folder with a folder for each group, kept as `show` was last told.

    Use it as a context manager: the folder is removed at the end, unless `keep` is set.
    """

    def __init__(self, folder: Path, keep: bool = False) -> None:
        """Make `folder` anew.

        Raises:
            BoardError: it holds something else than an earlier view, one that is in use, or cannot be made.
        """
        self.folder = folder
        self.copied = 0
        self._keep = keep
        try:
            _check(folder)
            _remove_marked(folder)
            self._begin()
        except OSError as error:
            raise BoardError(f"{folder}: expected to make a folder there, found: {error.strerror}") from None

    def _begin(self) -> None:
        self._shown: dict[str, dict[str, Path]] = {}
        self._last: dict[str, Mapping[str, Path]] = {}
        self._gone: dict[str, set[str]] = {}
        self._linked: dict[tuple[str, str], tuple[int, int]] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not private.is_folder(self.folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        _mark(self.folder, _owner())
        self._folders = {self.folder}

    def renew(self) -> bool:
        """Make the view again if somebody has removed it; tell whether that was so."""
        if private.is_file(self.folder / _MARK):
            return False
        self._begin()
        return True

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        if self._keep:
            with contextlib.suppress(OSError):
                _mark(self.folder, "")
        else:
            _remove_marked(self.folder)

    def show(self, name: str, files: Mapping[str, Path], growing: bool = False) -> None:
        """Make the folder `name` hold links to these files, by their paths in it, and no others.

        Links are symbolic where the system allows, else hard. The other way round where TensorBoard's
        projector reads the files, since it refuses what resolves to another folder; and with
        `growing`, for files that may be removed with all that is in them.
        """
        if self._last.get(name) is files and not growing:
            return
        self._last[name] = files
        shown = self._shown.setdefault(name, {})
        gone = {path for path in shown if path not in files}
        # what is missing for the first time may be so because the whole folder is being removed
        for path in gone & self._gone.get(name, set()) if growing else gone:
            self._drop(name, path)
        self._gone[name] = gone
        projectors = {PurePosixPath(path).parent for path in files if PurePosixPath(path).name == _PROJECTOR}
        # event files last: TensorBoard looks for the others when it has found one
        for path in sorted(files, key=lambda path: (is_events(path), path)):
            target = files[path]
            if target == self.folder / name / path:
                continue  # nowhere else any more
            if shown.get(path) == target and not self._replaced(name, path, target):
                continue
            asset = not is_events(path) and not projectors.isdisjoint(PurePosixPath(path).parents)
            ways = [_hard] if asset else [_hard, _symbolic] if growing else [_symbolic, _hard]
            with contextlib.suppress(FileNotFoundError):  # just gone: the next call will know
                self._link(name, path, target, ways)

    def rename(self, name: str, other: str) -> None:
        """Give the folder of a group another name, with all that is in it."""
        if name in self._shown:
            self._forget(name)
            (self.folder / name).replace(self.folder / other)
            self._shown[other] = self._shown.pop(name)
            self._last.pop(name, None)

    def drop(self, name: str) -> None:
        """Remove the folder of a group."""
        self._shown.pop(name, None)
        self._last.pop(name, None)
        self._forget(name)
        _remove(self.folder / name)

    def files(self, name: str) -> dict[str, Path]:
        """Return the links of a group by their paths in it."""
        return {path: self.folder / name / path for path in self._shown.get(name, {})}

    def _link(self, name: str, path: str, target: Path, ways: Sequence[_Way]) -> None:
        link = self.folder / name / path
        if path in self._shown[name]:
            # never absent: TensorBoard would drop the run
            partial = link.with_name(".new")
            self._make(partial, target, ways)
            partial.replace(link)
            # renaming one hard link onto another of the same file does nothing
            partial.unlink(missing_ok=True)
        else:
            self._prepare(link.parent)
            self._make(link, target, ways)
        self._shown[name][path] = target
        self._linked.pop((name, path), None)
        if not link.is_symlink():
            self._linked[name, path] = _identity(target)

    def _forget(self, name: str) -> None:
        top = self.folder / name
        self._folders = {each for each in self._folders if each != top and top not in each.parents}

    def _prepare(self, folder: Path) -> None:
        """Make a folder of the view, with as few calls as can be: there are thousands."""
        if folder not in self._folders:
            self._prepare(folder.parent)
            folder.mkdir(exist_ok=True)
            self._folders.add(folder)

    def _make(self, link: Path, target: Path, ways: Sequence[_Way]) -> None:
        try:
            if not any(_can(way, target, link) for way in ways):
                with target.open("rb") as source, link.open("xb") as copy:
                    shutil.copyfileobj(source, copy)
                self.copied += 1
        except FileExistsError:
            # whatever lies there is not ours to follow or to write to
            link.unlink()
            self._make(link, target, ways)

    def _replaced(self, name: str, path: str, target: Path) -> bool:
        """Tell whether what a hard link or a copy was made of is now another file."""
        if (name, path) not in self._linked:
            return False
        try:
            return _identity(target) != self._linked[name, path]
        except FileNotFoundError:
            return False

    def _drop(self, name: str, path: str) -> None:
        link = self.folder / name / path
        link.unlink(missing_ok=True)
        del self._shown[name][path]
        self._linked.pop((name, path), None)
        folder = link.parent
        while self.folder in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                break
            self._folders.discard(folder)
            folder = folder.parent


def _can(way: _Way, target: Path, link: Path) -> bool:
    try:
        way(target, link)
    except (FileNotFoundError, FileExistsError):
        raise
    except (OSError, NotImplementedError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG):
            raise
        return False
    return True


def _symbolic(target: Path, link: Path) -> None:
    link.symlink_to(target)


def _hard(target: Path, link: Path) -> None:
    os.link(target, link)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def own(parent: Path) -> Path:
    """Return a folder in `parent` for the view of this process, and remove those of processes that ended.

    parent: reached through no link that is not the user's own.
    """
    if private.is_folder(parent):
        for folder in parent.iterdir():
            # a name of our form, but another process's: what bears it may have come with a clone
            if _OWN.fullmatch(folder.name) and not _is_alive(folder.name):
                _remove_marked(folder)
    return parent / _owner()


def _check(folder: Path) -> None:
    owner = (_read(folder) or "").partition(" ")[0]
    if owner and owner != _owner() and _is_alive(owner):
        pid = owner.partition("-")[0]
        raise BoardError(f"{folder} is the view of another board, process {pid}; name another --view")
    if not _is_marked(folder) and (
        folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    ):
        raise BoardError(f"{folder}: expected a new or empty folder for the view, found something else there")


def _mark(folder: Path, owner: str) -> None:
    outputs.write_bytes(folder / _MARK, f"{owner} {folder.lstat().st_ino}".encode())


def _read(folder: Path) -> str | None:
    """Return what the mark in `folder` says; None if there is none, or a link is in its place."""
    if not private.is_folder(folder) or not private.is_file(folder / _MARK):
        return None
    return (folder / _MARK).read_text(encoding="utf-8", errors="replace")


def _is_marked(folder: Path) -> bool:
    """Tell whether a board made this very folder."""
    mark = _read(folder)
    return mark is not None and mark.partition(" ")[2] == str(folder.lstat().st_ino)


def _owner() -> str:
    process = psutil.Process()
    return f"{process.pid}-{_started(process)}"


def _is_alive(owner: str) -> bool:
    pid, _, started = owner.partition("-")
    try:
        return str(_started(psutil.Process(int(pid)))) == started
    except (psutil.Error, ValueError):
        return False


def _started(process: psutil.Process) -> int:
    return int(process.create_time() * 100)


def _remove_marked(folder: Path) -> None:
    if _is_marked(folder):
        _remove(folder)


def _remove(folder: Path) -> None:
    # a link itself is left, and none is followed
    shutil.rmtree(folder, ignore_errors=True)
