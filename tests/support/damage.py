"""Repositories that somebody or something has damaged, each in its own way, told by a number."""

import contextlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from dvc.repo import Repo

from fashionboard.base import errors
from fashionboard.base.errors import FashionboardError
from fashionboard.board import session
from fashionboard.board.board import Board
from fashionboard.board.session import Options
from fashionboard.board.view import View
from fashionboard.board.where import Filter
from fashionboard.repository.cache import Cache
from fashionboard.repository.revisions import Request
from tests.support.plain import plain
from tests.support.repository import Repository

# what a parser may trip over
_VALUES = (
    *(
        "null",
        "[]",
        "{}",
        "''",
        "0",
        "-1",
        "1e999",
        ".nan",
        "true",
        "2020-01-01",
        "!!binary x",
        "!!python/name:os",
    ),
    *(
        "*a",
        "&a [*a]",
        "&a {b: *a}",
        "<<: *a",
        "${x}",
        "${",
        "%",
        "{{",
        "[{}]",
        "- - -",
        "? ?",
        "|",
        ">-",
        "@",
        "`",
    ),
    *(
        '"\\0"',
        '"\\x1b[31m"',
        "s3://b/k",
        "gs://b/k",
        "azure://c/k",
        "webhdfs://h/p",
        "ssh://h/p",
        "/etc/passwd",
    ),
    *(
        "../../x",
        "remote://no/x",
        "9" * 400,
        "0x" + "f" * 400,
        "[" * 150 + "]" * 150,
        "é\u202e\u0000",
        "\ufeff",
    ),
)
_BYTES = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"<<<<<<< HEAD\n",
    b"%YAML 1.3\n---\n",
    b"\t",
    b"\r",
    b"...\n",
)
_FILES = ("dvc.yaml", "dvc.lock", "params.yaml", "extra.dvc", ".dvcignore", ".dvc/config", ".gitignore")


