"""What a commit says, in TensorBoard's Text tab."""

import hashlib
import re
from pathlib import Path

from fashionboard.board.commits import Commit
from fashionboard.board.group import Group
from fashionboard.events import EventWriter

TAG = "commit"
# letters of a message that are shown
_LONGEST = 10_000
_PUNCTUATION = re.compile(r"[^\w\s]|_", re.ASCII)


def markdown(commit: Commit) -> str:
    """Return what a commit says as Markdown.

    Nothing of the repository is read as Markdown or HTML there, so it holds no link and no picture.
    """
    body = commit.body if len(commit.body) <= _LONGEST else f"{commit.body[:_LONGEST]} ..."
    about = {"author": commit.author, "date": commit.date, "commit": commit.digest}
    parts = [
        f"**{_escaped(commit.subject)}**" if commit.subject else "",
        _escaped(body),
        "<br>".join(f"{name}: {_escaped(text)}" for name, text in about.items() if text),
    ]
    return "\n\n".join(filter(None, parts))


def _escaped(text: str) -> str:
    """Write all but letters and digits of ASCII as HTML's numbers, which Markdown leaves as they are."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "<br>".join(_PUNCTUATION.sub(lambda found: f"&#{ord(found[0])};", line) for line in lines)


class Cards:
    """Writes the cards of groups that have no row, an event file each in the folder of the group.

    A group with a row has its card in the file of the row: TensorBoard's slow loader leaves a folder's
    file when it has found a later one.
    """

    def __init__(self, view: Path) -> None:
        self._view = view
        self._shown: dict[str, Commit] = {}

    def holds(self, group: Group) -> bool:
        """Tell whether what was written for a group, if anything was, is what it says now."""
        return self._shown.get(group.name) in (None, group.commit)

    def show(self, group: Group) -> None:
        """Write the card of a group that has a commit, once."""
        if group.commit and group.name not in self._shown:
            # a file of another name for another commit
            key = hashlib.sha256(repr(group.commit).encode()).hexdigest()[:16]
            with EventWriter(self._view / group.name, key) as events:
                events.text(TAG, markdown(group.commit))
            self._shown[group.name] = group.commit

    def drop(self, name: str) -> None:
        """Forget the card of a group whose folder was removed, or that has a row now."""
        self._shown.pop(name, None)
