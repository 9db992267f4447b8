"""What the board itself writes of a group: its row in HParams, what its commit says, how long it took."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

from fashionboard.board import message, timed
from fashionboard.board.group import Group, State, Value
from fashionboard.events.writer import EventWriter
from fashionboard.repository.commits import Commit
from fashionboard.repository.times import Times


@dataclass(frozen=True)
class _Content:
    """What is written of a group.

    is_row: whether it has a row; without one, only texts. keys: of the runs that made its event files. times:
    another run of the same inputs makes no other content. To show it, TensorBoard would have to forget all
    that the group has for some seconds.
    """

    is_row: bool
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float]
    state: State
    commit: Commit | None
    keys: Mapping[str, str]
    times: Mapping[str, Times] = field(compare=False)

    @classmethod
    def of(cls, group: Group, is_row: bool) -> "_Content":
        """Return what belongs into the file of `group` now."""
        texts = group.commit, timed.keys(group.files), group.times
        if is_row:
            return cls(True, dict(group.parameters), dict(group.metrics), group.state, *texts)
        return cls(False, {}, {}, "commit", *texts)

    @property
    def digest(self) -> str:
        """What another file has otherwise: TensorBoard, left open, takes another name for new data."""
        content = json.dumps(astuple(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass
class _File:
    """An event file, and what is in it. It is open while its experiment runs."""

    events: EventWriter
    content: _Content
    is_open: bool = True


class Rows:
    """Writes an event file a group and keeps it up to date.

    A row of a running experiment gets its metrics, its commit and its times at its end.
    """

    def __init__(self, view: Path) -> None:
        self._view = view
        self._files: dict[str, _File] = {}

    def holds(self, group: Group, is_row: bool) -> bool:
        """Tell whether nothing that was written of `group` is otherwise by now, and its file is still there.

        A row that is open may lack parameters, as long as its experiment runs.
        """
        file = self._files.get(group.name)
        if file is None:
            return True
        now = _Content.of(group, is_row)
        if not file.events.path.exists() or file.content.is_row != is_row:
            return False
        if not file.is_open:
            return file.content == now
        before = file.content.parameters
        if now.state != "running":
            return before == now.parameters
        return all(before[name] == value for name, value in now.parameters.items() if name in before)

    def show(self, group: Group, is_row: bool) -> None:
        """Write the file of `group`, or what it does not hold yet.

        TensorBoard never changes a parameter of a row, so a row keeps those that it began with.

        Raises:
            OSError: the disk takes no more; there is no file then.
        """
        now = _Content.of(group, is_row)
        if group.name not in self._files and not (is_row or now.commit):
            return
        try:
            file = self._files.get(group.name) or self._begin(group.name, now)
            if file.is_open and now.state != "running":
                self._end(file, now)
        except Exception:
            # no half of it, to which the next look would add
            self.drop(group.name)
            raise

    def _begin(self, name: str, content: _Content) -> _File:
        events = EventWriter(self._view / name, content.digest)
        file = self._files[name] = _File(events, content)
        if content.is_row:
            events.hparams(content.parameters)
            events.flush()
        return file

    def _end(self, file: _File, content: _Content) -> None:
        if content.commit:
            file.events.text(message.TAG, message.markdown(content.commit))
        if content.times:
            file.events.text(timed.TAG, timed.markdown(content.times))
        for name, value in content.metrics.items():
            file.events.scalar(name, value)
        if content.is_row:
            file.events.hparams_end(succeeded=content.state not in ("failed", "killed"))
        file.events.close()
        file.content, file.is_open = content, False

    def rename(self, name: str, other: str) -> None:
        """Go on with a file whose folder was renamed; what is written goes to the same one."""
        if name in self._files:
            file = self._files[other] = self._files.pop(name)
            file.events.path = self._view / other / file.events.path.name

    def drop(self, name: str) -> None:
        """Remove the file of a group, of which there need be none."""
        file = self._files.pop(name, None)
        if file is not None:
            with contextlib.suppress(OSError):
                file.events.close()
            file.events.path.unlink(missing_ok=True)