class Damaged:
    """Makes damaged copies of one repository, which has a run, an experiment, and a .dvc file."""

    def __init__(self, whole: Repository) -> None:
        self._whole = whole
        self._objects = [
            path.relative_to(whole.path)
            for path in (whole.path / ".dvc" / "cache").rglob("*")
            if path.is_file()
        ]
        self._refs = [
            line.split()[1]
            for line in whole.git("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
        ]
        self._commit = whole.git("rev-parse", "HEAD").strip()

    def copy(self, folder: Path) -> Repository:
        """Return a whole copy in `folder`."""
        shutil.copytree(self._whole.path, folder, symlinks=True)
        return Repository(folder)

    def harm(self, copy: Repository, number: int) -> None:
        """Damage a copy; in the same way each time that it is told this number."""
        chance = random.Random(number)
        kinds: list[Callable[[Repository, random.Random], None]] = [
            self._file,
            self._object,
            self._ref,
            self._git,
        ]
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choices(kinds, weights=(12, 4, 3, 2))[0](copy, chance)

    def _file(self, copy: Repository, chance: random.Random) -> None:
        name = chance.choice(_FILES)
        path = copy.path / name
        content = path.read_bytes() if path.exists() else b""
        path.write_bytes(_mutated(content, chance))
        if chance.random() < 0.5 and not name.startswith(".dvc/"):
            # in a commit, too, as it is in the workspace or not
            copy.run("git", "add", "-f", name, check=False)
            copy.run("git", "commit", "-qm", "damaged", "--no-verify", check=False)
            if chance.random() < 0.5:
                path.write_bytes(content)

    def _object(self, copy: Repository, chance: random.Random) -> None:
        path = copy.path / chance.choice(self._objects)
        if not path.exists():
            return
        path.parent.chmod(0o755)
        path.chmod(0o644)
        if path.name.endswith(".dir") and chance.random() < 0.7:
            listed = json.loads(path.read_bytes())
            entry = chance.choice(listed)
            change = chance.choice(("drop", "path", "md5", "more", "type"))
            if change == "drop":
                entry.pop(chance.choice(sorted(entry)))
            elif change == "path":
                entry["relpath"] = chance.choice(
                    (
                        "",
                        ".",
                        "..",
                        "../../x.tfevents",
                        "/etc/tfevents",
                        "a\0b",
                        "tfevents/x",
                        7,
                        "a" * 300,
                        "a/" * 200,
                    )
                )
            elif change == "md5":
                entry["md5"] = chance.choice(
                    ("", "..", "z" * 32, "0" * 32, None, 5, "../../../../etc/passwd")
                )
            elif change == "more":
                listed += [{**entry, "relpath": "tfevents"}, {**entry, "relpath": "tfevents/x"}]
            else:
                listed = chance.choice(({}, [1], [[]], None, "x", [{}]))
            path.write_text(json.dumps(listed))
        elif chance.random() < 0.3:
            path.unlink()
            if chance.random() < 0.5:
                path.mkdir()
        else:
            path.write_bytes(_mutated(path.read_bytes(), chance))

    def _ref(self, copy: Repository, chance: random.Random) -> None:
        name = chance.choice([*self._refs, "HEAD"])
        path = copy.path / ".git" / name
        if not path.is_file():
            return
        path.write_bytes(
            chance.choice(
                (
                    b"",
                    b"0" * 40 + b"\n",
                    b"f" * 40 + b"\n",
                    b"ref: " + name.encode() + b"\n",
                    b"\xff\n",
                    b"ref: nowhere\n",
                )
            )
        )

    def _git(self, copy: Repository, chance: random.Random) -> None:
        objects = list((copy.path / ".git" / "objects").glob("??/*"))
        path = chance.choice([*objects, copy.path / ".git" / "config", copy.path / ".git" / "index"])
        path.chmod(0o644)
        if chance.random() < 0.5:
            path.unlink()
        else:
            path.write_bytes(_mutated(path.read_bytes(), chance))


def _mutated(content: bytes, chance: random.Random) -> bytes:
    """Return other bytes: a value, a line or some bytes changed, doubled, moved or gone."""
    lines = content.decode(errors="surrogateescape").splitlines(keepends=True)
    place = chance.randrange(len(lines) + 1)
    kind = chance.choice(
        ("value", "value", "value", "line", "drop", "double", "indent", "cut", "bytes", "all")
    )
    if kind == "value" and lines:
        place = min(place, len(lines) - 1)
        key, colon, _ = lines[place].partition(":")
        lines[place] = (
            f"{key}{colon} {chance.choice(_VALUES)}\n" if colon else f"- {chance.choice(_VALUES)}\n"
        )
    elif kind == "line":
        lines.insert(
            place, f"{' ' * chance.randrange(6)}{chance.choice(_VALUES)}: {chance.choice(_VALUES)}\n"
        )
    elif kind == "drop" and lines:
        del lines[min(place, len(lines) - 1)]
    elif kind == "double" and lines:
        lines.insert(place, chance.choice(lines))
    elif kind == "indent" and lines:
        place = min(place, len(lines) - 1)
        lines[place] = " " * chance.randrange(1, 5) + lines[place]
    elif kind == "cut":
        return content[: chance.randrange(len(content) + 1)]
    elif kind == "bytes":
        at = chance.randrange(len(content) + 1)
        return content[:at] + chance.choice(_BYTES) + content[at + chance.randrange(3) :]
    elif kind == "all":
        return chance.choice((*_BYTES, *(each.encode(errors="replace") for each in _VALUES)))
    return "".join(lines).encode(errors="surrogateescape")


def look(damaged: Damaged, number: int, folder: Path) -> tuple[int, list[str]]:
    """Look at the repository of a number, damaged while a board is open on it, and by a board that opens.

    folder: an empty one. Returns the exit code of the one that opens, and what both have said.

    Raises:
        Exception: anything but the one line that a person is told.
    """
    copy = damaged.copy(folder / "repository")
    with Repo(str(copy.path)) as repo:
        cache, tmp = Path(repo.cache.local_cache_dir), Path(repo.tmp_dir)
    said = io.StringIO()
    request = Request(all_commits=True)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        with View(folder / "open") as view:
            one = Board(copy.path, Cache(cache), tmp, request, view)
            one.update()
            damaged.harm(copy, number)
            for _ in range(2):
                one.update()
            lines = one.unread
        options = Options(
            repo=copy.path,
            request=request,
            chosen=Filter(),
            fetch=False,
            host="",
            port=0,
            view=folder / "view",
            serve=False,
            export=None,
            tensorboard=(),
        )
        try:
            session.run(options)
        except FashionboardError as error:
            return 1, [*lines, *said.getvalue().splitlines(), errors.line(error)]
    return 0, [*lines, *said.getvalue().splitlines()]


def whole(path: Path) -> Repository:
    """Make the repository that is damaged: a run, an experiment, and a .dvc file."""
    names = "events.tfevents.1 projector_config.pbtxt"
    make = f"mkdir logs && for each in {names}; do cp params.yaml logs/$each; done"
    write = """echo '{"accuracy": 0.5, "more": {"x": [1]}}' > metrics.json"""
    stage = {
        "cmd": [make, write],
        "params": ["train.lr"],
        "outs": ["logs"],
        "metrics": ["metrics.json"],
    }
    files = {
        "dvc.yaml": json.dumps({"stages": {"train": stage}}, indent=1),
        "params.yaml": "train:\n  lr: 0.5\n  sizes: [1, 2]\nother: {a: b}\n",
        ".dvcignore": "*.tmp\n",
        ".gitignore": "/logs\n/metrics.json\n",
        "extra": "more",
    }
    repository = plain(path, files)
    repository.git("rm", "-q", "--cached", "extra")
    repository.dvc("add", "-q", "extra")
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    repository.dvc("exp", "run", "-q", "-n", "one", "-S", "train.lr=0.25")
    repository.git("reset", "-q", "--hard")
    repository.dvc("checkout", "-q")
    return repository
