"""The stages that DVC's own library finds in a folder, asked for again when their files have changed."""

import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from dvc.dvcfile import is_valid_filename, load_file
from dvc.ignore import DvcIgnoreFilter
from dvc.repo import Repo
from dvc.stage import Stage as DvcStage
from dvc.utils.serialize import load_path

from fashionboard.base import errors
from fashionboard.repository import git, lockfile, untrusted
from fashionboard.repository.cache import Cache

T = TypeVar("T")
# of parameters that are no stage's
_WHOLE = "*"
_IGNORE = (".dvcignore", ".gitignore")


@dataclass(frozen=True)
class Stage:
    """A stage or .dvc file: its name, from the root of the repository, and where its outputs lie, by path."""

    name: str
    outputs: dict[str, Path]


@dataclass
class _Description(Generic[T]):
    """What one dvc.yaml or .dvc file says.

    stages: by name. parameters: of each stage. files: which say it. problems: why some of it cannot be told.
    """

    stages: dict[str, Stage] = field(default_factory=dict)
    parameters: dict[str, dict[str, T]] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Workspace(Generic[T]):
    """The stages and .dvc files of a folder, with their outputs and parameters as they are now.

    stages: sorted by name. parameters: by name. problems: why some of it cannot be told. top: that
    of git's repository. cache: that of DVC.
    """

    def __init__(
        self, root: Path, parameters_of: Callable[[str, Mapping[str, object]], dict[str, T]]
    ) -> None:
        """parameters_of: makes them of a folder, and of the values read there by their names in dvc.lock."""
        self.stages: tuple[Stage, ...] = ()
        self.parameters: dict[str, T] = {}
        self.problems: tuple[str, ...] = ()
        self.top, self.cache = root, Cache(root / ".dvc" / "cache")
        self._root = root
        self._parameters_of = parameters_of
        self._signature: object = None
        self._descriptions: dict[Path, _Description[T]] = {}
        self._looked: set[Path] = set()

    def refresh(self) -> bool:
        """Ask DVC for the stages again if what describes them has changed, or could not be read.

        Returned is whether it was asked and could answer.
        """
        signature = self._sign()
        if signature == self._signature:
            return False
        try:
            with untrusted.repository(self._root) as repo:
                found: dict[Path, _Description[T]] = {}
                walk = _Walk(repo)
                top, cache = git.top(self._root), Cache(Path(repo.cache.local_cache_dir))
                for path in walk.descriptions():
                    found[path] = self._describe(repo, path)
                    stages = found[path].stages.values()
                    walk.outputs |= {str(output) for stage in stages for output in stage.outputs.values()}
        except Exception as error:  # DVC's own, those of its plugins, and what a damaged file leads to
            # being removed, say: what was known stays, and the next call asks again
            self.problems = (errors.reason(error),)
            self._signature = None
            return False
        self._descriptions, self._looked, self.top, self.cache = found, walk.looked, top, cache
        known = [stage for each in found.values() for stage in each.stages.values()]
        self.stages = tuple(sorted(known, key=lambda stage: stage.name))
        self.parameters = {}
        for each in found.values():
            for parameters in each.parameters.values():
                self.parameters |= parameters
        self.problems = tuple(problem for each in found.values() for problem in each.problems)
        self._signature = None if self.problems else self._sign()
        return True

    def _sign(self) -> object:
        """Return what changes with every file that was asked, and with new ones: a folder's own time."""
        described = set().union(*(each.files for each in self._descriptions.values()))
        return [(path, _stamp(path)) for path in sorted({self._root, *self._looked, *described})]

    def _describe(self, repo: Repo, path: Path) -> _Description[T]:
        """Read a dvc.yaml or .dvc file, stage by stage; of what cannot be read, what was known stays."""
        known = self._descriptions.get(path, _Description())
        # params.yaml beside it is read unasked
        own = {path, path.with_name("dvc.lock"), path.with_name("params.yaml")}
        found: _Description[T] = _Description(files=own)
        name = os.path.relpath(path, self._root)
        try:
            for each in own:
                untrusted.check(each)
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
                    untrusted.check(each_file)
                found.parameters[key] = self._of_stage(repo, stage)
            except Exception as error:
                found.problems.append(_problem(f"{name}:{key}" if key else name, error))
                found.parameters[key] = known.parameters.get(key, {})
        try:
            whole = {name: path.parent / name for name in map(posixpath.normpath, file.params)}
            found.files |= set(whole.values())
            found.parameters = {_WHOLE: self._of_files(repo, path, whole)} | found.parameters
        except Exception as error:
            found.problems.append(_problem(name, error))
            found.parameters = {_WHOLE: known.parameters.get(_WHOLE, {})} | found.parameters
        return found

    def _of_stage(self, repo: Repo, stage: DvcStage) -> dict[str, T]:
        """Return the parameters that a stage depends on, as their files have them now."""
        found: dict[str, T] = {}
        folder = _folder(repo, stage.wdir)
        for dependency in stage.params:
            values = lockfile.named(str(dependency.def_path), dependency.read_params())
            found |= self._parameters_of(folder, values)
        return found

    def _of_files(self, repo: Repo, described: Path, files: Mapping[str, Path]) -> dict[str, T]:
        """Return the parameters of files that a dvc.yaml names for the whole of it."""
        found: dict[str, T] = {}
        for name, file in files.items():
            untrusted.check(file)
            read = load_path(str(file), repo.fs) if file.is_file() else {}
            values = lockfile.named(name, read if isinstance(read, dict) else {})
            found |= self._parameters_of(_folder(repo, str(described.parent)), values)
        return found


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
                and all(untrusted.is_plain(Path(folder, each, name)) for name in _IGNORE)
                and not is_ignored(f"{folder}/{each}/")
            ]


def _stage(stage: DvcStage) -> Stage:
    path = Path(stage.path_in_repo)
    # a stage of a dvc.yaml has a name, a .dvc file has its own
    name = getattr(stage, "name", None) or path.stem
    outputs = {str(out.def_path): Path(out.fs_path) for out in stage.outs if out.protocol == "local"}
    if any("\0" in output for output in outputs):
        raise ValueError("expected names of outputs, found one with a zero byte")
    return Stage((path.parent / name).as_posix(), outputs)


def _problem(where: str, error: Exception) -> str:
    return f"{where}: {errors.reason(error)}"


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
