"""Repositories that are not to be trusted, and a tree outside of them that must stay as it is."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from fashionboard.events.writer import EventWriter

SECRET = "the person's own"
CONFIG = "[core]\n    analytics = false\n    remote = storage\n['remote \"storage\"']\n    url = ../storage\n"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def store(cache: Path, content: bytes, end: str = "") -> str:
    """Put an object into a cache as DVC does, and return its name."""
    digest = md5(content)
    place = cache / "files" / "md5" / digest[:2] / f"{digest[2:]}{end}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(0o444)
    return f"{digest}{end}"


def object_path(repository: Path, digest: str) -> Path:
    return repository / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def recorded(path: Path, files: dict[str, bytes] | None = None, stage: str = "train") -> Path:
    """Make a repository with one commit, whose stage has the output `logs`, in the cache and the workspace.

    files: others in that output.
    """
    logs = path / "logs"
    with EventWriter(logs, "0123456789abcdef") as events:
        events.scalar("loss", 0.5)
    for name, content in (files or {}).items():
        (logs / name).write_bytes(content)
    cache = path / ".dvc" / "cache"
    listed = [
        {"md5": store(cache, file.read_bytes()), "relpath": file.name} for file in sorted(logs.iterdir())
    ]
    digest = store(cache, json.dumps(listed).encode(), ".dir")
    out = {"path": "logs", "hash": "md5", "md5": digest}
    texts: dict[str, Any] = {
        ".dvc/config": CONFIG,
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "dvc.yaml": json.dumps({"stages": {stage: {"cmd": "true", "outs": ["logs"]}}}),
        "dvc.lock": json.dumps({"schema": "2.0", "stages": {stage: {"cmd": "true", "outs": [out]}}}),
        ".gitignore": "/logs\n",
    }
    for name, text in texts.items():
        (path / name).write_text(text)
    commit(path)
    return path


def commit(path: Path) -> None:
    if not (path / ".git").exists():
        git(path, "init", "-q", "-b", "main")
    git(path, "add", "-A")
    git(path, "commit", "-q", "--allow-empty", "-m", "run")


def copied(repository: Path, path: Path) -> Path:
    """Copy a repository as it is, as an archive does."""
    shutil.copytree(repository, path, symlinks=True)
    return path


def outside(path: Path) -> Path:
    """Make a tree of what somebody may have, in places that a board would write to or remove."""
    for name in (".ssh/id", "123/mine", "999999999-1/mine", "board/123/mine", "board/999999999-1/mine"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(SECRET)
    # a view that a board of this person's made, and left
    kept = path / "999999999-2"
    kept.mkdir()
    (kept / "mine").write_text(SECRET)
    (kept / ".fashionboard-view").write_text(f"999999999-2 {kept.stat().st_ino}")
    for name in ("tmp/fashionboard/board/999999999-1/mine", "fashionboard/board/1/mine", "view/mine"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(SECRET)
    (path / "view" / ".fashionboard-view").symlink_to(path / ".ssh" / "id")
    (path / ".ssh" / "id").chmod(0o600)
    return path


def seen(path: Path) -> dict[str, tuple[object, ...]]:
    """Return all that can be told of a tree: modes, times, sizes, links' targets, bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for each in [path, *sorted(path.rglob("*"))]:
        status = each.lstat()
        content: object = None
        if each.is_symlink():
            content = each.readlink()
        elif each.is_file():
            content = each.read_bytes()
        found[str(each)] = (status.st_mode, status.st_mtime_ns, status.st_size, status.st_ino, content)
    return found
