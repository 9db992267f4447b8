"""What the board shows, as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import wcwidth

from fashionboard.base.errors import visible
from fashionboard.board import where
from fashionboard.board.group import Group

_GAP = "  "
_ELLIPSIS = "..."
# columns of a terminal that a cut text has at least
_LEAST = 12


@dataclass(frozen=True)
class Column:
    """A title and the cells below it, which hold only what a terminal may be shown."""

    title: str
    cells: list[str]
    right: bool = False

    @classmethod
    def of(cls, title: str, cells: list[str], right: bool = False) -> "Column":
        """Return a column of what a terminal may be shown."""
        return cls(visible(title), list(map(visible, cells)), right)

    @property
    def width(self) -> int:
        """That of the widest, in columns of a terminal."""
        return max(map(width, [self.title, *self.cells]))

    def lines(self) -> list[str]:
        """Return title and cells, all of the same width."""
        columns = self.width
        return [_padded(cell, columns, self.right) for cell in [self.title, *self.cells]]


def table(groups: Iterable[Group], values: Sequence[str] = (), room: int | None = None) -> str:
    """Return a line a group under a header; sizes in units of 1,000 bytes and so on.

    values: metrics and parameters to show. room: the width of the terminal, to which authors and
    subjects of commits are cut; None cuts nothing.
    """
    groups = list(groups)
    columns = [
        Column.of("name", [group.name for group in groups]),
        Column.of("revision", [group.revision or "-" for group in groups]),
        Column.of("stages", [" ".join(group.stages) or "-" for group in groups]),
        Column.of("files", [str(len(group.files)) for group in groups], right=True),
        Column.of("size", [size(group.size) for group in groups], right=True),
        Column.of("state", [_state(group) for group in groups]),
        *(_values(groups, name) for name in values),
    ]
    for title, texts in (
        ("author", [group.commit.author if group.commit else "" for group in groups]),
        ("subject", [group.commit.subject if group.commit else "" for group in groups]),
    ):
        if any(texts):
            cells = [visible(text) or "-" for text in texts]
            columns.append(Column(title, cells if room is None else _cut(cells, _left(columns, title, room))))
    return laid_out(columns)


def laid_out(columns: Iterable[Column]) -> str:
    """Return columns of as many cells each side by side, a line a cell."""
    lines = zip(*(column.lines() for column in columns), strict=True)
    return "\n".join(_GAP.join(line).rstrip() for line in lines)


def _state(group: Group) -> str:
    return f"{group.state}, incomplete" if group.missing else group.state


def _values(groups: list[Group], name: str) -> Column:
    found = [where.value(group, name) for group in groups]
    numbers = all(each is None or isinstance(each, float) for each in found)
    return Column.of(name, [where.said(each) for each in found], right=numbers)


def _left(columns: list[Column], title: str, room: int) -> int:
    """Return the width for one more column; of what is left, an author takes a third at most."""
    left = room - sum(column.width + len(_GAP) for column in columns)
    return max(left // 3 if title == "author" else left, _LEAST)


def _cut(cells: list[str], limit: int) -> list[str]:
    return [
        cell if width(cell) <= limit else _clipped(cell, limit - len(_ELLIPSIS)) + _ELLIPSIS for cell in cells
    ]


def _clipped(text: str, limit: int) -> str:
    """Return the beginning of a text that a terminal shows in `limit` columns; no letter is cut in two."""
    kept, used = [], 0
    for letter in wcwidth.iter_graphemes(text):
        used += width(letter)
        if used > limit:
            break
        kept.append(letter)
    return "".join(kept).rstrip()


def _padded(text: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide letter, none for an accent."""
    found = wcwidth.wcswidth(text)
    # what moves the cursor has no width
    return found if found >= 0 else len(text)


def size(count: int) -> str:
    """Return a number of bytes as a person would say it: `31 MB`."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
