"""Which files of a workspace may be shown, since a link there may lead to any file of the person's."""

import os
from collections.abc import Iterable
from pathlib import Path

from fashionboard.repository.cache import Cache

# credentials lie there
_CLOSED = {".git", ".dvc"}


class Links:
    """Tells where links lead: within `root`, a repository, to an object of its cache, or elsewhere."""

    def __init__(self, root: Path, cache: Cache) -> None:
        self._root = Path(os.path.realpath(root))
        self._cache = cache

    def inside(self, path: Path) -> bool:
        """Tell whether `path` leads to a file or folder of the repository's own, or to an object."""
        real = Path(os.path.realpath(path))
        if real.is_relative_to(self._root):
            closed = _CLOSED.intersection(real.relative_to(self._root).parts)
            return not closed or self._cache.holds(real)
        return self._cache.holds(real)

    def split(self, output: Path, files: Iterable[tuple[str, Path]]) -> tuple[dict[str, Path], list[Path]]:
        """Part `files`, those at or below `output` by name, into what may be shown and what not.

        An output that is elsewhere itself is not looked through.
        """
        if not self.inside(output):
            return {}, [output] if output.exists() else []
        shown: dict[str, Path] = {}
        outside: list[Path] = []
        for name, file in files:
            # what is no link lies where its output does
            if file.is_symlink() and not self.inside(file):
                outside.append(file)
            else:
                shown[name] = file
        return shown, outside
