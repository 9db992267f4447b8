"""The model of any commit or experiment, where it lies in DVC's cache."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from fashionboard.base.errors import ModelError
from fashionboard.repository import fetch, lockfile, names
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.revisions import Request, Target, select


def find(revision: str, model: Path, folder: Path) -> Path:
    """Return the file in the cache that holds the bytes of an output.

    revision: a branch, tag, commit or experiment. model: the output, or a file in one that is a folder,
    from the root of the DVC repository. folder: is in that repository.

    Raises:
        BoardError: there is no such repository or revision.
        DataError: a dvc.lock or .dvc file of that revision is damaged.
        ModelError: the revision is several experiments, it has no such output, or the output is not in
            the cache.
    """
    with fetch.opened(folder) as repo:
        root, cache = Path(repo.root_dir), Cache(Path(repo.cache.local_cache_dir))
    git = Git(root)
    target = _one(select(git, Request((revision,), experiments=False)), revision)
    wanted = Path(os.path.relpath(root / model, root)).as_posix()
    for output, md5 in _outputs(git, target.commit):
        entries = cache.entries(output, md5) if f"{wanted}/".startswith(f"{output}/") else {}
        if entries is None or wanted in entries:
            found = entries and cache.find(entries[wanted])
            if found:
                return found
            raise ModelError(
                f"{revision}: {wanted} is not in DVC's cache; bring it with {_advice(target, output)}, "
                "if whoever trained it has pushed it"
            )
    raise ModelError(
        f"{revision}: expected {wanted} among the outputs that DVC recorded there, found none; "
        "run the pipeline there, or name another with --model"
    )


def _one(targets: list[Target], revision: str) -> Target:
    if not targets:
        raise ModelError(
            f"{revision}: expected a commit or an experiment; without --rev, it is the workspace"
        )
    if len(targets) > 1:
        commits = ", ".join(names.short(target.commit) for target in targets)
        raise ModelError(f"{revision}: expected one commit or experiment, found {commits}; name one of these")
    return targets[0]


def _outputs(git: Git, commit: str) -> Iterator[tuple[str, str]]:
    """Yield the path from the repository's root, and the md5, of each output that a commit records."""
    files = git.files([commit], lockfile.is_one)[commit]
    contents = dict(git.contents(files.values()))
    for path, digest in files.items():
        text = (contents[digest] or b"").decode(errors="replace")
        for stage in lockfile.read(path, text).values():
            for output, md5 in stage.outputs.items():
                yield posixpath.normpath(posixpath.join(posixpath.dirname(path), output)), md5


def _advice(target: Target, output: str) -> str:
    if target.kind == "experiment":
        return f"`dvc exp pull <git remote> {target.name}`"
    return f"`dvc fetch --all-commits {output}`"
