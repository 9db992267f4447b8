"""What git knows of a repository: refs, commits, and files of many commits by few calls."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from fashionboard.base.errors import BoardError

# a repository's own configuration names programs: docs/trust.md. None is run to read a commit, ...
_COMMAND = [
    "git",
    "--no-pager",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "log.showSignature=false"),
]
# ... nor to bring an object that is missing: by no protocol, and git from 2.45 on does not even ask
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


# bytes that git may tell of a commit's files: a small repository can describe more than any disk holds
_MOST = 256_000_000


def top(folder: Path) -> Path:
    """Return the folder at or above `folder` that holds a .git, without links in its path; else itself.

    It is not asked of git: `core.worktree` of a copied configuration may say anything.
    """
    real = folder.resolve()
    return next((each for each in (real, *real.parents) if os.path.lexists(each / ".git")), real)


class Git:
    """The git repository that a folder is in; paths are relative to that folder."""

    def __init__(self, folder: Path) -> None:
        """Raises BoardError if `folder` is in no git repository, or there is no git."""
        self._folder = folder
        self._listed: tuple[str, str] | None = None
        self._refs: dict[str, str] = {}
        self.broken: list[str] = []
        self.top = top(folder)
        # while this repository's own .git is away, that of a folder above it is none of it
        self._environment = {
            **_ENVIRONMENT,
            "GIT_WORK_TREE": str(self.top),
            "GIT_CEILING_DIRECTORIES": str(self.top.parent),
        }
        self.prefix = self._ask("rev-parse", "--show-prefix").rstrip("\n")

    def refs(self) -> dict[str, str]:
        """Return the commit of HEAD and of every ref by its full name; `broken` names those without one."""
        listed = self._ask("for-each-ref", "--format=%(objectname) %(refname)")
        head = self._run("rev-parse", "--verify", "--quiet", "HEAD").stdout.strip()
        if (listed, head) == self._listed and not self.broken:
            return self._refs
        named = [line.partition(" ")[::2] for line in listed.split("\n") if line] + (
            [(head, "HEAD")] if head else []
        )
        # a tag may be annotated, and a damaged repository name what is not there
        asked = "".join(f"{digest}^{{commit}}\n" for digest, _ in named)
        answers = self._ask("cat-file", "--batch-check=%(objectname)", given=asked).split("\n")[:-1]
        commits = {name: answer for (_, name), answer in zip(named, answers, strict=True)}
        self.broken = [name for name, answer in commits.items() if " " in answer]
        self._refs = {name: answer for name, answer in commits.items() if " " not in answer}
        self._listed = listed, head
        return self._refs

    def branch(self) -> str | None:
        """Return the branch that is checked out, None if none is."""
        return self._run("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip() or None

    @property
    def folder(self) -> Path:
        """The folder in which git keeps its own files."""
        return Path(self._ask("rev-parse", "--absolute-git-dir").strip())

    def commit(self, revision: str) -> str | None:
        """Return the full name of the commit that git understands under `revision`, or None."""
        asked = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = asked.stdout.split()
        # a range is several
        return found[0] if len(found) == 1 and not found[0].startswith("^") else None

    def commits(self) -> list[str]:
        """Return every commit of HEAD, the branches and the tags, the newest first."""
        return self._ask("rev-list", "--date-order", "HEAD", "--branches", "--tags").split()

    def between(self, first: str, last: str, symmetric: bool = False) -> list[str]:
        """Return the commits of `first..last`, or, symmetric, of `first...last`, the newest first."""
        dots = "..." if symmetric else ".."
        return self._ask("rev-list", "--end-of-options", f"{first}{dots}{last}").split()

    def back(self, commit: str, count: int) -> list[str]:
        """Return `commit` and the first parents before it: `count` in all; negative: every one."""
        limit = [f"--max-count={count}"] if count >= 0 else []
        return self._ask("rev-list", "--first-parent", *limit, "--end-of-options", commit).split()

    def files(self, commits: Iterable[str], wanted: Callable[[str], bool]) -> dict[str, dict[str, str]]:
        """Return, for each commit, the object of every file that is wanted, by path.

        Only what a commit has changed against the first one is looked at, in one call.
        """
        commits = list(dict.fromkeys(commits))
        if not commits:
            return {}
        trees = self._trees(commits)
        listed = self._listing("ls-tree", "-r", "-z", commits[0])
        first: dict[str, str] = {}
        for entry in filter(None, listed.split("\0")):
            about, path = entry.split("\t", 1)
            if wanted(path):
                first[path] = about.split()[2]
        pairs = "".join(f"{trees[commits[0]]} {tree}\n" for tree in trees.values())
        options = ("-r", "-z", "--no-renames", "--relative", "--stdin")
        changes = self._listing("diff-tree", *options, given=pairs)
        changed = iter(_changes(changes))
        found: dict[str, dict[str, str]] = {}
        for commit in commits:
            found[commit] = dict(first)
            for path, digest in next(changed):
                if not wanted(path):
                    continue
                if digest.strip("0"):
                    found[commit][path] = digest
                else:
                    del found[commit][path]
        return found

    def contents(self, objects: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield each object with its bytes; None if there is no such object, or its name holds a line end.

        A folder has no bytes, either.
        objects: names of blobs, or `<commit>:<path from the root of the git repository>`.
        """
        objects = list(dict.fromkeys(objects))
        yield from ((name, None) for name in objects if "\n" in name)
        objects = [name for name in objects if "\n" not in name]
        if not objects:
            return
        with tempfile.TemporaryFile() as asked:
            # from a file: a pipe would be full before the first answer is read
            asked.write("".join(f"{name}\n" for name in objects).encode(errors="surrogateescape"))
            asked.seek(0)
            with self._started(asked, "cat-file", "--batch") as process:
                answers = cast(IO[bytes], process.stdout)
                for name in objects:
                    header = answers.readline().split()
                    if not header[-1:] or not header[-1].isdigit():
                        yield name, None
                        continue
                    content = answers.read(int(header[-1]))
                    answers.read(1)
                    yield name, None if header[-2] == b"tree" else content

    def _trees(self, commits: list[str]) -> dict[str, str]:
        asked = "".join(f"{commit}^{{tree}}\n" for commit in commits)
        answers = self._ask("cat-file", "--batch-check=%(objectname)", given=asked).split("\n")[:-1]
        found = dict(zip(commits, answers, strict=True))
        for commit, tree in found.items():
            if " " in tree:
                raise BoardError(f"expected the files of commit {commit}, found that git lacks them")
        return found

    def _run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*_COMMAND, *arguments],
                cwd=self._folder,
                env={**os.environ, **self._environment},
                input=given,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                check=False,
            )
        except (FileNotFoundError, NotADirectoryError):
            if not self._folder.is_dir():
                raise BoardError(f"expected a repository in {self._folder}, found it gone") from None
            raise BoardError("expected git, found no such program; install it") from None

    def _ask(self, *arguments: str, given: str = "") -> str:
        done = self._run(*arguments, given=given)
        if done.returncode:
            raise BoardError(f"expected a git repository, found: {done.stderr.strip()}")
        return done.stdout

    def _started(self, asked: IO[bytes], *arguments: str) -> "subprocess.Popen[bytes]":
        """Start git with a file as its input, to read its output bit by bit."""
        return subprocess.Popen(
            [*_COMMAND, *arguments],
            cwd=self._folder,
            env={**os.environ, **self._environment},
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _listing(self, *arguments: str, given: str = "") -> str:
        """Ask for what may be long beyond all measure."""
        with tempfile.TemporaryFile() as asked:
            asked.write(given.encode())
            asked.seek(0)
            with self._started(asked, *arguments) as process:
                answer = cast(IO[bytes], process.stdout).read(_MOST)
                if len(answer) == _MOST:
                    process.kill()
        if process.returncode:
            raise BoardError(
                f"expected a list of files from git {arguments[0]}, found too many or damaged ones"
            )
        return answer.decode(errors="surrogateescape")


def _changes(listed: str) -> Iterator[list[tuple[str, str]]]:
    """Split what diff-tree prints, a block a pair of trees, into paths and their new objects."""
    blocks: list[list[tuple[str, str]]] = []
    entries = iter(listed.split("\0"))
    for entry in entries:
        # a pair's own line ends in a line end, and everything else in a zero
        *pairs, last = entry.split("\n")
        blocks += [[] for _ in pairs]
        if last:
            blocks[-1].append((next(entries), last.split()[3]))
    yield from blocks
