"""How fast the board links generated experiments, what memory and polling cost, and what it copies.

Prints a table; `make bench-board` runs it. Each repository has 1 commit and N experiments with the
five stages of this project's own dvc.lock, in a real git repository with real refs, and a cache in
which every experiment has an event file, a metrics file and lists of files of its own.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

_PROJECT = Path(__file__).resolve().parents[1]
_POLLS = 20


def _cached(cache: Path, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    path = cache / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


def _locks(cache: Path, experiments: int) -> Iterator[str]:
    """Yield the baseline's dvc.lock and that of each experiment: another lr, other events and metrics."""
    lock = yaml.safe_load((_PROJECT / "dvc.lock").read_text())
    for name, stage in lock["stages"].items():
        for output in stage["outs"]:
            if output["md5"].endswith(".dir"):
                output["md5"] = _folder(cache, name, events=output["path"].startswith("runs/"))
    for number in range(experiments + 1):
        train, evaluate = lock["stages"]["train"], lock["stages"]["evaluate"]
        train["params"]["params.yaml"]["train"]["lr"] = number / 1e5
        for stage in (train, evaluate):
            for output in stage["outs"]:
                if output["md5"].endswith(".dir"):
                    content = f"{output['path']} {number}"
                    output["md5"] = _folder(cache, content, events=output["path"].startswith("runs/"))
                elif output["path"].endswith(".json"):
                    output["md5"] = _cached(cache, json.dumps({output["path"]: number}).encode())
                else:
                    output["md5"] = _cached(cache, f"{output['path']} {number}".encode())
        yield yaml.safe_dump(lock, sort_keys=False)


def _folder(cache: Path, content: str, events: bool) -> str:
    name = f"events.out.tfevents.{hashlib.sha256(content.encode()).hexdigest()[:16]}" if events else "file"
    listed = [{"md5": _cached(cache, content.encode()), "relpath": name}]
    return _cached(cache, json.dumps(listed).encode(), ".dir")


def generate(folder: Path, experiments: int) -> None:
    """Make a git and DVC repository with that many experiments in `folder`."""
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def git(*arguments: str, given: str = "") -> str:
        command = ["git", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment, input=given, text=True, capture_output=True, check=True
        )
        return done.stdout.strip()

    folder.mkdir()
    git("init", "--quiet", "--initial-branch", "main")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").touch()
    (folder / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_bytes((_PROJECT / name).read_bytes())
    locks = _locks(folder / ".dvc" / "cache", experiments)
    (folder / "dvc.lock").write_text(next(locks))
    git("add", "--all")
    git("commit", "--quiet", "--message", "baseline")
    head = git("rev-parse", "HEAD")
    stream = []
    for number, lock in enumerate(locks, 1):
        ref = f"refs/exps/{head[:2]}/{head[2:]}/exp-{number:04d}"
        stream.append(
            f"commit {ref}\ncommitter bench <bench> {number} +0000\n"
            f"data 0\nfrom {head}\nM 100644 inline dvc.lock\ndata {len(lock.encode())}\n{lock}\n"
        )
    git("fast-import", "--quiet", given="".join(stream))


def measure(folder: Path) -> dict[str, float]:
    """Build the view of a repository in this process and poll; seconds, bytes, and shares of a core."""
    began = time.perf_counter()
    from fashionboard.board.board import Board
    from fashionboard.board.view import View
    from fashionboard.repository.cache import Cache
    from fashionboard.repository.fetch import opened
    from fashionboard.repository.revisions import Request

    with opened(folder) as repo, View(folder / ".dvc" / "tmp" / "view") as view:
        imported = time.perf_counter()
        board = Board(folder, Cache(Path(repo.cache.local_cache_dir)), Path(repo.tmp_dir), Request(), view)
        board.update()
        linked = time.perf_counter()
        links = [path for path in view.folder.rglob("*") if path.is_symlink()]
        bare = _bare(view.folder, folder / ".dvc" / "tmp" / "bare")
        used = _processor_time()
        polling = time.perf_counter()
        for _ in range(_POLLS):
            board.update()
        one_poll = (_processor_time() - used) / _POLLS
        return {
            "groups": len(board.groups),
            "links": len(links),
            "imports": imported - began,
            "linking": linked - imported,
            "bare": bare,
            "poll": (time.perf_counter() - polling) / _POLLS,
            "core": one_poll / 2,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "copied": view.copied,
        }


def _bare(view: Path, folder: Path) -> float:
    """Return the seconds that the same folders and links take by themselves: what the disk has a part in."""
    paths = [path for path in sorted(view.rglob("*")) if path.is_symlink() or path.is_dir()]
    folder.mkdir()
    began = time.perf_counter()
    for path in paths:
        copy = folder / path.relative_to(view)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        else:
            copy.mkdir()
    return time.perf_counter() - began


def _processor_time() -> float:
    """Return the seconds of processor time of this process and of those that it started and that ended."""
    own, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime


def main() -> None:
    """Measure each size in a process of its own."""
    if len(sys.argv) == 2:
        print(json.dumps(measure(Path(sys.argv[1]))))
        return
    print("experiments   links  imports, s  linking, s  links alone, s  memory, MB  polling, %  copied")
    # on the project's own file system, as a view is
    with tempfile.TemporaryDirectory(dir=_PROJECT / ".dvc" / "tmp") as temporary:
        for experiments in (0, 100, 1000):
            folder = Path(temporary) / str(experiments)
            generate(folder, experiments)
            command = [sys.executable, __file__, str(folder)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cells = (
                f"{experiments:11d}",
                f"{found['links']:6d}",
                f"{found['imports']:10.2f}",
                f"{found['linking']:10.2f}",
                f"{found['bare']:14.2f}",
                f"{found['memory'] / 1e6:10.0f}",
                f"{100 * found['core']:10.2f}",
                f"{found['copied']:6d}",
            )
            print("  ".join(cells), flush=True)
    print(
        "polling: share of one core, looking every 2 s; links alone: the same folders and links by themselves"
    )


if __name__ == "__main__":
    main()
