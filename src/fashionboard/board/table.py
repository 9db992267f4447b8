"""What the board shows, as text."""

from collections.abc import Iterable

from fashionboard.board.group import Group
from fashionboard.errors import visible

_HEADER = ("name", "revision", "stages", "files", "size", "state")


def table(groups: Iterable[Group]) -> str:
    """Return a line a group under a header; sizes in units of 1,000 bytes and so on."""
    rows: list[tuple[str, ...]] = [_HEADER]
    for group in groups:
        state = f"{group.state}, incomplete" if group.missing else group.state
        stages = " ".join(group.stages) or "-"
        rows.append(
            (group.name, group.revision or "-", stages, str(len(group.files)), size(group.size), state)
        )
    rows = [tuple(map(visible, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    right = {"files", "size"}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if title in right else cell.ljust(width)
            for cell, width, title in zip(row, widths, _HEADER, strict=True)
        ).rstrip()
        for row in rows
    )


def size(count: int) -> str:
    """Return a number of bytes as a person would say it: `31 MB`."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
