"""The groups of a board that differ in seeds alone, and what they are called together."""

from collections.abc import Iterable, Mapping, Sequence

from fashionboard.board import seeds, settings, where
from fashionboard.board.group import Group
from fashionboard.repository import revisions

# letters of a setting that are told; the name of a run is cut, too, and must still say of how many it is
_LONGEST = 100
_FEWEST = 2


class Repeats:
    """The repeats among groups, looked for anew only where others came or went.

    names: of the groups, by what they are called together: `train.lr=0.01 (mean of 5)`.
    """

    def __init__(self) -> None:
        self.names: Mapping[str, Sequence[str]] = {}
        # by setting, each with its commit
        self._known: dict[str, list[tuple[str, str]]] = {}

    def look(self, groups: Mapping[str, Group]) -> None:
        """Find the repeats among finished experiments; each seed counts once."""
        found: dict[str, list[tuple[str, str]]] = {}
        for group in groups.values():
            if group.state == "experiment":
                found.setdefault(group.setting, []).append((group.name, group.revision))
        if found != self._known:
            self._known = found
            sets = [[name for name, _ in each] for setting, each in found.items() if setting]
            self.names = _named([_distinct(groups, names) for names in sets], groups)


def _distinct(groups: Mapping[str, Group], names: Iterable[str]) -> list[str]:
    """Return the groups without those that have the seeds of another one: the same run again."""
    first: dict[object, str] = {}
    for name in sorted(names):
        first.setdefault(seeds.of(groups[name].parameters), name)
    return list(first.values())


def _named(sets: Iterable[Sequence[str]], groups: Mapping[str, Group]) -> dict[str, Sequence[str]]:
    several = [names for names in sets if len(names) >= _FEWEST]
    if not several:
        return {}
    experiments = [group.parameters for group in groups.values() if group.state == "experiment"]
    told = settings.differing(experiments)
    found: dict[str, Sequence[str]] = {}
    taken = {name.casefold() for name in groups}
    for names in several:
        name = _name(groups[names[0]], told, len(names))
        while name.casefold() in taken:  # other code, or what no folder's name tells apart
            name += "'"
        taken.add(name.casefold())
        found[name] = names
    return found


def _name(first: Group, told: Sequence[str], count: int) -> str:
    setting = " ".join(f"{name}={where.said(first.parameters.get(name))}" for name in told)
    if not setting or len(setting) > _LONGEST:
        setting = f"{first.name} and others"
    return revisions.safe(f"{setting} (mean of {count})")
