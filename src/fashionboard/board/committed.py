"""Files that git keeps, on disk for TensorBoard, each written once under the name of its blob."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from fashionboard.base import outputs
from fashionboard.board import needed
from fashionboard.repository.git import Git
from fashionboard.repository.tree import Tree


class Committed:
    """A folder with the bytes of blobs of a git repository."""

    def __init__(self, git: Git, folder: Path | None) -> None:
        """folder: is made when it is needed; without one, nothing is kept or found."""
        self._git = git
        self._folder = folder
        self.problem = ""

    def place(self, blob: str) -> Path | None:
        """Return where the bytes of a blob lie, or would lie; None if there is no folder for them."""
        return self._folder / blob if self._folder and blob.isalnum() else None

    def find(self, blob: str) -> Path | None:
        """Return the file with the bytes of a blob, None if there is none yet."""
        path = self.place(blob)
        return path if path and path.is_file() and not path.is_symlink() else None

    def keep(self, blobs: Iterable[str]) -> None:
        """Write the bytes of these blobs, as far as they are not there; `problem` tells why one is not."""
        for blob, content in self._git.contents(each for each in blobs if not self.find(each)):
            if content is not None and (path := self.place(blob)):
                try:
                    outputs.write_bytes(path, content)
                except OSError as error:
                    self.problem = f"{path.parent} cannot be written ({error.strerror})"

    def lay(self, trees: Mapping[str, Tree]) -> dict[str, Tree]:
        """Lay event files that git keeps, and what their projectors name, where TensorBoard can read them.

        trees: by commit, with event files and projectors' descriptions for `others`. Returned with what
        these name, and with why something does not lie there.
        """
        kept = {commit: tree for commit, tree in trees.items() if tree.others}
        self.keep(blob for tree in kept.values() for blob in tree.others.values())
        named = {
            asset
            for tree in kept.values()
            for path, blob in tree.others.items()
            if needed.is_config(path) and (config := self.find(blob))
            for asset in needed.assets(path, config)
        }
        found = self._git.files(kept, named.__contains__) if named else {}
        self.keep(blob for files in found.values() for blob in files.values())
        return {**trees, **{commit: self._laid(tree, found.get(commit, {})) for commit, tree in kept.items()}}

    def _laid(self, tree: Tree, assets: Mapping[str, str]) -> Tree:
        others = {**tree.others, **assets}
        lies = all(map(self.find, others.values()))
        unread = tree.unread if lies else (*tree.unread, self.problem)
        return replace(tree, others=others, unread=tuple(filter(None, unread)))
