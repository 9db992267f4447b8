"""The rows of TensorBoard's HParams tab, an event file each in the folder of its experiment."""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fashionboard.board.group import Group, State, Value
from fashionboard.events import EventWriter


@dataclass
class _Row:
    """What is in a row. metrics: None while it is open, which is while its experiment runs."""

    events: EventWriter
    parameters: dict[str, Value]
    metrics: dict[str, float] | None = None
    state: State = "running"


class Rows:
    """Writes rows and keeps them up to date. A row of a running experiment gets its metrics at its end."""

    def __init__(self, view: Path) -> None:
        self._view = view
        self._rows: dict[str, _Row] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def holds(self, group: Group) -> bool:
        """Tell whether nothing in the row of `group` is another by now, and its file is still there.

        A row that is open may lack parameters, and gets its metrics when it is closed.
        """
        row = self._rows[group.name]
        if not row.events.path.exists():
            return False
        if group.state == "running":
            return row.metrics is None and all(
                row.parameters[name] == value
                for name, value in group.parameters.items()
                if name in row.parameters
            )
        if row.parameters != group.parameters:
            return False
        return row.metrics is None or (row.metrics, row.state) == (group.metrics, group.state)

    def show(self, group: Group) -> None:
        """Write the row of `group`, or what it does not hold yet.

        TensorBoard never changes a parameter of a row, so a row keeps those that it began with.

        Raises:
            OSError: the disk takes no more; there is no row then.
        """
        try:
            row = self._rows.get(group.name) or self._begin(group)
            if row.metrics is None and group.state != "running":
                for name, value in group.metrics.items():
                    row.events.scalar(name, value)
                row.events.hparams_end(succeeded=group.state not in ("failed", "killed"))
                row.events.close()
                row.metrics, row.state = dict(group.metrics), group.state
        except OSError:
            self.drop(group.name)
            raise

    def _begin(self, group: Group) -> _Row:
        events = EventWriter(self._view / group.name, _digest(group))
        row = self._rows[group.name] = _Row(events, dict(group.parameters))
        events.hparams(group.parameters)
        events.flush()
        return row

    def rename(self, name: str, other: str) -> None:
        """Go on with a row whose folder was renamed; what is written goes to the same file."""
        if name in self._rows:
            row = self._rows[other] = self._rows.pop(name)
            row.events.path = self._view / other / row.events.path.name

    def drop(self, name: str) -> None:
        """Remove a row, of which there need be none."""
        row = self._rows.pop(name, None)
        if row is not None:
            with contextlib.suppress(OSError):
                row.events.close()
            row.events.path.unlink(missing_ok=True)


def _digest(group: Group) -> str:
    """Return what another row of this name has otherwise: TensorBoard, left open, takes it for new data."""
    content = [dict(group.parameters), dict(group.metrics), group.state, group.revision]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
