"""What is being written now: the workspace, and the copies in which DVC runs experiments."""

import os
import posixpath
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import load_path

from fashionboard import dvcfiles
from fashionboard.board import group
from fashionboard.board.group import Value
from fashionboard.board.recorded import parameters_in, parameters_of

# a folder is looked through again after this many times as long as it took
_PATIENCE = 200


@dataclass(frozen=True)
class _Stage:
    name: str
    outputs: dict[str, Path]


@dataclass
class _Scan:
    files: dict[str, Path] = field(default_factory=dict)
    again: float = 0.0


class Live:
    """A folder with a DVC repository in which stages may be running."""

    def __init__(self, root: Path, before: Mapping[str, Path] | None = None) -> None:
        """before: what the view of the baseline holds, which DVC brings into a copy before it runs stages."""
        self.root = root
        self._before = before or {}
        self._own: set[tuple[str, int]] = set()
        self._signature: object = None
        self._stages: tuple[_Stage, ...] = ()
        self._described = {root / name for name in ("dvc.yaml", "dvc.lock", "params.yaml")}
        self._scans: dict[Path, _Scan] = {}
        self.parameters: dict[str, Value] = {}
        self.problem = ""

    def files(self) -> dict[str, Path]:
        """Return the files that belong into the view, by their paths there, as they are now."""
        self._refresh()
        found: dict[str, Path] = {}
        for stage in self._stages:
            outputs = {name: self._scan(name, path) for name, path in stage.outputs.items()}
            group.merge(found, group.arrange(stage.name, outputs))
        return {path: file for path, file in found.items() if self._is_own(path, file)}

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
        """Ask DVC for the stages again if what describes them has changed."""
        # the folder's own time tells of new files in it
        signature = [_stamp(path) for path in sorted({self.root, *self._described})]
        if signature == self._signature:
            return
        try:
            with Repo(str(self.root)) as repo:
                stages = tuple(sorted(_stages(repo), key=lambda stage: stage.name))
                parameters = _parameters(repo)
                described = set(_described(repo))
        except (DvcException, OSError) as error:
            # half written, or being removed: what was known stays, and the next call asks again
            self.problem = " ".join(str(error).split())
            return
        self.problem = ""
        self._stages, self.parameters, self._described = stages, parameters, described
        self._signature = [_stamp(path) for path in sorted({self.root, *described})]

    def _scan(self, name: str, path: Path) -> dict[str, Path]:
        scan = self._scans.setdefault(path, _Scan())
        began = time.monotonic()
        if began >= scan.again:
            scan.files = dict(_files(name, path))
            ended = time.monotonic()
            scan.again = ended + _PATIENCE * (ended - began)
        return scan.files


def _stages(repo: Repo) -> Iterator[_Stage]:
    for stage in repo.index.stages:
        path = Path(stage.path_in_repo)
        # a stage of a dvc.yaml has a name, a .dvc file has its own
        name = getattr(stage, "name", None) or path.stem
        outputs = {str(out.def_path): Path(out.fs_path) for out in stage.outs if out.protocol == "local"}
        yield _Stage((path.parent / name).as_posix(), outputs)


def _parameters(repo: Repo) -> dict[str, Value]:
    """Return the parameters of stages and of whole dvc.yaml, as their files have them now.

    They are named as `recorded` does.
    """
    found: dict[str, Value] = {}
    for folder, name, path in _parameter_files(repo):
        if path.is_file():
            read = load_path(str(path), repo.fs)
            found |= parameters_in(folder, name, read if isinstance(read, dict) else {})
    for stage in repo.index.stages:
        folder = Path(os.path.relpath(stage.wdir, repo.root_dir)).as_posix()
        for dependency in stage.params:
            file = str(dependency.def_path)
            prefix = "" if file == "params.yaml" else f"{file}:"
            found |= parameters_of(folder, dvcfiles.flat(dependency.read_params(), prefix))
    return found


def _parameter_files(repo: Repo) -> Iterator[tuple[str, str, Path]]:
    """Yield the folder of each dvc.yaml with files of parameters for the whole of it, and each such file."""
    for described, names in repo.index._params.items():
        parent = Path(described).parent
        folder = Path(os.path.relpath(parent, repo.root_dir)).as_posix()
        for name in names:
            plain = posixpath.normpath(name)
            yield folder, plain, parent / plain


def _described(repo: Repo) -> Iterator[Path]:
    """Yield the files that say what `_stages` and `_parameters` return."""
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        yield Path(repo.root_dir, name)
    yield from map(Path, repo.index._params)
    yield from (path for _, _, path in _parameter_files(repo))
    for stage in repo.index.stages:
        yield Path(stage.path)
        yield Path(stage.path).with_name("dvc.lock")
        yield from (Path(dependency.fs_path) for dependency in stage.params)


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield name, path
    for folder, _, files in os.walk(path):
        for file in files:
            full = Path(folder, file)
            yield posixpath.join(name, full.relative_to(path).as_posix()), full


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


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
