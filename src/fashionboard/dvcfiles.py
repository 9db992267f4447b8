"""What dvc.lock and DVC's cache say about outputs. The only module that knows these files of DVC's.

Formats: dvc.lock's schema 2.0 and the cache of DVC 3, where an object lies at
`<cache>/files/md5/<first two digits>/<the rest>` and a folder is a JSON list of its files.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fashionboard.errors import DataError


@dataclass(frozen=True)
class Stage:
    """What dvc.lock records of a stage.

    inputs: its command, parameters and dependencies by name; a dependency as its md5.
    outputs: the md5 of each output by path.
    """

    inputs: dict[str, object]
    outputs: dict[str, str]


def stages(lock: str) -> dict[str, Stage]:
    """Return what `lock`, the text of a dvc.lock, records.

    Raises:
        DataError: it is not a dvc.lock.
    """
    try:
        recorded = YAML(typ="safe", pure=True).load(lock)["stages"]
        return {name: Stage(_inputs(stage), _md5s(stage, "outs")) for name, stage in recorded.items()}
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError):
        raise DataError("dvc.lock: expected stages with their outputs, found something else") from None


def _inputs(stage: dict[str, Any]) -> dict[str, object]:
    return {
        "cmd": stage["cmd"],
        **_md5s(stage, "deps"),
        **_flat("", stage.get("params", {}).get("params.yaml", {})),
    }


def _md5s(stage: dict[str, Any], kind: str) -> dict[str, str]:
    return {each["path"]: each["md5"] for each in stage.get(kind, [])}


def _flat(prefix: str, values: dict[str, Any]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in values.items():
        flat |= _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def files(cache: Path, path: str, md5: str) -> dict[str, Path] | None:
    """Return where the cache in the folder `cache` keeps the files of an output, by their paths.

    path: of the output. Returns None if something of it is not in the cache.
    """
    cached = _cached(cache, md5)
    if not cached.is_file():
        return None
    if not md5.endswith(".dir"):
        return {path: cached}
    entries = json.loads(cached.read_text(encoding="utf-8"))
    found = {f"{path}/{entry['relpath']}": _cached(cache, entry["md5"]) for entry in entries}
    return found if all(file.is_file() for file in found.values()) else None


def _cached(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]
