"""Archives that were verified once, kept so that a repository need not download them again."""

import hashlib
import sys
from pathlib import Path

from tqdm import tqdm

from fashionboard.base.errors import PathError, reason, visible
from fashionboard.repository import keeping, no_links
from fashionboard.sources.transfer import Archive


def take(archive: Archive, packed: Path) -> bool:
    """Write `archive` to the file `packed` and return True, if it was kept and is whole."""
    try:
        content = keeping.read(_name(archive), archive.size + 1)
    except (OSError, PathError) as error:
        _say(f"{archive.name}: {reason(error)}; not taken from there")
        return False
    if content is None:
        return False
    if hashlib.sha256(content).hexdigest() != archive.sha256:
        _say(f"{keeping.place(_name(archive))}: damaged, and removed; the archive is brought again")
        keeping.remove(_name(archive))
        return False
    packed.write_bytes(content)
    return True


def keep(archive: Archive, packed: Path) -> None:
    """Keep the verified `archive` that is in the file `packed`, where there is a DVC repository and room."""
    if not no_links.is_folder(keeping.root() / ".dvc"):
        return
    try:
        keeping.write(_name(archive), packed.read_bytes())
    except (OSError, PathError) as error:
        _say(f"{archive.name}: cannot be kept for the next time ({reason(error)})")


def _name(archive: Archive) -> str:
    return f"{archive.sha256[:16]}-{archive.name}"


def _say(line: str) -> None:
    tqdm.write(visible(line), file=sys.stderr)
