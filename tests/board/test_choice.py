"""What a person asks the board for beside revisions, and what it says of it: the command and TensorBoard."""

import fcntl
import hashlib
import html
import json
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.board.test_session import PROGRAM, call, refusal
from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get, rows

SAID = "try it [a](http://x.y) ![i](http://x.y/i.png)"
RATES = {"lr-a": 0.1, "lr-b": 0.2, "日本": 0.3}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A run on main, one experiment by DVC with a message, and others as DVC would have made them."""
    repository = plain(tmp_path_factory.mktemp("many") / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "first run")
    repository.dvc("exp", "run", "-q", "-n", "lr-a", "-S", "train.lr=0.1", "-m", SAID)
    repository.git("reset", "-q", "--hard")
    for name, lr in list(RATES.items())[1:]:
        add(repository, name, lr)
    return repository


def add(repository: Repository, name: str, lr: float, kept: bool = True) -> None:
    """Add an experiment from HEAD with another rate and loss; kept: whether the cache has its metrics."""
    metrics = json.dumps({"final": {"loss": lr}}).encode()
    md5 = hashlib.md5(metrics).hexdigest()
    if kept:
        cached = repository.path / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_bytes(metrics)
    start = repository.git("rev-parse", "HEAD").strip()
    lock = repository.git("show", "HEAD:dvc.lock")
    (old,) = {line.split()[1] for line in lock.split("path: metrics.json")[1].splitlines() if "md5: " in line}
    changed = lock.replace(old, md5).replace("lr: 0.5", f"lr: {lr}")
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=repository.path,
        input=changed,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    index = str(repository.path / ".git" / "other")
    repository.run("git", "read-tree", "HEAD", GIT_INDEX_FILE=index)
    repository.run("git", "update-index", "--cacheinfo", f"100644,{blob},dvc.lock", GIT_INDEX_FILE=index)
    tree = repository.run("git", "write-tree", GIT_INDEX_FILE=index).stdout.strip()
    commit = repository.git("commit-tree", tree, "-p", start, "-m", f"dvc: commit experiment {md5}").strip()
    repository.git("update-ref", f"refs/exps/{start[:2]}/{start[2:]}/{name}", commit)


def names(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the first column of the table."""
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines()[1:-1]]


@pytest.mark.slow
def test_conditions_choose_and_an_order_sorts(many: Repository) -> None:
    done = call(many.path, "--no-serve", "--where", "loss<0.4", "--where", "train.lr>=0.2", "--sort", "-loss")
    assert names(done) == ["日本", "lr-b", "workspace"]
    assert done.stdout.splitlines()[0].split()[6:8] == ["final/loss", "train.lr"]
    assert done.stdout.splitlines()[1].split()[7:9] == ["0.3", "0.3"]
    assert done.stderr == "--where leaves out main, lr-a\n"
    view = Path(done.stdout.splitlines()[-1])
    assert {each.name for each in view.iterdir() if each.is_dir()} == {"workspace", "lr-b", "日本"}
    # main was asked for by its name, the experiments were not
    assert names(call(many.path, "main", "lr-*", "--no-serve", "--where", "loss>0.15", "--sort=loss")) == [
        "lr-b",
        "main",
    ]
    said = refusal(many.path, "--no-serve", "--where", "los<1")
    assert said.startswith(
        "expected a metric or parameter of what is shown, found 'los'; did you mean final/loss"
    )


def test_points_of_what_is_chosen_are_exported(many: Repository) -> None:
    done = call(many.path, "lr-*", "--where", "loss<0.15", "--export-scalars", "-")
    assert {line.split(",")[0] for line in done.stdout.splitlines()[1:]} == {"lr-a"}


@pytest.mark.slow
def test_a_number_of_commits_a_range_and_a_pattern(many: Repository) -> None:
    first = many.git("rev-parse", "--short=7", "HEAD~1").strip()
    assert names(call(many.path, "--no-serve", "-n", "2")) == ["workspace", "main", first, *RATES]
    assert names(call(many.path, "--no-serve", "HEAD~1..lr-a")) == ["lr-a", "main"]
    assert names(call(many.path, "--no-serve", "lr-*")) == ["lr-a", "lr-b"]


