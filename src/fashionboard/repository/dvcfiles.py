"""What DVC's own files say: dvc.lock, .dvc, dvc.yaml, the cache, experiments' refs and running experiments.

The only module that knows them. Formats, as DVC 3.67 writes them:

- dvc.lock's schema 2.0, and .dvc files, whose outputs look the same;
- the cache: an object lies at `<cache>/files/md5/<first two digits>/<the rest>`, those of DVC 2 at
  `<cache>/<first two digits>/<the rest>`; a folder is a JSON list of its files;
- an experiment is the ref `refs/exps/<two digits of its baseline>/<the rest>/<name>`;
- a running one is told by a JSON file `<tmp>/exps/run/<id>/<id>.run`, beside it `<id>.json` of its
  process; with `--temp` by `<tmp>/exps/standalone/run/<id>/<id>.run`.
"""

import hashlib
import json
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from fashionboard.base import outputs, private, yamlsize
from fashionboard.base.errors import DataError

EXPERIMENTS = "refs/exps/"
_DEEPEST = 200
# bytes of a file that says what runs
_MOST = 1_000_000
# names of values, and letters of a pattern, in one file
_MANY, _LONG = 100_000, 4096
_OBJECT = re.compile(r"(files/md5/)?[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_EXPERIMENT = re.compile(rf"{EXPERIMENTS}([0-9a-f]{{2}})/([0-9a-f]{{38,62}})/(.+)")
# dvc.repo.experiments.executor.base.TaskStatus
_RUNNING, _SUCCESS, _FAILED, _CANCELED, _FINISHED = 2, 3, 4, 5, 6


class _Loader(yaml.CSafeLoader):
    """libyaml's parser, 15 times as fast as one in Python, with YAML 1.2's scalars, as DVC reads them.

    1e-05 and 010 are numbers; yes, on and 1:30 are texts. Source: yaml.org/spec/1.2.2, 10.3.2.
    """

    def integer(self, node: yaml.ScalarNode) -> int:
        """Read 12, 0o14 or 0xc."""
        text = self.construct_scalar(node).replace("_", "")
        sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
        base = {"0o": 8, "0x": 16, "0b": 2}.get(digits[:2].lower(), 10)
        return sign * int(digits if base == 10 else digits[2:], base)


_TAG = "tag:yaml.org,2002:"
_KEPT = (f"{_TAG}null", f"{_TAG}merge", f"{_TAG}timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] in _KEPT]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?([0-9][0-9_]*|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), list(_first))
_Loader.add_constructor(f"{_TAG}int", _Loader.integer)
# what a damaged file may raise, from being no YAML to being nested a thousand times
_DAMAGED = (
    DataError,
    yaml.YAMLError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    OverflowError,
    StopIteration,
)


def load(text: str | bytes) -> Any:
    """Return what a text in YAML 1.2 holds.

    Raises:
        DataError: it is none.
    """
    try:
        return _load(text if isinstance(text, str) else text.decode())
    except _DAMAGED:
        raise DataError("expected YAML, found something else") from None


@dataclass(frozen=True)
class Stage:
    """What dvc.lock records of a stage.

    dependencies, outputs: their md5 by path; parameters: their values by dotted name, those of
    another file than params.yaml as `file:name`. listed: of the outputs whose files are told in the
    file itself, as for a remote that keeps versions, the md5 of each by its path in the output.
    folder: from which a .dvc file tells its paths.
    """

    command: str = ""
    dependencies: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, object] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    listed: dict[str, dict[str, str]] = field(default_factory=dict)
    folder: str = ""

    @property
    def inputs(self) -> dict[str, object]:
        """The command, parameters and dependencies by name."""
        return {"cmd": self.command, **self.dependencies, **self.parameters}


def stages(lock: str) -> dict[str, Stage]:
    """Return what `lock`, the text of a dvc.lock, records.

    Raises:
        DataError: it is not a dvc.lock.
    """
    try:
        try:
            recorded = _by_blocks(lock)
        except (yaml.YAMLError, ValueError, TypeError):
            # not as DVC writes it
            recorded = _load(lock)["stages"]
        return {name: _stage(each) for name, each in recorded.items()}
    except _DAMAGED:
        raise DataError("dvc.lock: expected stages with their outputs, found something else") from None


def outputs_size(lock: str) -> int:
    """Return how many bytes the outputs take that `lock`, the text of a dvc.lock, records.

    Raises:
        DataError: it is not a dvc.lock.
    """
    try:
        recorded = [out for stage in _load(lock)["stages"].values() for out in stage.get("outs") or []]
        return sum(int(out.get("size") or 0) for out in recorded)
    except _DAMAGED:
        raise DataError("dvc.lock: expected stages with their outputs, found something else") from None


@lru_cache(maxsize=4096)
def _load(text: str) -> Any:
    yamlsize.check(text)
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def _by_blocks(lock: str) -> dict[str, Any]:
    """Return the stages of a dvc.lock, from blocks of its text.

    Experiments share most blocks, such as a stage's dependencies, which so are parsed only once.

    Raises:
        ValueError: it does not look as DVC writes it.
    """
    tops = dict(_blocks(lock, 0))
    if tops.keys() - {"schema: '2.0'\n"} != {"stages:\n"}:
        raise ValueError("not as DVC writes it")
    recorded: dict[str, Any] = {}
    for name, stage in _blocks(tops["stages:\n"], 2):
        fields: dict[str, Any] = {}
        for first, rest in _blocks(stage, 4):
            fields |= _load(first + rest)
        (key,) = _load(name)
        recorded[key] = fields
    return recorded


def _blocks(text: str, indent: int) -> list[tuple[str, str]]:
    """Split the text of a YAML mapping at its keys: each one's line and the lines below.

    Raises:
        ValueError: it does not begin with a key of that indentation.
    """
    start = re.compile(rf"^ {{{indent}}}(?=[^\s\-#])", re.MULTILINE)
    places = [match.start() for match in start.finditer(text)]
    if text.strip() and (not places or text[: places[0]].strip()):
        raise ValueError("not a mapping in block style")
    blocks = [text[begin:end] for begin, end in zip(places, [*places[1:], len(text)], strict=True)]
    lines = [block.partition("\n") for block in blocks]
    return [(first + end, rest) for first, end, rest in lines]


def tracked(text: str) -> Stage:
    """Return what `text`, that of a .dvc file, records: outputs alone.

    Raises:
        DataError: it is not a .dvc file.
    """
    try:
        recorded = _load(text)
        listed = _listed_outputs(recorded)
        outputs = _md5s(recorded, "outs") | _digests(listed)
        return Stage(outputs=outputs, listed=listed, folder=str(recorded.get("wdir") or ""))
    except _DAMAGED:
        raise DataError("expected a .dvc file with its outputs, found something else") from None


def _stage(recorded: dict[str, Any]) -> Stage:
    parameters: dict[str, object] = {}
    for file, values in recorded.get("params", {}).items():
        parameters |= flat(values, "" if file == "params.yaml" else f"{file}:")
    command = recorded["cmd"]
    listed = _listed_outputs(recorded)
    return Stage(
        command if isinstance(command, str) else "\n".join(command),
        _md5s(recorded, "deps"),
        parameters,
        _md5s(recorded, "outs") | _digests(listed),
        listed,
    )


def _md5s(recorded: dict[str, Any], kind: str, name: str = "path") -> dict[str, str]:
    found = {}
    for each in recorded.get(kind) or []:
        if not isinstance(each, dict):
            raise TypeError("not a list of dictionaries")
        # what lies on a server has another digest
        if "md5" in each:
            found[_text(each[name])] = _text(each["md5"])
    return found


def _listed_outputs(stage: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the md5 of each file of each output that tells them."""
    return {
        _text(each["path"]): _md5s(each, "files", "relpath")
        for each in stage.get("outs") or []
        if each.get("files")
    }


def _digests(listed: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the md5 that DVC gives to each list of files."""
    found = {}
    for output, files in listed.items():
        entries = [{"md5": files[path], "relpath": path} for path in sorted(files)]
        digest = hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest()
        found[output] = f"{digest}.dir"
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError("not a text")
    return value


def flat(values: dict[str, Any], prefix: str = "", separator: str = ".") -> dict[str, object]:
    """Return the values of nested dictionaries by joined name, `train.lr`.

    Raises:
        DataError: there are more than 100,000, as a few lines of aliases can make them.
    """
    flattened: dict[str, object] = {}
    seen = 0
    levels = [_below(prefix, values)]
    while levels:
        joined, value = next(levels[-1], (None, None))
        seen += 1
        if seen > _MANY or len(levels) > _DEEPEST:
            raise DataError(f"expected at most {_MANY:,} values in {_DEEPEST} levels, found more")
        if joined is None:
            levels.pop()
        elif isinstance(value, dict):
            levels.append(_below(joined + separator, value))
        else:
            flattened[joined] = value
    return flattened


def _below(start: str, values: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    for name, each in values.items():
        yield f"{start}{name}", each


@dataclass(frozen=True)
class Metrics:
    """Which paths a dvc.yaml declares as metrics: patterns by stage, and those of the whole file.

    folders: the working directories of stages that have one, from which their paths are told.
    parameters: the files that hold parameters for the whole dvc.yaml, whether a stage reads them or not.
    """

    by_stage: dict[str, tuple[str, ...]] = field(default_factory=dict)
    top: tuple[str, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    @property
    def of_parameters(self) -> "Metrics":
        """The same with its files of parameters for those of metrics."""
        return Metrics(top=self.parameters, folders=self.folders)

    def folder(self, stage: str) -> str:
        """Return a stage's working directory, from the dvc.yaml's; "" where it is the same."""
        return self.folders.get(stage, self.folders.get(stage.split("@")[0], ""))

    def match(self, stage: str, path: str) -> bool:
        """Tell whether the output `path` of a stage is one; `train@1` is one of the stages `train`."""
        own = _is_one(path, self._own(stage))
        return own or (bool(self.top) and _is_one(self._from_top(stage, path), self.top))

    def below(self, stage: str, folder: str) -> bool:
        """Tell whether one may lie in `folder`, an output of a stage."""
        own = _may_lie_in(folder, self._own(stage))
        return own or (bool(self.top) and _may_lie_in(self._from_top(stage, folder), self.top))

    def _own(self, stage: str) -> tuple[str, ...]:
        return self.by_stage.get(stage, self.by_stage.get(stage.split("@")[0], ()))

    def _from_top(self, stage: str, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.folder(stage), path))


def _is_one(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _may_lie_in(folder: str, patterns: tuple[str, ...]) -> bool:
    depth = folder.count("/") + 1
    tops = ("/".join(each.split("/")[:depth]) for each in patterns if each.count("/") >= depth)
    return any(fnmatchcase(folder, top) for top in tops)


def metrics(text: str) -> Metrics:
    """Return the metrics that `text`, that of a dvc.yaml, declares; `${...}` stands for anything.

    Raises:
        DataError: it is not a dvc.yaml.
    """
    try:
        declared = _load(text) or {}
        stages = {name: each.get("do") or each for name, each in (declared.get("stages") or {}).items()}
        by_stage = {name: _patterns(each.get("metrics")) for name, each in stages.items()}
        folders = {name: str(each["wdir"]) for name, each in stages.items() if each.get("wdir")}
        tops = [_patterns(declared.get(kind)) for kind in ("metrics", "params")]
        return Metrics(by_stage, tops[0], folders, tops[1])
    except _DAMAGED:
        raise DataError("dvc.yaml: expected stages and metrics, found something else") from None


def _patterns(entries: list[Any] | None) -> tuple[str, ...]:
    paths = [next(iter(each)) if isinstance(each, dict) else each for each in entries or []]
    if any(len(_text(path)) > _LONG for path in paths):
        raise ValueError("longer than a path can be")
    plain = (posixpath.normpath(path).replace("[", "[[]") for path in paths)
    return tuple(re.sub(r"\$\{[^}]*\}", "*", path) for path in plain)


def exact(pattern: str) -> str | None:
    """Return the one path that a pattern of `Metrics` stands for, None if there may be several."""
    return None if "*" in pattern else pattern.replace("[[]", "[")


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
        return bool(_OBJECT.fullmatch(Path(inner).as_posix())) and private.is_file(real)

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
        return path if path and private.is_file(path) else None

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
        return {_text(each["relpath"]): _text(each["md5"]) for each in found}
    except _DAMAGED:
        raise DataError(f"{md5}: expected a JSON list of files, found something else") from None


def experiment(ref: str) -> tuple[str, str] | None:
    """Return the baseline's commit and the name of the experiment that `ref` holds; None if it holds none."""
    match = _EXPERIMENT.fullmatch(ref)
    return (match[1] + match[2], match[3]) if match else None


@dataclass(frozen=True)
class Run:
    """An experiment that DVC runs, or ran, in a copy of the repository: in its queue or with `--temp`.

    start: the commit that the copy was made of: the baseline with what was changed in the workspace.
    root: the copy, removed by DVC when the run has ended. state: "running" may be out of date if DVC
    itself was killed.
    """

    name: str
    baseline: str
    start: str
    root: Path
    state: Literal["running", "finished", "failed", "killed"]


class Runs:
    """The runs that DVC has noted in `tmp`, its folder for temporary files."""

    def __init__(self, tmp: Path) -> None:
        # --temp notes its state in the second folder alone, so that one comes last
        self._folders = (tmp / "exps" / "run", tmp / "exps" / "standalone" / "run")
        self._copies = Path(os.path.realpath(tmp)) / "exps"
        self._over: dict[Path, Run] = {}

    def read(self) -> list[Run]:
        """Return the runs, each as it is now; what DVC is just writing is left out."""
        found: dict[Path, Run] = {}
        for folder in self._folders:
            for path in _listed(folder):
                run = self._over.get(path) or _run(path)
                # DVC makes its copies there, and nowhere else
                if run and Path(os.path.realpath(run.root)).is_relative_to(self._copies):
                    found[run.root] = run
                    if run.state != "running":
                        self._over[path] = run
        return list(found.values())


def _listed(folder: Path) -> list[Path]:
    try:
        return [path / f"{path.name}.run" for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _run(path: Path) -> Run | None:
    info = _json(path)
    # before it is running, its copy still holds the baseline's parameters
    if not info or info.get("location") == "workspace":
        return None
    try:
        baseline, root, status = (
            _text(info["baseline_rev"]),
            Path(_text(info["root_dir"])),
            int(info["status"]),
        )
        str(root).encode()
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    if status < _RUNNING:
        return None
    state: Literal["running", "finished", "failed", "killed"] = "running"
    if status == _FAILED:
        state = "failed"
    elif status == _CANCELED or (status == _FINISHED and not info.get("result_hash")):
        state = "killed"
    elif status in (_SUCCESS, _FINISHED):
        state = "finished"
    elif (_json(path.with_suffix(".json")) or {}).get("returncode") is not None:
        state = "killed"
    name = info.get("name") or path.stem[:7]
    return Run(str(name), baseline, path.stem, root, state)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        # a link may have come with the repository, and lead to a device
        if not private.is_file(path) or path.stat().st_size > _MOST:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # DVC is writing or removing it
        return None
    return found if isinstance(found, dict) else None
