"""A metric or parameter found by its whole name, or by an end of it that no other has."""

import difflib
import re
from collections.abc import Sequence

from fashionboard.base.errors import BoardError

# what parts DVC's joined names: of nested values, and of the file that they are from
_JOINTS = "./:"


def named(name: str, known: Sequence[str], kind: str) -> str:
    """Return the one of `known` that a person means by `name`; kind: what they are, for the error.

    Raises:
        BoardError: it is none of them, or several.
    """
    if found := full(name, known):
        return found
    raise BoardError(unclear(name, known, kind))


def full(name: str, known: Sequence[str]) -> str:
    """Return the one of `known` that is `name`, or alone ends with it after a joint, else ""."""
    if name in known:
        return name
    ends = _ending(name, known)
    return ends[0] if len(ends) == 1 else ""


def unclear(name: str, known: Sequence[str], kind: str = "metric or parameter") -> str:
    """Return what is wrong with a name for which `full` finds none, as the line of an error."""
    if several := _ending(name, known):
        hint = f"which is several: {', '.join(several[:5])}; name one of these"
        return f"expected a {kind}, found {name!r}, {hint}"
    ends = {last(each): each for each in known}
    close = difflib.get_close_matches(name, sorted({*known, *ends}), n=3, cutoff=0.5)
    hint = "`dvc exp show` has them"
    if close:
        hint = f"did you mean {', '.join(dict.fromkeys(ends.get(each, each) for each in close))}?"
    return f"expected a {kind} of what is shown, found {name!r}; {hint}"


def last(name: str) -> str:
    """Return the last part of a name: `lr` of `train.lr`."""
    return re.split(f"[{_JOINTS}]", name)[-1]


def _ending(name: str, known: Sequence[str]) -> list[str]:
    return [each for each in known if each.endswith(tuple(f"{joint}{name}" for joint in _JOINTS))]
