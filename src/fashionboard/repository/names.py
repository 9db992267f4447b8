"""Names from a repository made fit for folders, terminals and pages."""

import hashlib
import re
from collections.abc import Sequence

# bytes of a part of a path
LONGEST = 150
# names that a line tells of many
_NAMED = 3
# what a file system, a terminal or a page would not show as it is: controls, marks of writing direction
_UNSAFE = re.compile(r'[\\<>:"|?*\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]')


def short(commit: str) -> str:
    """Return the first digits of a commit's name, as git shows it."""
    return commit[:7]


def clean(path: str) -> str:
    """Return `path` as one that stays below its folder and that every file system can hold."""
    parts = (part for part in path.split("/") if part not in ("", ".", ".."))
    return "/".join(_UNSAFE.sub("-", shortened(part)) for part in parts)


def shortened(name: str) -> str:
    """Cut a name to 150 bytes; what was cut is told apart by a digest."""
    encoded = name.encode(errors="replace")
    if len(encoded) <= LONGEST:
        return encoded.decode(errors="replace")
    return f"{encoded[: LONGEST - 9].decode(errors='ignore')}~{hashlib.sha256(encoded).hexdigest()[:8]}"


def listed(names: Sequence[str]) -> str:
    """Name a few, and count the rest: `a, b, c and 4 more`."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def overlap(one: str, other: str) -> bool:
    """Say whether two paths are the same, or one lies below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
