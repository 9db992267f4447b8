"""Who made a commit, when, and what they said of it: for an experiment, the text of `dvc exp run -m`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from fashionboard.repository.git import Git

# DVC's own words for an experiment without a message
_UNSAID = re.compile(r"dvc: commit experiment [0-9a-f]+")
# what moves a terminal's cursor, or the direction of what is written, or is no letter by itself
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# bytes of a line with an author
_LONGEST = 1000
_AUTHOR = re.compile(rb"author (?P<name>.*?) ?<.*> ?(?P<time>\d+)? ?(?P<zone>[-+]\d{4})?")


@dataclass(frozen=True)
class Commit:
    """What git records of a commit beside its files.

    subject: the first line of the message, "" if DVC wrote it; body: the rest. date: in the author's
    own time zone, such as `2017-08-25 09:30 +0200`, "" if the commit has none. All of them are plain
    text without control characters.
    """

    digest: str
    author: str = ""
    date: str = ""
    subject: str = ""
    body: str = ""


class Commits:
    """Reads commits, each once, by one call of git for all that are new."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known: dict[str, Commit] = {}

    def read(self, digests: Iterable[str]) -> dict[str, Commit]:
        """Return what each commit says; nothing but its digest where git cannot read it."""
        digests = list(dict.fromkeys(digests))
        new = [each for each in digests if each not in self._known]
        for digest, content in self._git.contents(new):
            self._known[digest] = _parsed(digest, content or b"")
        return {each: self._known[each] for each in digests}


def _parsed(digest: str, content: bytes) -> Commit:
    """Read a commit as git keeps it: lines of headers, an empty line, the message."""
    head, _, message = content.partition(b"\n\n")
    headers = head.split(b"\n")
    encoding = next((each[9:] for each in headers if each.startswith(b"encoding ")), b"utf-8")
    match = next(filter(None, (_AUTHOR.fullmatch(each[:_LONGEST]) for each in headers)), None)
    subject, _, body = _decoded(message, encoding).strip().partition("\n")
    return Commit(
        digest,
        " ".join(_decoded(match["name"], encoding).split()) if match else "",
        _date(match["time"] or b"0", match["zone"] or b"+0000") if match else "",
        "" if _UNSAID.fullmatch(subject.strip()) else " ".join(subject.split()),
        body.strip(),
    )


def _decoded(text: bytes, encoding: bytes) -> str:
    try:
        decoded = text.decode(encoding.decode("ascii", "replace"), "replace")
    except (LookupError, ValueError):  # an encoding that Python does not know, or no text's
        decoded = text.decode(errors="replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", decoded.replace("\r\n", "\n"))


def _date(seconds: bytes, zone: bytes) -> str:
    offset = int(zone[1:3]) * 60 + int(zone[3:])
    try:
        own = timezone(timedelta(minutes=-offset if zone[:1] == b"-" else offset))
        return datetime.fromtimestamp(int(seconds), UTC).astimezone(own).strftime("%Y-%m-%d %H:%M %z")
    except (ValueError, OverflowError, OSError):
        return ""
