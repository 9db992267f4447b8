"""What dvc.lock and .dvc files record: stages with their inputs and outputs.

Formats, as DVC 3.67 writes them: dvc.lock's schema 2.0, and .dvc files, whose outputs look the same.
"""

import hashlib
import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError

NAME = "dvc.lock"


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


def is_one(path: str) -> bool:
    """Tell by its name whether a file records outputs: a dvc.lock or a .dvc file."""
    return posixpath.basename(path) == NAME or path.endswith(".dvc")


def read(path: str, text: str) -> dict[str, Stage]:
    """Return what a dvc.lock or a .dvc file records, the one stage of which has no name.

    path: of the file, whose name says which it is.

    Raises:
        DataError: it is neither.
    """
    return stages(text) if posixpath.basename(path) == NAME else {"": tracked(text)}


def stages(lock: str) -> dict[str, Stage]:
    """Return what `lock`, the text of a dvc.lock, records.

    Raises:
        DataError: it is not a dvc.lock.
    """
    try:
        try:
            recorded = _by_blocks(lock)
        except (DataError, ValueError, TypeError):
            # not as DVC writes it
            recorded = yamltext.load(lock)["stages"]
        return {yamltext.name(name): _stage(each) for name, each in recorded.items()}
    except yamltext.DAMAGED:
        raise DataError("dvc.lock: expected stages with their outputs, found something else") from None


def outputs_size(lock: str) -> int:
    """Return how many bytes the outputs take that `lock`, the text of a dvc.lock, records.

    Raises:
        DataError: it is not a dvc.lock.
    """
    try:
        recorded = [
            out for stage in yamltext.load(lock)["stages"].values() for out in stage.get("outs") or []
        ]
        return sum(int(out.get("size") or 0) for out in recorded)
    except yamltext.DAMAGED:
        raise DataError("dvc.lock: expected stages with their outputs, found something else") from None


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
            fields |= yamltext.load(first + rest)
        (key,) = yamltext.load(name)
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
        recorded = yamltext.load(text)
        listed = _listed_outputs(recorded)
        outputs = _md5s(recorded, "outs") | _digests(listed)
        return Stage(outputs=outputs, listed=listed, folder=str(recorded.get("wdir") or ""))
    except yamltext.DAMAGED:
        raise DataError("expected a .dvc file with its outputs, found something else") from None


def _stage(recorded: dict[str, Any]) -> Stage:
    parameters: dict[str, object] = {}
    for file, values in recorded.get("params", {}).items():
        parameters |= named(file, values)
    command = recorded["cmd"]
    listed = _listed_outputs(recorded)
    return Stage(
        command if isinstance(command, str) else "\n".join(command),
        _md5s(recorded, "deps"),
        parameters,
        _md5s(recorded, "outs") | _digests(listed),
        listed,
    )


def named(file: str, values: dict[str, Any]) -> dict[str, object]:
    """Return what a file of parameters holds by the names that `Stage` gives them."""
    return yamltext.flat(values, "" if file == "params.yaml" else f"{file}:")


def _md5s(recorded: dict[str, Any], kind: str, name: str = "path") -> dict[str, str]:
    found = {}
    for each in recorded.get(kind) or []:
        if not isinstance(each, dict):
            raise TypeError("not a list of dictionaries")
        # what lies on a server has another digest
        if "md5" in each:
            found[yamltext.name(each[name])] = yamltext.name(each["md5"])
    return found


def _listed_outputs(stage: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the md5 of each file of each output that tells them."""
    return {
        yamltext.name(each["path"]): _md5s(each, "files", "relpath")
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
