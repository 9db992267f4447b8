"""DVC's list of the paths that are in use, `.dvc/tmp/rwlock`.

DVC (3.67, dvc/rwlock.py) empties the file before it writes it. If it is killed just then, or the disk is
full, each later command fails: "JSON structure is corrupted".
"""

import contextlib
import json
from pathlib import Path

from fashionboard.repository import at_work, no_links


def mend(root: Path) -> bool:
    """Remove the list of the repository at `root` if it cannot be read and nothing uses it.

    root: an absolute path without links. Returns whether it was removed.

    Raises:
        PathError: there is a link in its place or on the way to it.
    """
    folder = root / ".dvc" / "tmp"
    path = folder / "rwlock"
    if _is_whole(path):
        return False
    guard = folder / "rwlock.lock"
    for each in (path, guard):
        no_links.check(root, each)
    # DVC takes a while to import: not where all is well
    from dvc.lock import LockError, make_lock

    with contextlib.suppress(LockError), make_lock(str(guard), tmp_dir=str(folder)):
        if not _is_whole(path) and not at_work.processes(root):
            path.unlink()
            return True
    return False


def _is_whole(path: Path) -> bool:
    """Tell whether there is no list, or one that DVC can read."""
    if not no_links.is_file(path):
        return not path.is_symlink()
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False
