"""What commits and experiments hold: their event files in DVC's cache, their parameters and metrics."""

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from fashionboard import dvcfiles
from fashionboard.board import group
from fashionboard.board.git import Git
from fashionboard.board.group import Value
from fashionboard.dvcfiles import Cache, Metrics, Stage
from fashionboard.errors import DataError

_Parsed = dict[str, Stage] | Metrics | str


@dataclass(frozen=True)
class Record:
    """What one commit holds.

    files: where the cache keeps what belongs into the view, by its path there. missing: outputs that
    are not, or not wholly, in the cache, each with the md5s to bring here. unread: why a file of
    DVC's was skipped.
    """

    files: dict[str, Path] = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    missing: dict[str, frozenset[str]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Metric:
    """A metrics file: its md5, or none, and what git would call it."""

    path: str
    md5: str
    committed: str


class Recorder:
    """Reads commits, each file of DVC's and each list of files only once however many commits share it."""

    def __init__(self, git: Git, cache: Cache) -> None:
        self._git = git
        self._cache = cache
        self._parsed: dict[str, _Parsed] = {}
        self._records: dict[str, Record] = {}
        # outputs whose lists of files, where there is one, name no event file
        self._eventless: set[tuple[str, str]] = set()
        self._arranged: dict[tuple[str, tuple[tuple[str, str], ...]], _Arranged] = {}

    def read(self, commits: Iterable[str]) -> dict[str, Record]:
        """Return what each commit holds; one with anything missing is looked at again."""
        commits = list(commits)
        new = [each for each in commits if each not in self._records or self._records[each].missing]
        listed = self._git.files(new, _wanted)
        blobs = {digest: path for paths in listed.values() for path, digest in paths.items()}
        for digest, content in self._git.contents(each for each in blobs if each not in self._parsed):
            self._parsed[digest] = _parse(blobs[digest], content or b"")
        metrics = {each: self._metrics(each, listed[each]) for each in new}
        # a metrics file that is not in the cache may be in git
        absent = [each for several in metrics.values() for each in several if not self._cache.find(each.md5)]
        committed = dict(self._git.contents(each.committed for each in absent))
        for commit in new:
            self._records[commit] = self._record(listed[commit], metrics[commit], committed)
        return {each: self._records[each] for each in commits}

    def _stages(self, listed: dict[str, str]) -> Iterator[tuple[str, str, Stage]]:
        """Yield the folder, name and record of each stage and of each .dvc file."""
        for path, digest in sorted(listed.items()):
            parsed = self._parsed[digest]
            if isinstance(parsed, dict):
                for name, stage in parsed.items():
                    own = name or posixpath.basename(path).removesuffix(".dvc")
                    yield posixpath.dirname(path), own, stage

    def _metrics(self, commit: str, listed: dict[str, str]) -> list[_Metric]:
        """Return where to read each metrics file."""
        declared = {
            posixpath.dirname(path): parsed
            for path, digest in listed.items()
            if isinstance(parsed := self._parsed[digest], Metrics)
        }
        found: dict[str, _Metric] = {}

        def add(folder: str, path: str, md5: str) -> None:
            joined = posixpath.normpath(posixpath.join(folder, path))
            found[joined] = _Metric(joined, md5, f"{commit}:{self._git.prefix}{joined}")

        for folder, each in declared.items():
            for path in each.top:
                add(folder, path, "")
        for folder, name, stage in self._stages(listed):
            metrics = declared.get(folder, Metrics())
            for output, md5 in stage.outputs.items():
                # a list of files is opened only if a metric is declared below its output
                within = md5.endswith(".dir") and metrics.below(name, output)
                entries = self._entries(output, md5) if within else {output: md5}
                for path, digest in (entries or {}).items():
                    if metrics.match(name, path):
                        add(folder, path, digest)
        return list(found.values())

    def _record(
        self, listed: dict[str, str], metrics: list[_Metric], committed: dict[str, bytes | None]
    ) -> Record:
        outputs = frozenset(digest for path, digest in listed.items() if not path.endswith("dvc.yaml"))
        record = Record(unread=tuple(_unread(listed, self._parsed)), outputs=outputs)
        for folder, name, stage in self._stages(listed):
            arranged = self._arrange(posixpath.join(folder, name), stage)
            record.files.update(arranged.files)
            record.missing.update(arranged.missing)
            # a repository with one dvc.yaml has plain names
            prefix = f"{folder}/" if folder else ""
            values = {f"{prefix}{key}": value for key, value in stage.parameters.items()}
            record.parameters.update(group.parameters(values))
        numbers = {}
        for metric in metrics:
            cached = self._cache.find(metric.md5) if metric.md5 else None
            content = cached.read_bytes() if cached else committed.get(metric.committed)
            if content is not None:
                numbers[metric.path] = group.metrics(_values(content))
            elif metric.md5:
                record.missing[metric.path] = frozenset({metric.md5})
        record.metrics.update(_merged(numbers))
        return record

    def _arrange(self, stage: str, recorded: Stage) -> "_Arranged":
        key = (stage, tuple(recorded.outputs.items()))
        arranged = self._arranged.get(key)
        if arranged is None or arranged.missing:
            arranged = self._arranged[key] = self._look(stage, recorded)
        return arranged

    def _look(self, stage: str, recorded: Stage) -> "_Arranged":
        missing: dict[str, frozenset[str]] = {}
        outputs: dict[str, dict[str, str]] = {}
        for output, md5 in recorded.outputs.items():
            entries = self._entries(output, md5)
            if entries is not None:
                outputs[output] = entries
                if not any(map(group.is_events, entries)):
                    self._eventless.add((stage, output))
            elif (stage, output) not in self._eventless:
                missing[output] = frozenset({md5})
        files: dict[str, Path] = {}
        absent = set()
        for path, md5 in group.arrange(stage, outputs).items():
            if cached := self._cache.find(md5):
                files[path] = cached
            else:
                absent.add(md5)
        for output, entries in outputs.items():
            if here := absent & set(entries.values()):
                # with its list of files, if that was learnt from elsewhere
                missing[output] = frozenset({*here, recorded.outputs[output]})
        return _Arranged(files, missing)

    def _entries(self, output: str, md5: str) -> dict[str, str] | None:
        try:
            return self._cache.entries(output, md5)
        except DataError:
            # as good as missing: `dvc fetch` would bring it again
            return None


@dataclass(frozen=True)
class _Arranged:
    files: dict[str, Path]
    missing: dict[str, frozenset[str]]


def _wanted(path: str) -> bool:
    name = posixpath.basename(path)
    return name in ("dvc.lock", "dvc.yaml") or (name.endswith(".dvc") and name != ".dvc")


def _parse(path: str, content: bytes) -> _Parsed:
    """Return the stages of a dvc.lock or .dvc file, the metrics of a dvc.yaml, or why it cannot be read."""
    try:
        text = content.decode()
        if path.endswith("dvc.lock"):
            return dvcfiles.stages(text)
        return dvcfiles.metrics(text) if path.endswith("dvc.yaml") else {"": dvcfiles.tracked(text)}
    except (DataError, UnicodeDecodeError) as error:
        return str(error)


def _unread(listed: dict[str, str], parsed: dict[str, _Parsed]) -> Iterator[str]:
    for path, digest in listed.items():
        if isinstance(parsed[digest], str):
            yield f"{path} cannot be read"


def _merged(numbers: dict[str, dict[str, float]]) -> dict[str, float]:
    """Put the metrics of several files together; a name that is in two of them bears its file."""
    files = Counter(name for each in numbers.values() for name in each)
    return {
        name if files[name] == 1 else f"{path}:{name}": number
        for path, each in numbers.items()
        for name, number in each.items()
    }


def _values(content: bytes) -> dict[str, object]:
    """Return the values of a metrics file, JSON or YAML, by joined name, `average_precision/Bag`."""
    try:
        found = json.loads(content)
    except ValueError:
        try:
            found = yaml.safe_load(content)
        except yaml.YAMLError:
            return {}
    return dvcfiles.flat(found, separator="/") if isinstance(found, dict) else {}
