"""What TensorBoard reads of the groups: their links in the view, and the board's own rows and texts there."""

from pathlib import Path

from fashionboard.board.group import Group
from fashionboard.board.rows import Rows
from fashionboard.board.view import View


class Shown:
    """The groups in a view, each with its row in HParams."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._rows = Rows(view.folder)

    def renew(self) -> None:
        """Begin anew where somebody has taken the view's folder away."""
        if self._view.renew():
            self._rows = Rows(self._view.folder)

    def show(self, group: Group, row: bool) -> None:
        """Show a group as it is now; row: whether it has one in HParams."""
        if not self._rows.holds(group, row):
            # TensorBoard changes nothing of a row, and forgets it only when it finds its run gone
            self.remove(group.name)
        growing = group.state in ("running", "failed", "killed")
        self._view.show(group.name, group.files, growing=growing, live=group.state == "workspace")
        if not self._view.leaves(group.name):
            self._rows.show(group, row)

    def remove(self, name: str) -> None:
        """Show a group no more."""
        self._rows.drop(name)
        self._view.drop(name)

    def rename(self, before: str, after: str) -> None:
        """Show under another name what is shown."""
        self._view.rename(before, after)
        self._rows.rename(before, after)

    def files(self, name: str) -> dict[str, Path]:
        """Return the files that the view has of a group, by their paths in it."""
        return self._view.files(name)
