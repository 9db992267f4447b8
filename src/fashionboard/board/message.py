"""What a commit says, in TensorBoard's Text tab."""

import re

from fashionboard.repository.commits import Commit

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
        f"**{escaped(commit.subject)}**" if commit.subject else "",
        escaped(body),
        "<br>".join(f"{name}: {escaped(text)}" for name, text in about.items() if text),
    ]
    return "\n\n".join(filter(None, parts))


def escaped(text: str) -> str:
    """Write all but letters and digits of ASCII as HTML's numbers, which Markdown leaves as they are."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "<br>".join(_PUNCTUATION.sub(lambda found: f"&#{ord(found[0])};", line) for line in lines)
