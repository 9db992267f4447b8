"""The tree of links that TensorBoard reads: one folder a group, nothing copied where the system can link."""

import contextlib
import errno
import os
import posixpath
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fashionboard.base.errors import BoardError
from fashionboard.board import marks, needed, seen
from fashionboard.board.group import is_events
from fashionboard.board.seen import Seen
from fashionboard.board.server import RELOAD
from fashionboard.repository import no_links

_Way = Callable[[Path, Path], None]


class _Stamp(NamedTuple):
    """What tells whether a file was written to: its device and inode, its size, its time."""

    file: tuple[int, int]
    size: int
    time: int


class _Look(NamedTuple):
    """A file as it was last seen. is_other: TensorBoard reads another file with the same bytes."""

    stamp: _Stamp
    seen: Seen
    is_other: bool


class View:
    """A folder with a folder for each group, kept as `show` was last told.

    Use it as a context manager: the folder is removed at the end, unless `keep` is set.
    served: returns the names of the runs that TensorBoard shows; None while there is no TensorBoard.
    """

    def __init__(self, folder: Path, keep: bool = False) -> None:
        """Make `folder` anew.

        Raises:
            BoardError: it holds something else than an earlier view, one that is in use, or cannot be made.
        """
        self.folder = folder
        self.copied = 0
        self.served: Callable[[], Collection[str]] | None = None
        self._keep = keep
        try:
            marks.check(folder)
            marks.remove(folder)
            self._begin()
        except OSError as error:
            raise BoardError(
                f"{folder}: expected to make a folder, found: {error.strerror}; name another with --view"
            ) from None

    def _begin(self) -> None:
        self._shown: dict[str, dict[str, Path]] = {}
        self._last: dict[str, Mapping[str, Path]] = {}
        self._gone: dict[str, set[str]] = {}
        self._linked: dict[tuple[str, str], tuple[int, int]] = {}
        self._looks: dict[tuple[str, str], _Look] = {}
        self._leaving: dict[str, float] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not no_links.is_folder(self.folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        marks.write(self.folder, marks.owner())
        self._folders = {self.folder}

    def renew(self) -> bool:
        """Make the view again if somebody has removed it; tell whether that was so."""
        if no_links.is_file(self.folder / marks.NAME):
            return False
        runs = [run for name in self._shown for run in (name, *self._runs(name))]
        self._begin()
        self._hold(runs)
        return True

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        if self._keep:
            with contextlib.suppress(OSError):
                marks.write(self.folder, "")
        else:
            marks.remove(self.folder)

    def show(self, name: str, files: Mapping[str, Path], growing: bool = False, live: bool = False) -> None:
        """Make the folder `name` hold links to these files, by their paths in it, and no others.

        Links are symbolic where the system allows, else hard. The other way round where TensorBoard's
        projector reads the files, since it refuses what resolves to another folder; with `growing`, for
        files that may be removed with all that is in them; and for event files that are `live`, since a
        file that is removed, but not yet gone, has an inode of its own.
        live: files may be written at any time; else those of one path always have the same bytes.

        TensorBoard reads on where it had stopped. So a run, the folder of an event file, that does not go
        on from what was seen is removed, and shown anew when TensorBoard has forgotten it.

        Raises:
            OSError: a link cannot be made, or a file cannot be read; the others are, and the next call
                tries again.
        """
        live = live or growing
        waits = any(f"{run}/".startswith(f"{name}/") for run in self._leaving)
        if self._last.get(name) is files and not live and not waits:
            return
        self._last.pop(name, None)
        shown = self._shown.setdefault(name, {})
        gone = {path for path in shown if path not in files}
        # what is missing for the first time may be so because the whole folder is being removed
        dropped = gone & self._gone.get(name, set()) if growing else gone
        self._gone[name] = gone
        for run in self._stale(name, files, dropped):
            self._leave(name, run)
        for path in dropped & shown.keys():
            self._drop(name, path)
        failed: OSError | None = None
        projectors = {PurePosixPath(path).parent for path in files if needed.is_config(path)}
        # event files last: TensorBoard looks for the others when it has found one
        for path in sorted(files, key=lambda path: (is_events(path), path)):
            target = files[path]
            if target == self.folder / name / path:
                continue  # nowhere else any more
            if self.leaves(f"{name}/{path}"):
                continue
            try:
                if shown.get(path) != target or self._replaced(name, path, target):
                    asset = not is_events(path) and not projectors.isdisjoint(PurePosixPath(path).parents)
                    first_hard = growing or (live and is_events(path))
                    ways = [_hard] if asset else [_hard, _symbolic] if first_hard else [_symbolic, _hard]
                    self._link(name, path, target, ways)
                if live and is_events(path):
                    self._look(name, path, target)
            except FileNotFoundError:
                continue  # just gone: the next call will know
            except OSError as error:
                failed = error
        if failed:
            raise failed
        if not live:
            self._looks = {key: each for key, each in self._looks.items() if key[0] != name}
        self._last[name] = files

    def rename(self, name: str, other: str) -> None:
        """Give the folder of a group another name, with all that is in it."""
        if name in self._shown:
            self._hold(self._runs(name))
            self._forget(name)
            (self.folder / name).replace(self.folder / other)
            self._shown[other] = self._shown.pop(name)
            self._looks = {
                (other if of == name else of, path): each for (of, path), each in self._looks.items()
            }
            self._last.pop(name, None)

    def drop(self, name: str, runs: Iterable[str] = ()) -> None:
        """Remove the folder of a group; runs: those in it that hold no links, from the view's folder."""
        self._hold([name, *self._runs(name), *runs])
        self._looks = {key: each for key, each in self._looks.items() if key[0] != name}
        self._shown.pop(name, None)
        self._last.pop(name, None)
        self._forget(name)
        _remove(self.folder / name)

    def leaves(self, path: str) -> bool:
        """Tell whether `path`, from the view's folder, lies in a run that TensorBoard has yet to forget.

        It must not be written there: TensorBoard would take it for what the run was before.
        """
        if self._leaving and self.served is None:
            self._leaving = {}
        for run in [run for run in self._leaving if f"{path}/".startswith(f"{run}/")]:
            if time.monotonic() < self._leaving[run] or (self.served and run in self.served()):
                return True
            del self._leaving[run]
        return False

    def _stale(self, name: str, files: Mapping[str, Path], dropped: Collection[str]) -> set[str]:
        """Return the runs of a group, folders in it, that do not go on from what was seen of them."""
        shown = self._shown[name]
        stale = {
            posixpath.dirname(path)
            for path in shown
            if is_events(path)
            and (path in dropped or (path in files and not self._goes_on(name, path, files[path])))
        }
        last: dict[str, str] = {}
        for path in filter(is_events, shown):
            last[posixpath.dirname(path)] = max(path, last.get(posixpath.dirname(path), ""))
        # of a run's files TensorBoard's slower loader reads on in the last one alone
        new = [path for path in files if is_events(path) and path not in shown]
        return stale | {
            posixpath.dirname(path) for path in new if path < last.get(posixpath.dirname(path), "")
        }

    def _goes_on(self, name: str, path: str, target: Path) -> bool:
        """Tell whether TensorBoard, which keeps a file open, reads on in what is there now."""
        link = self.folder / name / path
        before = self._looks.get((name, path))
        try:
            if before is None:
                kept = self._shown[name][path] == target and not self._replaced(name, path, target)
                return kept or seen.look(link) == seen.look(target)
            if before.stamp == _stamp(target):
                return True
            if before.stamp.file == _stamp(target).file:
                return not before.is_other and seen.goes_on(target, before.seen)
            # DVC has put another file there, with all that the one has that TensorBoard reads
            return seen.look(target) == (before.seen if link.is_symlink() else seen.look(link))
        except FileNotFoundError:
            # just gone, or what was there is: the next call will know
            return not target.exists()

    def _look(self, name: str, path: str, target: Path) -> None:
        stamp, before = _stamp(target), self._looks.get((name, path))
        if before is None or before.stamp != stamp:
            is_other = before is not None and (before.is_other or before.stamp.file != stamp.file)
            self._looks[name, path] = _Look(stamp, seen.look(target), is_other)

    def _runs(self, name: str, run: str = "") -> list[str]:
        """Name the runs of a group, as TensorBoard does, that are `run` or lie in it."""
        folders = {posixpath.dirname(path) for path in self._shown.get(name, {}) if is_events(path)}
        return [
            posixpath.join(name, each).rstrip("/")
            for each in folders
            if not run or f"{each}/".startswith(f"{run}/")
        ]

    def _hold(self, runs: Iterable[str]) -> None:
        # twice: TensorBoard may have begun to look when the run was still there
        until = time.monotonic() + 2 * RELOAD + 1
        self._leaving |= dict.fromkeys(runs, until)

    def _leave(self, name: str, run: str) -> None:
        """Remove a run with all that lies in its folder."""
        self._hold(self._runs(name, run))
        for path in [path for path in self._shown[name] if not run or path.startswith(f"{run}/")]:
            del self._shown[name][path]
            self._linked.pop((name, path), None)
            self._looks.pop((name, path), None)
        top = posixpath.join(name, run).rstrip("/")
        self._forget(top)
        _remove(self.folder / top)

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

    def _forget(self, path: str) -> None:
        top = self.folder / path
        self._folders = {each for each in self._folders if each != top and top not in each.parents}

    def _prepare(self, folder: Path) -> None:
        """Make a folder of the view, with as few calls as can be: there are thousands."""
        new = [folder]
        while new[-1] not in self._folders:
            new.append(new[-1].parent)
        for each in reversed(new[:-1]):
            each.mkdir(exist_ok=True)
            self._folders.add(each)

    def _make(self, link: Path, target: Path, ways: Sequence[_Way]) -> None:
        try:
            if not any(_can(way, target, link) for way in ways):
                self._copy(target, link)
        except FileExistsError:
            # whatever lies there is not ours to follow or to write to
            link.unlink()
            self._make(link, target, ways)

    def _copy(self, target: Path, link: Path) -> None:
        with target.open("rb") as source, link.open("xb") as copy:
            try:
                shutil.copyfileobj(source, copy)
            except OSError:
                link.unlink()
                raise
        self.copied += 1

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
    # what the link leads to, not the link itself, which may be relative
    os.link(os.path.realpath(target), link)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp((status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _remove(folder: Path) -> None:
    # a link itself is left, and none is followed
    shutil.rmtree(folder, ignore_errors=True)
