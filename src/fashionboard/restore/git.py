"""A git repository that is written to."""

import os
import subprocess
from pathlib import Path

from fashionboard.base.errors import FashionboardError, reason


class RestoreError(FashionboardError):
    """The last commit cannot be brought back."""


class Git:
    """A git repository to write to; paths are relative to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, *arguments: str) -> str:
        """Return what git prints.

        Raises:
            RestoreError: it fails, or there is no git.
        """
        done = self.run(*arguments)
        if done.returncode:
            found = os.fsdecode(done.stderr).strip().removeprefix("fatal: ") or f"exit code {done.returncode}"
            found = reason(OSError(found))
            raise RestoreError(
                f"expected `git {arguments[0]}` to succeed, found: {found}; mend it, call again"
            )
        return os.fsdecode(done.stdout)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run git, and return how it ended; no hook is run.

        Raises:
            RestoreError: there is no git.
        """
        command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
        try:
            return subprocess.run(command, cwd=self._folder, capture_output=True, check=False)
        except OSError as error:
            raise RestoreError(f"expected git, found: {reason(error)}") from None

    def content(self, name: str, filters: bool = False) -> bytes | None:
        """Return the bytes of `<revision>:<path>`, None if there is no such file.

        filters: as git writes it into the workspace, with the line ends of a person's choice.
        """
        done = self.run("cat-file", "--filters" if filters else "blob", name)
        return None if done.returncode else done.stdout

    def folders(self) -> list[Path]:
        """Return where git keeps its own files: one folder, or two in a worktree."""
        kinds = ("--git-dir", "--git-common-dir")
        found = [self.ask("rev-parse", "--path-format=absolute", kind).removesuffix("\n") for kind in kinds]
        return [Path(each) for each in dict.fromkeys(found)]

    def worktrees(self) -> list[Path]:
        """Return the folders in which commits of this repository are checked out."""
        listed = self.ask("worktree", "list", "--porcelain", "-z").split("\0")
        return [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]

    @property
    def top(self) -> Path:
        """The folder that is checked out."""
        return Path(self.ask("rev-parse", "--show-toplevel").removesuffix("\n"))

    @property
    def prefix(self) -> str:
        """The path from `top` to the folder, with a slash at its end; "" where they are the same."""
        return self.ask("rev-parse", "--show-prefix").removesuffix("\n")

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return the commit of each ref that is one of `prefixes`, or lies below it."""
        lines = self.ask("for-each-ref", "--format=%(objectname) %(refname)", *prefixes).splitlines()
        return {name: commit for commit, _, name in (line.partition(" ") for line in lines)}
