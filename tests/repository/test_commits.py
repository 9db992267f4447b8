"""What commits say, and that nothing of it becomes more than text in TensorBoard."""

import html
import subprocess
import warnings
from pathlib import Path

import pytest

from fashionboard.board import message
from fashionboard.repository.commits import Commit, Commits
from fashionboard.repository.git import Git

HOSTILE = """\
**b** [a](http://x.y) ![i](http://x.y/i.png) <img src=x onerror=alert(1)> | `c` \x1b[31m\u202e

    code
1. one
# head
[ref]: http://x.y
<http://z.z> &lt;script&gt;
===
| a | b |
| - | - |
"""


@pytest.fixture
def made(tmp_path: Path) -> tuple[Git, list[str]]:
    """A repository with commits of every kind; no DVC, no work tree."""

    def git(*arguments: str, given: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=tmp_path, input=given, capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    tree = git("mktree")
    people = f"tree {tree}\nauthor Jos\u00e9 N <j@x> 1503619200 +0530\ncommitter C <c@x> 1503619200 +0000\n"
    latin = people.encode("latin-1") + "encoding ISO-8859-1\n\ngr\u00f6\u00dfer".encode("latin-1")
    contents = [
        f"{people}gpgsig --\n \n  author Evil <e@x> 1 +0000\n --\n\nsubject\n\nthe\nbody\n".encode(),
        latin,
        f"{people}encoding nonsense\n\n\xff".encode("latin-1"),
        f"{people}\ndvc: commit experiment {'ab' * 32}".encode(),
        f"tree {tree}\nauthor <> 99999999999999999999 +9999\ncommitter C <c@x> 1 +0000\n\n".encode(),
        f"{people}\n{HOSTILE}".encode(),
    ]
    store = ("hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    return Git(tmp_path), [git(*store, given=each) for each in contents]


def test_commits_are_read_by_one_call(made: tuple[Git, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    git, digests = made
    calls = []
    start = subprocess.Popen

    def counted(command: list[str], **options: object) -> object:
        calls.append(command)
        return start(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("fashionboard.repository.git.subprocess.Popen", counted)
    commits = Commits(git)
    found = commits.read([*digests, "f" * 40])
    signed, latin, damaged, unsaid, nobody, hostile, gone = found.values()
    assert signed == Commit(digests[0], "José N", "2017-08-25 05:30 +0530", "subject", "the\nbody")
    assert (latin.author, latin.subject) == ("José N", "größer")
    assert damaged.subject and unsaid.subject == unsaid.body == ""
    assert (nobody.author, nobody.date, nobody.subject) == ("", "", "")
    assert "\x1b" not in hostile.subject and "\u202e" not in hostile.subject
    assert gone == Commit("f" * 40)
    assert commits.read(digests) == {each: found[each] for each in digests}
    assert len(calls) == 1


def rendered(markdown: str) -> str:
    """Return the HTML that TensorBoard makes of a text."""
    with warnings.catch_warnings():
        # what it brings along is old
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard import plugin_util
    shown: str = plugin_util.markdown_to_safe_html(markdown)
    return shown


def test_a_message_is_text_alone(made: tuple[Git, list[str]]) -> None:
    git, digests = made
    commit = Commits(git).read(digests)[digests[-1]]
    shown = rendered(message.markdown(commit))
    # what TensorBoard makes of it: the board's own tags, and every letter of the message
    for own in ("<p>", "</p>", "<br>", "<strong>", "</strong>"):
        shown = shown.replace(own, "\n")
    assert "<" not in shown
    lines = {" ".join(line.split()) for line in html.unescape(shown).splitlines()}
    expected = [*commit.subject.splitlines(), *commit.body.splitlines(), f"commit: {commit.digest}"]
    assert {" ".join(line.split()) for line in expected} - lines - {""} == set()
    assert "<img src=x onerror=alert(1)>" in html.unescape(shown)


def test_a_long_message_is_cut() -> None:
    assert len(message.markdown(Commit("1" * 40, body="x" * 100_000))) < 11_000