@contextmanager
def terminal(columns: int) -> Iterator[tuple[int, int]]:
    """Yield both ends of a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def test_a_terminal_cuts_a_subject_and_a_pipe_does_not(many: Repository) -> None:
    assert SAID in call(many.path, "--no-serve").stdout
    with terminal(90) as (ours, theirs):
        command = [PROGRAM, "board", "lr-a", "main", "--no-serve"]
        with subprocess.Popen(command, cwd=many.path, stdout=theirs) as process:
            os.close(theirs)
            process.wait(60)
        lines = os.read(ours, 100_000).decode().splitlines()
    assert lines[1].startswith("lr-a") and lines[1].endswith("...") and len(lines[1]) <= 90
    assert SAID not in lines[1] and "try it" in lines[1]


@pytest.mark.parametrize("fast", ["true", "false"])
def test_what_was_said_is_in_the_text_tab(many: Repository, fast: str) -> None:
    with board(many.path, "--", f"--load_fast={fast}") as served:
        tags = {"main": ["commit"], **{name: ["commit"] for name in RATES}}
        eventually(lambda: get(served.address, "plugin/text/tags"), tags)
        for name, subject in (("lr-a", SAID), ("main", "first run")):
            (shown,) = get(served.address, "plugin/text/text", run=name, tag="commit", markdown="true")
            assert f"<strong>{subject}</strong>" in html.unescape(shown["text"])
            assert "author: Test" in html.unescape(shown["text"])
            assert "<a" not in shown["text"] and "<img" not in shown["text"]
        # a run that only says something is no row and no curve
        eventually(lambda: set(rows(served.address)), set(RATES))
        assert "main" not in get(served.address, "plugin/scalars/tags")


@pytest.mark.slow
def test_a_window_bears_the_name_of_its_repository_and_revisions(many: Repository) -> None:
    def title(*arguments: str) -> str:
        with board(many.path, *arguments) as served:
            found: str = get(served.address, "environment")["window_title"]
            return found

    assert title() == "r"
    assert title("main", "lr-*") == "r main lr-*"
    assert title("main", "--", "--window_title=mine") == "mine"


@pytest.mark.slow
def test_a_pattern_stays_live(many: Repository, tmp_path: Path) -> None:
    clone = many.clone(tmp_path / "clone")
    clone.git("branch", "lr-0")
    with board(clone.path, "lr-*") as served:
        add(clone, "lr-later", 0.4)
        eventually(lambda: "lr-later: experiment\n" in served.said, True)
        eventually(lambda: {"lr-later", "lr-later/train"} <= set(get(served.address, "runs")), True)


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_a_board_waits_for_the_first_run(tmp_path: Path, fast: str) -> None:
    repository = plain(tmp_path / "r")
    with board(repository.path, "--sort", "final/loss", "--", f"--load_fast={fast}") as served:
        eventually(
            lambda: "nothing to show yet: waiting for an output of DVC's with event files" in served.said,
            True,
        )
        eventually(lambda: get(served.address, "plugin/text/tags"), {"main": ["commit"]})
        repository.dvc("repro", "-q")
        eventually(lambda: "the first event files are there: workspace\n" in served.said, True)
        loss = {"run": "workspace/train", "tag": "loss"}
        eventually(lambda: len(get(served.address, "plugin/scalars/scalars", **loss) or []), 5)
        repository.git("commit", "-qam", "first run")
        eventually(lambda: get(served.address, "plugin/scalars/tags").get("main/train") is not None, True)


@pytest.mark.slow
def test_nothing_is_awaited_where_nothing_can_come(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r")
    (repository.path / "dvc.yaml").unlink()
    assert "expected an output of DVC's with event files" in refusal(repository.path)
    repository.git("checkout", "-q", ".")
    assert "expected a revision, found 'mian'" in refusal(repository.path, "mian")


@pytest.mark.slow
def test_a_thousand_that_are_not_in_the_cache_are_one_line(many: Repository, tmp_path: Path) -> None:
    clone = many.clone(tmp_path / "clone")
    for number in range(2):
        add(clone, f"exp-{number}", 0.6 + number, kept=False)
    few = call(clone.path, "--no-serve").stderr.splitlines()
    assert [line.partition(": not in the cache: metrics.json; ")[0] for line in few] == ["exp-0", "exp-1"]
    add(clone, "exp-2", 0.8, kept=False)
    add(clone, "exp-3", 0.9, kept=False)
    clone.dvc("remote", "add", "-d", "far", str(tmp_path / "far"))
    (line,) = call(clone.path, "main", "exp-*", "--no-serve", "--experiments").stderr.splitlines()
    assert line == (
        "4 experiments lack outputs in the cache (metrics.json): exp-0, exp-1, exp-2 and 1 more; "
        "to bring them: fashionboard board --fetch main 'exp-*' --experiments"
    )
    # what --where asks for may be what is missing
    hidden = call(clone.path, "--no-serve", "--where", "loss>0.5").stderr
    assert "4 experiments lack outputs in the cache" in hidden


def test_tensorboards_own_help(tmp_path: Path) -> None:
    # in any folder
    done = call(tmp_path, "--", "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: tensorboard") and "--window_title" in done.stdout
