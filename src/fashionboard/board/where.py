"""Conditions on metrics and parameters, and the order that one of them gives."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from operator import itemgetter

from fashionboard.base.errors import BoardError
from fashionboard.board import lookup
from fashionboard.board.group import Group, State, Value

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*(?P<name>[^<>=!]+?)\s*(?P<operator>[<>=!]=|[<>])\s*(?P<value>[^<>=!\s].*?|)\s*")
# they may get what they lack, or would have
_ONGOING: tuple[State, ...] = ("running", "failed", "killed")


@dataclass(frozen=True)
class Condition:
    """One `--where`: the value of a metric or parameter compared with a number or a text."""

    name: str
    operator: str
    value: str

    def holds(self, value: Value) -> bool:
        """Tell whether `value` fulfils it; a text is never less or greater than anything."""
        mine, theirs = _number(self.value), _number(value)
        if mine is not None and theirs is not None:
            return _OPERATORS[self.operator](theirs, mine)
        wanted = _unquoted(self.value)
        same = _text(value) == (wanted.lower() if isinstance(value, bool) else wanted)
        return {"==": same, "!=": not same}.get(self.operator, False)


def condition(text: str) -> Condition:
    """Read a condition such as `accuracy>0.84` or `data.dataset==drawn`.

    Raises:
        BoardError: it is none.
    """
    match = _CONDITION.fullmatch(text)
    if not match or not match["value"]:
        raise BoardError(
            f"expected a name, one of < <= > >= == != and a value, found {text!r}; "
            "for example 'accuracy>0.84'"
        )
    found = Condition(**match.groupdict())
    if found.operator not in ("==", "!=") and _number(found.value) is None:
        raise BoardError(
            f"expected a number after {found.operator}, found {found.value!r}; texts take == or !="
        )
    return found


@dataclass
class Filter:
    """Which groups are shown for their values, in what order, and which values the table shows.

    sort: a name, `-` before it for the largest first. left_out: what the last `keep` did not keep.
    """

    conditions: Sequence[Condition] = ()
    sort: str = ""
    left_out: list[Group] = field(default_factory=list)
    _full: dict[str, str] = field(default_factory=dict)

    def keep(self, groups: Iterable[Group], named: Set[str]) -> list[Group]:
        """Return the groups that fulfil every condition, and those that are shown anyhow.

        These are the workspace, those that were asked for by name (`named`), and an experiment that
        runs, or failed, without such a value.
        """
        groups = list(groups)
        self._resolve(groups)
        kept: list[Group] = []
        self.left_out = []
        for each in groups:
            (kept if each.name in named or self._fits(each) else self.left_out).append(each)
        return kept

    @property
    def columns(self) -> list[str]:
        """The full names of the metrics and parameters that are compared."""
        return list(dict.fromkeys(self._full.get(name, name) for name in self._names()))

    def unknown(self, groups: Iterable[Group]) -> str:
        """Return what is wrong with a name that is no metric's or parameter's, or several; "" if none is."""
        for name in self._names():
            if name not in self._full:
                return lookup.unclear(name, _known([*groups, *self.left_out]))
        return ""

    def ordered(self, groups: Iterable[Group]) -> list[Group]:
        """Return the groups by what they are sorted by: numbers, texts, then those without a value."""
        if not self.sort:
            return list(groups)
        name = self._name(self.sort.removeprefix("-"))
        down = self.sort.startswith("-")
        numbers, texts, without = [], [], []
        for group in groups:
            found = value(group, name)
            number = None if found is None else _number(found)
            if number is not None:
                numbers.append((number, group))
            elif found is not None:
                texts.append((_text(found), group))
            else:
                without.append(group)
        numbers.sort(key=itemgetter(0), reverse=down)
        texts.sort(key=itemgetter(0), reverse=down)
        return [*(group for _, group in numbers), *(group for _, group in texts), *without]

    def lacks(self, group: Group) -> bool:
        """Tell whether a value that is compared is not known of a group."""
        return any(value(group, self._name(each.name)) is None for each in self.conditions)

    def _fits(self, group: Group) -> bool:
        if group.state == "workspace":
            return True
        for each in self.conditions:
            found = value(group, self._name(each.name))
            if found is None and group.state in _ONGOING:
                continue
            if found is None or not each.holds(found):
                return False
        return True

    def _names(self) -> Iterator[str]:
        yield from (each.name for each in self.conditions)
        if self.sort:
            yield self.sort.removeprefix("-")

    def _name(self, name: str) -> str:
        return self._full.get(name, name)

    def _resolve(self, groups: list[Group]) -> None:
        """Find what each name is short for; once found, it stays."""
        if all(name in self._full for name in self._names()):
            return
        known = _known(groups)
        for name in self._names():
            if name not in self._full and (found := lookup.full(name, known)):
                self._full[name] = found


def value(group: Group, name: str) -> Value | None:
    """Return the metric of that name, or else the parameter, or None."""
    return group.metrics.get(name, group.parameters.get(name))


def said(found: Value | None) -> str:
    """Return a value as the table shows it: `-` for none."""
    if found is None:
        return "-"
    return _text(found) if isinstance(found, bool | str) else f"{found:.6g}"


def _known(groups: Iterable[Group]) -> list[str]:
    return sorted({name for group in groups for name in (*group.metrics, *group.parameters)})


def _number(found: Value) -> float | None:
    """Return a finite number, also one that is written as a text."""
    if isinstance(found, bool):
        return None
    try:
        number = float(found)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(found: Value) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
