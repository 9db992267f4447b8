"""What commits and experiments hold: their event files in DVC's cache, their parameters and metrics."""

import json
import posixpath
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fashionboard import dvcfiles, errors
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
        self._parsed: dict[tuple[str, str], _Parsed] = {}
        self._records: dict[str, Record] = {}
        self.failed: set[str] = set()
        # outputs whose lists of files, where there is one, name no event file
        self._eventless: set[tuple[str, str]] = set()
        self._arranged: dict[tuple[str, tuple[tuple[str, str], ...]], _Arranged] = {}

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
        self.failed = set()
        try:
            self._read(new)
        except Exception:
            # one of them is damaged in a way that git, DVC or the disk has words for: which?
            for each in new:
                self._try(each)
        return {each: self._records[each] for each in commits}

    def forget(self, lost: Collection[Path]) -> bool:
        """Forget what was read of files that are gone; tell whether anything was."""
        records = [commit for commit, each in self._records.items() if _among(each.files, lost)]
        for commit in records:
            del self._records[commit]
        for key in [key for key, each in self._arranged.items() if _among(each.files, lost)]:
            del self._arranged[key]
        return bool(records)

    def _try(self, commit: str) -> None:
        try:
            self._read([commit])
        except Exception as error:
            self.failed.add(commit)
            known = self._records.get(commit, Record())
            self._records[commit] = replace(known, unread=(f"cannot be read ({errors.reason(error)})",))

    def _read(self, new: list[str]) -> None:
        listed = self._git.files(new, _wanted)
        # one blob may be several kinds of file, if it is empty
        blobs: dict[str, dict[str, str]] = {}
        for path, digest in ((path, digest) for paths in listed.values() for path, digest in paths.items()):
            if (_kind(path), digest) not in self._parsed:
                blobs.setdefault(digest, {})[_kind(path)] = path
        for digest, content in self._git.contents(blobs):
            for kind, path in blobs[digest].items():
                self._parsed[kind, digest] = "not in git" if content is None else _parse(path, content)
        metrics = {each: self._metrics(each, listed[each]) for each in new}
        # a metrics file that is not in the cache may be in git
        absent = [each for several in metrics.values() for each in several if not self._cache.find(each.md5)]
        committed = dict(self._git.contents(each.committed for each in absent))
        for commit in new:
            self._records[commit] = self._record(listed[commit], metrics[commit], committed)

    def _stages(self, listed: dict[str, str]) -> Iterator[tuple[str, str, Stage]]:
        """Yield the folder, name and record of each stage and of each .dvc file."""
        for path, digest in sorted(listed.items()):
            parsed = self._parsed[_kind(path), digest]
            if isinstance(parsed, dict):
                for name, stage in parsed.items():
                    own = name or posixpath.basename(path).removesuffix(".dvc")
                    yield posixpath.dirname(path), own, stage

    def _metrics(self, commit: str, listed: dict[str, str]) -> list[_Metric]:
        """Return where to read each metrics file."""
        declared = self._declared(listed)
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
                        add(posixpath.join(folder, metrics.folder(name)), path, digest)
        return list(found.values())

    def _record(
        self, listed: dict[str, str], metrics: list[_Metric], committed: dict[str, bytes | None]
    ) -> Record:
        outputs = frozenset(digest for path, digest in listed.items() if _kind(path) != "dvc.yaml")
        unread = list(self._unread(listed))
        record = Record(outputs=outputs)
        declared = self._declared(listed)
        for folder, name, stage in self._stages(listed):
            arranged = self._arrange(posixpath.join(folder, name), stage)
            group.merge(record.files, arranged.files)
            record.missing.update(arranged.missing)
            works_in = posixpath.join(folder, declared.get(folder, Metrics()).folder(name))
            record.parameters.update(parameters_of(posixpath.normpath(works_in), stage.parameters))
        numbers = {}
        for metric in metrics:
            cached = self._cache.find(metric.md5) if metric.md5 else None
            content = cached.read_bytes() if cached else committed.get(metric.committed)
            if content is not None:
                try:
                    numbers[metric.path] = group.metrics(_values(metric.path, content))
                except DataError:
                    unread.append(f"{metric.path} cannot be read")
            elif metric.md5:
                record.missing[metric.path] = frozenset({metric.md5})
        record.metrics.update(_merged(numbers))
        return replace(record, unread=tuple(unread))

    def _declared(self, listed: dict[str, str]) -> dict[str, Metrics]:
        """Return what each dvc.yaml declares, by its folder."""
        return {
            posixpath.dirname(path): parsed
            for path, digest in listed.items()
            if isinstance(parsed := self._parsed[_kind(path), digest], Metrics)
        }

    def _unread(self, listed: dict[str, str]) -> Iterator[str]:
        for path, digest in listed.items():
            if isinstance(self._parsed[_kind(path), digest], str):
                yield f"{path} cannot be read"

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


def _among(files: Mapping[str, Path], lost: Collection[Path]) -> bool:
    return any(path in lost for path in files.values())


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
    except Exception as error:
        return errors.reason(error)


def _kind(path: str) -> str:
    name = posixpath.basename(path)
    return name if name in ("dvc.lock", "dvc.yaml") else ".dvc"


def parameters_of(folder: str, values: Mapping[str, object]) -> dict[str, Value]:
    """Return parameters by name; those of a stage that works in a folder bear it: `deep/train.lr`."""
    prefix = f"{folder}/" if folder not in ("", ".") else ""
    return group.parameters({f"{prefix}{name}": value for name, value in values.items()})


def _merged(numbers: dict[str, dict[str, float]]) -> dict[str, float]:
    """Put the metrics of several files together; a name that is in two of them bears its file."""
    files = Counter(name for each in numbers.values() for name in each)
    return {
        name if files[name] == 1 else f"{path}:{name}": number
        for path, each in numbers.items()
        for name, number in each.items()
    }


def _values(path: str, content: bytes) -> dict[str, object]:
    """Return the values of a metrics file by joined name, `average_precision/Bag`.

    Raises:
        DataError: it is not what its name says: TOML, JSON, or else YAML.
    """
    try:
        if path.endswith(".toml"):
            found: object = tomllib.loads(content.decode())
        else:
            found = json.loads(content) if path.endswith(".json") else dvcfiles.load(content)
        return dvcfiles.flat(found, separator="/") if isinstance(found, dict) else {}
    except (ValueError, RecursionError, TypeError):
        raise DataError(f"{path}: expected metrics, found something else") from None
