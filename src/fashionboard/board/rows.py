"""The rows of TensorBoard's HParams tab, an event file each in the folder of its experiment."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fashionboard.board import card
from fashionboard.board.commits import Commit
from fashionboard.board.group import Group, Value
from fashionboard.events import EventWriter


@dataclass
class _Row:
    events: EventWriter
    parameters: dict[str, Value]
    open: bool = True
    commit: Commit | None = None


class Rows:
    """Writes rows and keeps them up to date. A row of a running experiment gets its metrics at its end."""

    def __init__(self, view: Path) -> None:
        self._view = view
        self._rows: dict[str, _Row] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def holds(self, group: Group) -> bool:
        """Tell whether no parameter in the row of `group`, and not its commit, is another by now."""
        held = self._rows[group.name]
        if held.commit not in (None, group.commit):
            return False
        row = held.parameters
        return all(row[name] == value for name, value in group.parameters.items() if name in row)

    def show(self, group: Group) -> None:
        """Write the row of `group`, or what it does not hold yet.

        TensorBoard never changes a parameter of a row, so a row keeps those that it began with.
        """
        row = self._rows.get(group.name)
        if row is None:
            events = EventWriter(self._view / group.name, _digest(group.parameters))
            row = self._rows[group.name] = _Row(events, dict(group.parameters))
            events.hparams(group.parameters)
            events.flush()
        if row.open and row.commit is None and group.commit:
            row.commit = group.commit
            row.events.text(card.TAG, card.markdown(group.commit))
            row.events.flush()
        if row.open and group.state != "running":
            for name, value in group.metrics.items():
                row.events.scalar(name, value)
            row.events.hparams_end(succeeded=group.state not in ("failed", "killed"))
            row.events.close()
            row.open = False

    def rename(self, name: str, other: str) -> None:
        """Go on with a row whose folder was renamed; what is written goes to the same file."""
        if name in self._rows:
            self._rows[other] = self._rows.pop(name)

    def drop(self, name: str) -> None:
        """Forget the row of a group whose folder was removed."""
        row = self._rows.pop(name, None)
        if row is not None and row.open:
            row.events.close()


def _digest(parameters: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()[:16]
