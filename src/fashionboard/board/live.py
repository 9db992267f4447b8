"""What is being written now: the workspace, and the copies in which DVC runs experiments."""

import os
import posixpath
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from dvc.dvcfile import is_valid_filename, load_file
from dvc.ignore import DvcIgnoreFilter
from dvc.repo import Repo
from dvc.stage import Stage
from dvc.utils.serialize import load_path

from fashionboard.base import errors, yamltext
from fashionboard.board import group, marks
from fashionboard.board.group import Value
from fashionboard.board.links import Links
from fashionboard.board.results import parameters_in, parameters_of
from fashionboard.repository import git, opening
from fashionboard.repository.cache import Cache

# a folder is looked through again after this many times as long as it took
_PATIENCE = 200
# of parameters that are no stage's
_WHOLE = "*"
_CLOSED = (".git", ".dvc")
_IGNORE = (".dvcignore", ".gitignore")


@dataclass(frozen=True)
class _Stage:
    name: str
    outputs: dict[str, Path]


@dataclass
class _Description:
    """What one dvc.yaml or .dvc file says.

    stages: by name. parameters: of each stage, named as `results` does. files: which say it.
    problems: why some of it cannot be told.
    """

    stages: dict[str, _Stage] = field(default_factory=dict)
    parameters: dict[str, dict[str, Value]] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


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
        self._signature: object = None
        self._descriptions: dict[Path, _Description] = {}
        self._looked: set[Path] = set()
        self._stages: tuple[_Stage, ...] = ()
        self._scans: dict[Path, _Scan] = {}
        self._links = Links(root, Cache(root / ".dvc" / "cache"))
        self.parameters: dict[str, Value] = {}
        self.problems: tuple[str, ...] = ()

    def files(self) -> dict[str, Path]:
        """Return the files that belong into the view, by their paths there, as they are now."""
        self._refresh()
        found: dict[str, Path] = {}
        for stage in self._stages:
            outputs = {name: self._scan(name, path) for name, path in stage.outputs.items()}
            group.merge(found, group.arrange(stage.name, outputs))
        return {path: file for path, file in found.items() if self._is_own(path, file)}

    @property
    def has_outputs(self) -> bool:
        """Whether DVC knows of any output here, there or not."""
        self._refresh()
        return any(stage.outputs for stage in self._stages)

    @property
    def outside(self) -> list[Path]:
        """The files that are not shown: links out of the repository and of DVC's cache."""
        paths = {path for stage in self._stages for path in stage.outputs.values()}
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
        """Ask DVC for the stages again if what describes them has changed, or could not be read."""
        signature = self._sign()
        if signature == self._signature:
            return
        try:
            with opening.repository(self.root) as repo:
                found: dict[Path, _Description] = {}
                walk = _Walk(repo)
                links = Links(git.top(self.root), Cache(Path(repo.cache.local_cache_dir)))
                for path in walk.descriptions():
                    found[path] = self._describe(repo, path)
                    stages = found[path].stages.values()
                    walk.outputs |= {str(output) for stage in stages for output in stage.outputs.values()}
        except Exception as error:  # DVC's own, those of its plugins, and what a damaged file leads to
            # being removed, say: what was known stays, and the next call asks again
            self.problems = (errors.reason(error),)
            self._signature = None
            return
        self._descriptions, self._looked, self._links = found, walk.looked, links
        known = [stage for each in found.values() for stage in each.stages.values()]
        self._stages = tuple(sorted(known, key=lambda stage: stage.name))
        self.parameters = {}
        for each in found.values():
            for parameters in each.parameters.values():
                self.parameters |= parameters
        self.problems = tuple(problem for each in found.values() for problem in each.problems)
        self._signature = None if self.problems else self._sign()

    def _sign(self) -> object:
        """Return what changes with every file that was asked, and with new ones: a folder's own time."""
        described = set().union(*(each.files for each in self._descriptions.values()))
        return [(path, _stamp(path)) for path in sorted({self.root, *self._looked, *described})]

    def _describe(self, repo: Repo, path: Path) -> _Description:
        """Read a dvc.yaml or .dvc file, stage by stage; of what cannot be read, what was known stays."""
        known = self._descriptions.get(path, _Description())
        # params.yaml beside it is read unasked
        own = {path, path.with_name("dvc.lock"), path.with_name("params.yaml")}
        found = _Description(files=own)
        name = os.path.relpath(path, self.root)
        try:
            for each in own:
                opening.check(each)
            file = load_file(repo, str(path))
            described = file.stages
            names = list(described)
        except Exception as error:
            return replace(known, files=known.files | found.files, problems=[_problem(name, error)])
        for each in names:
            key = str(each or "")
            try:
                stage = described[each]
                found.stages[key] = _stage(stage)
            except Exception as error:
                found.problems.append(_problem(f"{name}:{key}" if key else name, error))
                if key in known.stages:
                    found.stages[key] = known.stages[key]
                    found.parameters[key] = known.parameters.get(key, {})
                continue
            files = {Path(dependency.fs_path) for dependency in stage.params}
            found.files |= files
            try:
                for each_file in files:
                    opening.check(each_file)
                found.parameters[key] = _parameters(repo, stage)
            except Exception as error:
                found.problems.append(_problem(f"{name}:{key}" if key else name, error))
                found.parameters[key] = known.parameters.get(key, {})
        try:
            whole = {name: path.parent / name for name in map(posixpath.normpath, file.params)}
            found.files |= set(whole.values())
            found.parameters = {_WHOLE: _whole(repo, path, whole)} | found.parameters
        except Exception as error:
            found.problems.append(_problem(name, error))
            found.parameters = {_WHOLE: known.parameters.get(_WHOLE, {})} | found.parameters
        return found

    def _scan(self, name: str, path: Path) -> dict[str, Path]:
        scan = self._scans.setdefault(path, _Scan())
        began = time.monotonic()
        if began >= scan.again:
            scan.files, scan.outside = self._links.split(path, _files(name, path))
            ended = time.monotonic()
            scan.again = ended + _PATIENCE * (ended - began)
        return scan.files


