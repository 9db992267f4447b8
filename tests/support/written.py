"""DVC repositories that are written by hand, without running DVC: quick, and with anything in them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fashionboard.board.results import Reader, Record
from fashionboard.events.writer import EventWriter
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from tests.support.repository import Repository

SETTINGS = "[core]\n    analytics = false\n    check_update = false\n"


@dataclass(frozen=True)
class Store:
    """A cache or a remote: a folder that keeps bytes by their md5."""

    path: Path

    def place(self, md5: str) -> Path:
        return self.path / "files" / "md5" / md5[:2] / md5[2:]

    def put(self, content: bytes, kind: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest() + kind
        self.place(md5).parent.mkdir(parents=True, exist_ok=True)
        self.place(md5).write_bytes(content)
        return md5

    def put_folder(self, files: Mapping[str, bytes]) -> str:
        """Keep files and their list; return the md5 of the list."""
        entries = [{"md5": self.put(files[name]), "relpath": name} for name in sorted(files)]
        return self.put(json.dumps(entries).encode(), ".dir")


def written(path: Path, files: Mapping[str, str | bytes], top: str = "") -> Repository:
    """Make a DVC repository of these files, committed, with an empty cache; in the folder `top`, if told."""
    path.mkdir(parents=True)
    outer = Repository(path)
    outer.git("init", "-q", "-b", "main")
    outer.git("config", "user.name", "Test")
    outer.git("config", "user.email", "test@localhost")
    repository = Repository(path / top)
    ignored = "/config.local\n/tmp\n/cache\n"
    commit(repository, {".dvc/config": SETTINGS, ".dvc/.gitignore": ignored, **files})
    return repository


def commit(repository: Repository, files: Mapping[str, str | bytes]) -> str:
    """Write files, commit everything, and return the commit."""
    for name, content in files.items():
        path = repository.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    repository.git("add", "-A", ".")
    repository.git("commit", "-q", "-m", "files")
    return repository.git("rev-parse", "HEAD").strip()


def lock(**stages: Mapping[str, str | Mapping[str, Any]]) -> str:
    """Return a dvc.lock of stages, each with its outputs by path: their md5, or whatever is recorded."""
    recorded = {
        name: {
            "cmd": "x",
            "outs": [
                {"path": path, "hash": "md5", **({"md5": each} if isinstance(each, str) else each)}
                for path, each in outputs.items()
            ],
        }
        for name, outputs in stages.items()
    }
    return yaml.safe_dump({"schema": "2.0", "stages": recorded})


def pipeline(stages: Mapping[str, Mapping[str, Any]], **others: Any) -> str:
    """Return a dvc.yaml."""
    return json.dumps({"stages": {name: {"cmd": "x", **each} for name, each in stages.items()}, **others})


def events(folder: Path, value: float = 1.0) -> bytes:
    """Return an event file with one point of `loss`."""
    with EventWriter(folder / "written", "0" * 8) as writer:
        writer.scalar("loss", value)
    return writer.path.read_bytes()


def store(repository: Repository) -> Store:
    return Store(repository.path / ".dvc" / "cache")


def read(repository: Repository, revision: str = "HEAD", kept: Path | None = None) -> Record:
    """Return what the board reads of a commit; kept: where it lays what git keeps."""
    git = Git(repository.path)
    commit = git.commit(revision) or ""
    folder = kept or repository.path / ".dvc" / "tmp" / "kept"
    return Reader(git, Cache(store(repository).path), folder).read([commit])[commit]
