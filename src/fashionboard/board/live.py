"""What is being written now: the workspace, and the copies in which DVC runs experiments."""

import os
import posixpath
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from fashionboard.board import group, marks
from fashionboard.board.group import Value
from fashionboard.board.links import Links
from fashionboard.board.results import parameters_of
from fashionboard.repository.workspace import Workspace

# a folder is looked through again after this many times as long as it took
_PATIENCE = 200
_CLOSED = (".git", ".dvc")


@dataclass
class _Scan:
    files: dict[str, Path] = field(default_factory=dict)
    outside: list[Path] = field(default_factory=list)
    again: float = 0.0


class Live:
    """A folder with a DVC repository in which stages may be running."""

    def __init__(self, root: Path, before: Mapping[str, Path] | None = None) -> None:
        """before: what the view of the baseline holds, which DVC brings into a copy before it runs stages."""
        self.root = root
        self._before = before or {}
        self._own: set[tuple[str, int]] = set()
        self._workspace = Workspace(root, parameters_of)
        self._scans: dict[Path, _Scan] = {}
        self._links = Links(self._workspace.top, self._workspace.cache)

    def files(self) -> dict[str, Path]:
        """Return the files that belong into the view, by their paths there, as they are now."""
        self._refresh()
        found: dict[str, Path] = {}
        for stage in self._workspace.stages:
            outputs = {name: self._scan(name, path) for name, path in stage.outputs.items()}
            group.merge(found, group.arrange(stage.name, outputs))
        return {path: file for path, file in found.items() if self._is_own(path, file)}

    @property
    def parameters(self) -> Mapping[str, Value]:
        """The parameters of its stages, and those of whole dvc.yaml files, by name."""
        return self._workspace.parameters

    @property
    def problems(self) -> tuple[str, ...]:
        """Why some of it cannot be told."""
        return self._workspace.problems

    @property
    def has_outputs(self) -> bool:
        """Whether DVC knows of any output here, there or not."""
        self._refresh()
        return any(stage.outputs for stage in self._workspace.stages)

    @property
    def outside(self) -> list[Path]:
        """The files that are not shown: links out of the repository and of DVC's cache."""
        paths = {path for stage in self._workspace.stages for path in stage.outputs.values()}
        return sorted(each for path in paths for each in self._scans.get(path, _Scan()).outside)

    def _is_own(self, path: str, file: Path) -> bool:
        """Tell whether a file was written here: has another name or size than the baseline's, or once had."""
        if path not in self._before:
            return True
        try:
            status = file.stat()
            if status.st_size != self._before[path].stat().st_size:
                self._own.add((path, status.st_ino))
            return (path, status.st_ino) in self._own
        except FileNotFoundError:
            return False

    def _refresh(self) -> None:
        if self._workspace.refresh():
            self._links = Links(self._workspace.top, self._workspace.cache)

    def _scan(self, name: str, path: Path) -> dict[str, Path]:
        scan = self._scans.setdefault(path, _Scan())
        began = time.monotonic()
        if began >= scan.again:
            scan.files, scan.outside = self._links.split(path, _files(name, path))
            ended = time.monotonic()
            scan.again = ended + _PATIENCE * (ended - began)
        return scan.files


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield name, path
    for folder, folders, files in os.walk(path):
        # credentials lie in these, and an output that is the whole repository holds them
        folders[:] = [
            each for each in folders if each not in _CLOSED and not Path(folder, each, marks.NAME).exists()
        ]
        for full in (Path(folder, file) for file in files):
            if full.is_file():
                yield posixpath.join(name, full.relative_to(path).as_posix()), full


class Processes:
    """Tells whether any process works in a folder; looks through all of them only when the last one ended."""

    def __init__(self) -> None:
        self._known: dict[Path, psutil.Process] = {}

    def work_in(self, folder: Path) -> bool:
        """Tell whether a process has its working directory in `folder`."""
        known = self._known.get(folder)
        if known is not None and known.is_running() and _works_in(known, folder):
            return True
        for process in psutil.process_iter():
            if _works_in(process, folder):
                self._known[folder] = process
                return True
        self._known.pop(folder, None)
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False
