"""What a dvc.yaml declares: which files hold metrics and parameters."""

import posixpath
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError

# letters of a pattern
_LONG = 4096


@dataclass(frozen=True)
class Declared:
    """What a dvc.yaml declares: the paths of metrics, as patterns by stage and of the whole file.

    folders: the working directories of stages that have one, from which their paths are told.
    parameters: the files that hold parameters for the whole dvc.yaml, whether a stage reads them or not.
    """

    by_stage: dict[str, tuple[str, ...]] = field(default_factory=dict)
    top: tuple[str, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    @property
    def of_parameters(self) -> "Declared":
        """The same with its files of parameters for those of metrics."""
        return Declared(top=self.parameters, folders=self.folders)

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


def declared(text: str) -> Declared:
    """Return what `text`, that of a dvc.yaml, declares; `${...}` stands for anything.

    Raises:
        DataError: it is not a dvc.yaml.
    """
    try:
        read = yamltext.load(text) or {}
        stages = {name: each.get("do") or each for name, each in (read.get("stages") or {}).items()}
        by_stage = {name: _patterns(each.get("metrics")) for name, each in stages.items()}
        folders = {name: str(each["wdir"]) for name, each in stages.items() if each.get("wdir")}
        tops = [_patterns(read.get(kind)) for kind in ("metrics", "params")]
        return Declared(by_stage, tops[0], folders, tops[1])
    except yamltext.DAMAGED:
        raise DataError("dvc.yaml: expected stages and metrics, found something else") from None


def _patterns(entries: list[Any] | None) -> tuple[str, ...]:
    paths = [next(iter(each)) if isinstance(each, dict) else each for each in entries or []]
    if any(len(yamltext.name(path)) > _LONG for path in paths):
        raise ValueError("longer than a path can be")
    plain = (posixpath.normpath(path).replace("[", "[[]") for path in paths)
    return tuple(re.sub(r"\$\{[^}]*\}", "*", path) for path in plain)


def exact(pattern: str) -> str | None:
    """Return the one path that a pattern of `Declared` stands for, None if there may be several."""
    return None if "*" in pattern else pattern.replace("[[]", "[")
