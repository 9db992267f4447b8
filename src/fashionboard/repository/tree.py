"""What a commit's own files say of stages and outputs."""

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from fashionboard.base import errors
from fashionboard.base.errors import DataError
from fashionboard.repository import dvcyaml, ignored, lockfile
from fashionboard.repository.dvcyaml import Declared
from fashionboard.repository.git import Git
from fashionboard.repository.lockfile import Stage

_Parsed = dict[str, Stage] | Declared | str | bytes


@dataclass(frozen=True)
class Recorded:
    """A stage or .dvc file: its folder, its name there, and the folder that its paths are told from."""

    folder: str
    name: str
    works_in: str
    stage: Stage

    def root(self, output: str) -> str:
        """Return an output's path from the root of the DVC repository."""
        return posixpath.normpath(posixpath.join(self.works_in, output))


@dataclass(frozen=True)
class Tree:
    """The files of a commit that are read.

    blobs: of DVC's files, by path. declared: what each dvc.yaml says, by its folder. stages: the
    stages and .dvc files. others: the blobs of further files that were asked for, by path. unread: why
    a file was skipped.
    """

    blobs: dict[str, str]
    declared: dict[str, Declared]
    stages: tuple[Recorded, ...]
    others: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @property
    def recording(self) -> frozenset[str]:
        """The blobs of the files that record outputs."""
        return frozenset(blob for path, blob in self.blobs.items() if lockfile.is_one(path))

    def kept(self, each: Recorded, output: str) -> dict[str, str]:
        """Return the blobs of those of `others` that are an output's, by path as DVC lists them."""
        root = each.root(output)
        return {
            output + path.removeprefix(root): blob
            for path, blob in self.others.items()
            if root in _upwards(path)
        }


class Trees:
    """Reads commits, each file only once however many commits share it."""

    def __init__(self, git: Git, wanted: Callable[[str], bool]) -> None:
        """wanted: tells by their paths which further files of outputs to list, as far as git keeps them."""
        self._git = git
        self._wanted = wanted
        self._parsed: dict[tuple[str, str], _Parsed] = {}
        self._lacking: set[str] = set()
        self._visible: dict[object, tuple[set[str], tuple[str, ...]]] = {}

    def read(self, commits: Iterable[str]) -> dict[str, Tree]:
        """Return what each commit holds."""
        listed = self._git.files(commits, lambda path: _matters(path) or self._wanted(path))
        self._parse(listed.values())
        return {commit: self._tree(paths) for commit, paths in listed.items()}

    def lacks(self, tree: Tree) -> bool:
        """Tell whether git lacks the bytes of a file of DVC's."""
        return not self._lacking.isdisjoint(tree.blobs.values())

    def _parse(self, listed: Iterable[dict[str, str]]) -> None:
        # one blob may be several kinds of file, if it is empty
        blobs: dict[str, dict[str, str]] = {}
        for path, digest in ((path, digest) for paths in listed for path, digest in paths.items()):
            known = (_kind(path), digest) in self._parsed and digest not in self._lacking
            if (_is_dvcs(path) or _is_list(path)) and not known:
                blobs.setdefault(digest, {})[_kind(path)] = path
        for digest, content in self._git.contents(blobs):
            (self._lacking.add if content is None else self._lacking.discard)(digest)
            for kind, path in blobs[digest].items():
                self._parsed[kind, digest] = "not in git" if content is None else _parse(path, content)

    def _tree(self, listed: dict[str, str]) -> Tree:
        blobs = {path: digest for path, digest in listed.items() if _is_dvcs(path)}
        told = {path: digest for path, digest in listed.items() if _is_list(path) or ignored.marks(path)}
        others = {path: digest for path, digest in listed.items() if path not in blobs and path not in told}
        unread: tuple[str, ...] = ()
        if told:
            # most commits have the same
            key = frozenset(told.items()), frozenset(blobs)
            if key not in self._visible:
                self._visible[key] = self._look_for(told, blobs)
            visible, unread = self._visible[key]
            blobs = {path: digest for path, digest in blobs.items() if path in visible}
        parsed = {path: self._parsed[_kind(path), digest] for path, digest in sorted(blobs.items())}
        declared = {
            posixpath.dirname(path): each for path, each in parsed.items() if isinstance(each, Declared)
        }
        stages = tuple(_stages(parsed, declared))
        broken = [f"{path} cannot be read" for path, each in parsed.items() if isinstance(each, str)]
        # a file that is no output is nobody's
        roots = {each.root(output) for each in stages for output in each.stage.outputs} if others else set()
        kept = {path: blob for path, blob in others.items() if not roots.isdisjoint(_upwards(path))}
        return Tree(blobs, declared, stages, kept, (*broken, *unread))

    def _look_for(self, told: dict[str, str], paths: Iterable[str]) -> tuple[set[str], tuple[str, ...]]:
        lists = {path: self._parsed[_kind(path), digest] for path, digest in told.items() if _is_list(path)}
        ignores = {path: content for path, content in lists.items() if isinstance(content, bytes)}
        marking = list(filter(ignored.marks, told))
        try:
            visible = ignored.visible(paths, ignores, marking)
        except DataError:
            # each is right, but DVC, which puts them together, cannot read them either
            ignores, visible = {}, ignored.visible(paths, {}, marking)
        unread = tuple(f"{path} cannot be read" for path in lists if path not in ignores)
        # without its dvc.yaml, a dvc.lock is nobody's
        hidden = {path for path in paths if path.endswith("dvc.yaml")} - visible
        return visible - {f"{path.removesuffix('yaml')}lock" for path in hidden}, unread


def _stages(parsed: dict[str, _Parsed], declared: dict[str, Declared]) -> Iterator[Recorded]:
    for path, stages in parsed.items():
        if isinstance(stages, dict):
            folder = posixpath.dirname(path)
            for name, stage in stages.items():
                own = name or posixpath.basename(path).removesuffix(".dvc")
                works_in = stage.folder or declared.get(folder, Declared()).folder(name)
                yield Recorded(folder, own, posixpath.join(folder, works_in), stage)


def _upwards(path: str) -> Iterator[str]:
    """Yield a path and the folders above it."""
    while path.strip("/"):
        yield path
        path = posixpath.dirname(path)


def _matters(path: str) -> bool:
    return _is_dvcs(path) or _is_list(path) or ignored.marks(path)


def _is_dvcs(path: str) -> bool:
    name = posixpath.basename(path)
    named = name in ("dvc.lock", "dvc.yaml") or (name.endswith(".dvc") and name != ".dvc")
    return named and ".dvc" not in path.split("/")[:-1]


def _is_list(path: str) -> bool:
    return posixpath.basename(path) == ignored.NAME and ".dvc" not in path.split("/")[:-1]


def _parse(path: str, content: bytes) -> _Parsed:
    """Return the stages of a dvc.lock or .dvc file, what a dvc.yaml declares, or why it cannot be read.

    A .dvcignore keeps its bytes.
    """
    try:
        text = content.decode()
        if path.endswith("dvc.yaml"):
            return dvcyaml.declared(text)
        if _is_list(path):
            ignored.visible((), {ignored.NAME: content}, ())
            return content
        return lockfile.read(path, text)
    except Exception as error:
        return errors.reason(error)


def _kind(path: str) -> str:
    name = posixpath.basename(path)
    return name if name in ("dvc.lock", "dvc.yaml", ignored.NAME) else ".dvc"
