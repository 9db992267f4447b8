"""What commits and experiments hold: their event files in DVC's cache or git, parameters and metrics."""

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fashionboard.base import errors, yamltext
from fashionboard.base.errors import DataError
from fashionboard.board import group, needed, seeds, values
from fashionboard.board.committed import Committed
from fashionboard.board.group import Value
from fashionboard.repository import dvcyaml, lockfile
from fashionboard.repository.cache import Cache
from fashionboard.repository.dvcyaml import Declared
from fashionboard.repository.git import Git
from fashionboard.repository.lockfile import Stage
from fashionboard.repository.tree import Recorded, Tree, Trees


@dataclass(frozen=True)
class Record:
    """What one commit holds.

    files: where the cache, or the board's folder for what git keeps, has what belongs into the view,
    by its path there. missing: outputs and metrics files, by path from the root of the DVC repository,
    of which something that is shown is not in the cache, each with the md5s to bring here.
    unread: why a file of DVC's was skipped. inputs, setting: digests of what it started from, see `seeds`.
    """

    files: dict[str, Path] = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    missing: dict[str, frozenset[str]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    inputs: str = ""
    setting: str = ""
    outputs: frozenset[str] = frozenset()
    used: set[Path] = field(default_factory=set)
    damaged: set[Path] = field(default_factory=set)


@dataclass(frozen=True)
class _DeclaredFile:
    """A file of metrics or parameters: its md5, or none, and what git would call it.

    folder: of the dvc.yaml; name: of the file, from there.
    """

    path: str
    md5: str
    committed: str
    folder: str
    name: str


class Reader:
    """Reads commits, each file of DVC's and each list of files only once however many commits share it."""

    def __init__(self, git: Git, cache: Cache, kept: Path | None = None) -> None:
        """kept: a folder for the event files that git keeps; without one, they are not shown."""
        self._git = git
        self._cache = cache
        self._committed = Committed(git, kept)
        self._trees = Trees(git, needed.is_known)
        self._records: dict[str, Record] = {}
        self.failed: set[str] = set()
        # outputs whose lists of files, where there is one, name no event file
        self._eventless: set[tuple[str, str]] = set()
        self._arranged: dict[object, _Arranged] = {}

    def read(self, commits: Iterable[str]) -> dict[str, Record]:
        """Return what each commit holds; one with anything missing is looked at again.

        What fails as a whole is told by its record's `unread` and by `failed`, and tried again.
        """
        commits = list(commits)
        new = [
            each
            for each in commits
            if each not in self._records or self._records[each].missing or each in self.failed
        ]
        # of others it stays known until they are read
        self.failed.difference_update(new)
        self._try(new)
        return {each: self._records[each] for each in commits}

    def forget(self, lost: Collection[Path]) -> bool:
        """Forget what was read of files that are gone; tell whether anything was."""
        records = [
            commit
            for commit, each in self._records.items()
            if _among(each.files, lost) or not each.used.isdisjoint(lost)
        ]
        for commit in records:
            del self._records[commit]
        for key in [key for key, each in self._arranged.items() if _among(each.files, lost)]:
            del self._arranged[key]
        return bool(records)

    def _try(self, commits: list[str]) -> None:
        try:
            self._read(commits)
        except Exception as error:
            if len(commits) > 1:
                # one of them is damaged in a way that git, DVC or the disk has words for: which?
                half = len(commits) // 2
                self._try(commits[:half])
                self._try(commits[half:])
                return
            (commit,) = commits
            self.failed.add(commit)
            known = self._records.get(commit, Record())
            self._records[commit] = replace(known, unread=(f"cannot be read ({errors.reason(error)})",))

    def _read(self, new: list[str]) -> None:
        trees = self._committed.lay(self._trees.read(new))
        metrics = {each: self._files(each, trees[each], trees[each].declared) for each in new}
        parameters = {each: self._files(each, trees[each], _of_parameters(trees[each])) for each in new}
        # what is not in the cache may be in git
        files = [file for each in new for file in metrics[each] + parameters[each]]
        absent = [file.committed for file in files if not self._cache.find(file.md5)]
        committed = dict(self._git.contents(absent))
        for each in new:
            record = self._records[each] = self._record(
                trees[each], metrics[each], parameters[each], committed
            )
            if record.damaged or self._trees.lacks(trees[each]):
                self.failed.add(each)

    def _files(self, commit: str, tree: Tree, declared: Mapping[str, Declared]) -> list[_DeclaredFile]:
        """Return where to read each file that is declared as one of metrics, or of parameters."""
        found: dict[str, _DeclaredFile] = {}

        def add(path: str, md5: str, folder: str) -> None:
            committed = f"{commit}:{self._git.prefix}{path}"
            found[path] = _DeclaredFile(path, md5, committed, folder, posixpath.relpath(path, folder or "."))

        for folder, each in declared.items():
            for path in filter(None, map(dvcyaml.exact, each.top)):
                add(posixpath.normpath(posixpath.join(folder, path)), "", folder)
        for stage in [each for each in tree.stages if each.folder in declared]:
            patterns = declared[stage.folder]
            for output, md5 in stage.stage.outputs.items():
                # a list of files is opened only if a metric is declared below its output
                within = md5.endswith(".dir") and patterns.below(stage.name, output)
                entries = self._entries(stage.stage, output, md5) if within else {output: md5}
                for path, digest in (entries or {}).items():
                    if patterns.match(stage.name, path):
                        add(stage.root(path), digest, stage.folder)
        return list(found.values())

    def _record(
        self,
        tree: Tree,
        metrics: list[_DeclaredFile],
        parameters: list[_DeclaredFile],
        committed: Mapping[str, bytes | None],
    ) -> Record:
        record = Record(outputs=tree.recording, inputs=seeds.inputs(tree))
        for each in tree.stages:
            arranged = self._arrange(each, tree)
            group.merge(record.files, arranged.files)
            record.missing.update(arranged.missing)
            works_in = posixpath.normpath(each.works_in)
            record.parameters.update(parameters_of(works_in, each.stage.parameters))
        unread = list(tree.unread)
        numbers: dict[str, dict[str, float]] = {}
        for metric, found in self._values(metrics, committed, record, unread):
            try:
                numbers[metric.path] = group.metrics(yamltext.flat(found, separator="/"))
            except DataError:
                unread.append(f"{metric.path} cannot be read")
        record.metrics.update(values.merged(numbers))
        for file, found in self._values(parameters, committed, record, unread):
            for name, value in _parameters_in(file.folder, file.name, found).items():
                # what a stage has read is what it was run with
                record.parameters.setdefault(name, value)
        setting = seeds.setting(record.parameters, record.inputs)
        return replace(record, unread=tuple(unread), setting=setting)

    def _values(
        self,
        files: list[_DeclaredFile],
        committed: Mapping[str, bytes | None],
        record: Record,
        unread: list[str],
    ) -> Iterator[tuple[_DeclaredFile, dict[str, Any]]]:
        """Yield what each file holds; note in `record` what was read, and what is missing or damaged."""
        for file in files:
            cached = self._cache.find(file.md5)
            record.used.update(filter(None, [cached]))
            content = cached.read_bytes() if cached else committed.get(file.committed)
            if content is not None:
                try:
                    yield file, values.read(file.path, content)
                except DataError:
                    unread.append(f"{file.path} cannot be read")
                    record.damaged.update(filter(None, [cached]))
            elif file.md5:
                record.missing[file.path] = frozenset({file.md5})

    def _arrange(self, recorded: Recorded, tree: Tree) -> "_Arranged":
        outputs = recorded.stage.outputs
        kept = {output: tree.kept(recorded, output) for output in outputs} if tree.others else {}
        blobs = tuple((output, *files.items()) for output, files in kept.items())
        key = recorded.folder, recorded.name, recorded.works_in, tuple(outputs.items()), blobs
        arranged = self._arranged.get(key)
        if arranged is None or arranged.missing:
            arranged = self._arranged[key] = self._look(recorded, kept)
        return arranged

    def _look(self, recorded: Recorded, kept: Mapping[str, dict[str, str]]) -> "_Arranged":
        missing: dict[str, frozenset[str]] = {}
        outputs: dict[str, dict[str, str]] = {}
        stage = posixpath.join(recorded.folder, recorded.name)
        for output, md5 in recorded.stage.outputs.items():
            # DVC keeps no output that git does
            entries = kept.get(output) or self._entries(recorded.stage, output, md5)
            if entries is not None:
                outputs[output] = entries
                if not any(map(group.is_events, entries)):
                    self._eventless.add((stage, output))
            elif (stage, output) not in self._eventless:
                missing[recorded.root(output)] = frozenset({md5})
        arranged = group.arrange(stage, outputs)
        files = {path: file for path, each in arranged.items() if (file := self._find(each))}
        absent = {arranged[path] for path in _opened(arranged, files) if path not in files}
        for output, entries in outputs.items():
            if here := absent & set(entries.values()):
                missing[recorded.root(output)] = frozenset(here | self._list_of(recorded.stage, output))
        return _Arranged(files, missing)

    def _list_of(self, stage: Stage, output: str) -> set[str]:
        """Return the md5 of an output's list of files, if that was learnt from elsewhere."""
        md5 = stage.outputs[output]
        return set() if output in stage.listed or self._cache.find(md5) else {md5}

    def _find(self, digest: str) -> Path | None:
        return self._cache.find(digest) or self._committed.find(digest)

    def _entries(self, stage: Stage, output: str, md5: str) -> dict[str, str] | None:
        if output in stage.listed:
            return {f"{output}/{path}": digest for path, digest in stage.listed[output].items()}
        try:
            return self._cache.entries(output, md5)
        except DataError:
            # as good as missing: `dvc fetch` would bring it again
            return None


@dataclass(frozen=True)
class _Arranged:
    files: dict[str, Path]
    missing: dict[str, frozenset[str]]


def _among(files: Mapping[str, Path], lost: Collection[Path]) -> bool:
    return any(path in lost for path in files.values())


def _opened(arranged: Iterable[str], files: Mapping[str, Path]) -> set[str]:
    """Return those of the paths in the view that TensorBoard opens, as far as that is known."""
    opened = {path for path in arranged if needed.is_known(path)}
    named = {
        asset
        for path in opened
        if needed.is_config(path) and path in files
        for asset in needed.assets(path, files[path])
    }
    return opened | named.intersection(arranged)


def _of_parameters(tree: Tree) -> dict[str, Declared]:
    return {folder: each.of_parameters for folder, each in tree.declared.items() if each.parameters}


def parameters_of(folder: str, values: Mapping[str, object]) -> dict[str, Value]:
    """Return parameters by name; those of a stage that works in a folder bear it: `deep/train.lr`."""
    prefix = f"{folder}/" if folder not in ("", ".") else ""
    return group.parameters({f"{prefix}{name}": value for name, value in values.items()})


def _parameters_in(folder: str, name: str, values: dict[str, Any]) -> dict[str, Value]:
    """Return the parameters in a file for a whole dvc.yaml: the file `name`, told from its folder."""
    return parameters_of(folder, lockfile.named(name, values))