def _folder(repo: Repo, path: str) -> str:
    return Path(os.path.relpath(path, repo.root_dir)).as_posix()


class _Walk:
    """Goes through a repository as DVC's own `collect_files`, which stops at errors that DVC does not know.

    outputs: folders not to look into, added on the way. looked: the folders that were looked into, and files
    that say what is ignored, and how DVC is set.
    """

    def __init__(self, repo: Repo) -> None:
        self.outputs: set[str] = set()
        self.looked = {Path(repo.dvc_dir, name) for name in ("config", "config.local")}
        above = [
            each for each in Path(repo.root_dir).parents if each.is_relative_to(git.top(Path(repo.root_dir)))
        ]
        self.looked |= {each / ".gitignore" for each in above}
        self._repo = repo

    def descriptions(self) -> Iterator[Path]:
        """Yield the dvc.yaml and .dvc files that DVC reads."""
        is_ignored = self._repo.scm.is_ignored
        ignore: DvcIgnoreFilter = self._repo.dvcignore
        for folder, folders, files in ignore.walk(self._repo.fs, self._repo.root_dir, followlinks=False):
            self.looked.add(Path(folder))
            self.looked |= {Path(folder, name) for name in _IGNORE}
            for file in filter(is_valid_filename, files):
                if not is_ignored(f"{folder}/{file}"):
                    yield Path(folder, file)
            # git asks for a slash at the end of a folder
            folders[:] = [
                each
                for each in folders
                if f"{folder}/{each}" not in self.outputs
                and all(opening.is_plain(Path(folder, each, name)) for name in _IGNORE)
                and not is_ignored(f"{folder}/{each}/")
            ]


def _stage(stage: Stage) -> _Stage:
    path = Path(stage.path_in_repo)
    # a stage of a dvc.yaml has a name, a .dvc file has its own
    name = getattr(stage, "name", None) or path.stem
    outputs = {str(out.def_path): Path(out.fs_path) for out in stage.outs if out.protocol == "local"}
    if any("\0" in output for output in outputs):
        raise ValueError("expected names of outputs, found one with a zero byte")
    return _Stage((path.parent / name).as_posix(), outputs)


def _parameters(repo: Repo, stage: Stage) -> dict[str, Value]:
    """Return the parameters that a stage depends on, as their files have them now."""
    found: dict[str, Value] = {}
    folder = _folder(repo, stage.wdir)
    for dependency in stage.params:
        file = str(dependency.def_path)
        prefix = "" if file == "params.yaml" else f"{file}:"
        found |= parameters_of(folder, yamltext.flat(dependency.read_params(), prefix))
    return found


def _whole(repo: Repo, described: Path, files: Mapping[str, Path]) -> dict[str, Value]:
    """Return the parameters of files that a dvc.yaml names for the whole of it."""
    found: dict[str, Value] = {}
    for name, file in files.items():
        opening.check(file)
        read = load_path(str(file), repo.fs) if file.is_file() else {}
        found |= parameters_in(
            _folder(repo, str(described.parent)), name, read if isinstance(read, dict) else {}
        )
    return found


def _problem(where: str, error: Exception) -> str:
    return f"{where}: {errors.reason(error)}"


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
