"""The way home: what a worker has made becomes an ordinary DVC experiment of this repository.

Objects come first and the ref last, so that there is no experiment without its outputs. Nothing that a worker
says is taken on trust: an object has the bytes of its md5, and the commit, whatever it is called there,
becomes this baseline's experiment of this name.
"""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from fashionboard.repository import experiments, no_links, programs, times, untrusted
from fashionboard.repository.cache import Cache, is_digest
from fashionboard.repository.git import Git
from fashionboard.repository.tree import Tree, Trees
from fashionboard.sweep.job import Job, Outcome, SweepError

_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_GIT = ("git", "-c", f"core.hooksPath={os.devnull}", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
Result = Literal["new", "same", "another"]


class Home:
    """A repository into which results come, one after the other."""

    def __init__(self, root: Path, git: Git, cache: Path) -> None:
        """root: of the DVC repository. cache: the folder of DVC's cache."""
        self._root = root
        self._git = git
        self._folder = cache
        self._cache = Cache(cache)

    def bring(self, job: Job, outcome: Outcome, give: Callable[[str, int], bytes]) -> Result:
        """Bring home an experiment that ended well: "new", or, where its name was taken, "same" or "another".

        give: returns the bytes of an object from an offset on, nothing at its end.

        Raises:
            SweepError: it is not what this job's experiment can be.
            DataError: an object has other bytes than its md5.
            ProgramError: git cannot read it.
            OSError: the disk cannot be written.
        """
        # `dvc gc` may have taken what was there
        self._cache = Cache(self._folder)
        if not _COMMIT.fullmatch(outcome.commit) or not all(map(is_digest, outcome.objects)):
            raise SweepError(f"{job.name}: expected a commit and objects, found other words")
        for md5 in outcome.objects:
            if not self._cache.find(md5):
                self._receive(md5, give)
        self._unpack(job, outcome)
        self._check(job, outcome.commit)
        result = self._name(job, outcome.commit)
        if result == "new":
            # it is there: whatever goes wrong with what is kept beside it
            with contextlib.suppress(Exception):
                self._remember(outcome.commit)
            with contextlib.suppress(Exception):
                times.take(outcome.times, self._root)
        return result

    def _receive(self, md5: str, give: Callable[[str, int], bytes]) -> None:
        no_links.check(self._git.top, self._cache.place(md5))
        # another sweep may bring the same
        part = self._folder / "fashionboard" / f"{os.getpid()}-{md5}"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:
                while content := give(md5, file.tell()):
                    file.write(content)
            self._cache.add(md5, part)
        finally:
            part.unlink(missing_ok=True)

    def _unpack(self, job: Job, outcome: Outcome) -> None:
        """Add the commit to git's objects, without any ref."""
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder, "bundle")
            bundle.write_bytes(outcome.bundle)
            command = (
                *_GIT,
                "-c",
                "fetch.fsckObjects=true",
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
            )
            ref = experiments.ref(job.baseline, job.name)
            programs.run(
                (*command, str(bundle), ref), self._root, f"{job.name}: cannot unpack the experiment"
            )

    def _check(self, job: Job, commit: str) -> None:
        """Refuse what is no child of the baseline, or lacks outputs that a stage has made."""
        found = programs.run(
            ("git", "rev-parse", f"{commit}^@"), self._root, f"{job.name}: no such commit"
        ).split()
        if found != [job.baseline]:
            raise SweepError(
                f"{job.name}: expected a commit on {job.baseline[:7]}, found one on {' '.join(found)[:50]}"
            )
        trees = Trees(self._git, lambda path: False).read([job.baseline, commit])
        before = _outputs(trees[job.baseline])
        for path, md5 in _outputs(trees[commit]).items():
            # what the baseline has, too, was not made there
            if before.get(path) != md5 and not (self._holds(path, md5) or self._is_in_git(commit, path)):
                raise SweepError(f"{job.name}: expected {path} ({md5}) to come with it, found it missing")

    def _holds(self, path: str, md5: str) -> bool:
        """Tell whether the cache has an output with all its files."""
        entries = self._cache.entries(path, md5)
        return entries is not None and all(map(self._cache.find, entries.values()))

    def _is_in_git(self, commit: str, path: str) -> bool:
        """Tell whether git keeps an output, as with `cache: false`."""
        command = [*_GIT, "cat-file", "-e", f"{commit}:{self._git.prefix}{path}"]
        return subprocess.run(command, cwd=self._root, capture_output=True, check=False).returncode == 0

    def _name(self, job: Job, commit: str) -> Result:
        """Give the experiment its name, unless there is one: then tell whether it is the same."""
        ref = experiments.ref(job.baseline, job.name)
        before = self._git.refs().get(ref)
        if before is None:
            asked = f"create {ref} {commit}\n".encode()
            command = [*_GIT, "update-ref", "--stdin"]
            done = subprocess.run(command, cwd=self._root, input=asked, capture_output=True, check=False)
            if done.returncode == 0:
                return "new"
            before = self._git.refs().get(ref)
            if before is None:
                raise SweepError(
                    f"{job.name}: expected git to name it, found: {done.stderr.decode().strip()}"
                )
        trees = [self._tree(each) for each in (before, commit)]
        return "same" if trees[0] == trees[1] else "another"

    def _tree(self, commit: str) -> str:
        return programs.run(("git", "rev-parse", f"{commit}^{{tree}}"), self._root, "no such commit").strip()

    def _remember(self, commit: str) -> None:
        """Write DVC's run cache for the stages of a commit, so that they need not run again here."""
        with untrusted.repository(self._root) as repo, repo.switch(commit):
            for stage in repo.index.stages:
                # an output that git keeps would be taken from the workspace
                if all(out.use_cache for out in stage.outs):
                    repo.stage_cache.save(stage)


def _outputs(tree: Tree) -> dict[str, str]:
    stages = tree.stages
    return {each.root(path): md5 for each in stages for path, md5 in each.stage.outputs.items()}
