"""What dvc.lock and DVC's cache say about outputs. The only module that knows these files of DVC's.

Formats: dvc.lock's schema 2.0 and the cache of DVC 3, where an object lies at
`.dvc/cache/files/md5/<first two digits>/<the rest>` and a folder is a JSON list of its files.
"""

import json
from pathlib import Path

from ruamel.yaml import YAML


def outputs(lock: str) -> dict[str, str]:
    """Return the md5 of each output that `lock`, the text of a dvc.lock, names, in its order by path."""
    stages = YAML(typ="safe", pure=True).load(lock)["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def files(root: Path, path: str, md5: str) -> dict[str, Path] | None:
    """Return where the cache of the repository at `root` keeps the files of an output, by their paths.

    path: of the output. Returns None if something of it is not in the cache.
    """
    cached = _cached(root, md5)
    if not cached.is_file():
        return None
    if not md5.endswith(".dir"):
        return {path: cached}
    entries = json.loads(cached.read_text(encoding="utf-8"))
    found = {f"{path}/{entry['relpath']}": _cached(root, entry["md5"]) for entry in entries}
    return found if all(file.is_file() for file in found.values()) else None


def _cached(root: Path, md5: str) -> Path:
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
