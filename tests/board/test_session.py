"""The command itself: what it refuses, and what it says."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    repository = plain(tmp_path_factory.mktemp("ran") / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


def call(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "board", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(folder: Path, *arguments: str, **environment: str) -> str:
    """Return the one line with which the command ends."""
    done = call(folder, *arguments, **environment)
    assert done.returncode == 1
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    return done.stderr.removeprefix("error: ").strip()


@pytest.mark.slow
def test_an_unknown_revision(ran: Repository) -> None:
    assert refusal(ran.path, "mian") == "expected a revision, found 'mian'; did you mean main?"
    assert not list((ran.path / ".dvc" / "tmp" / "fashionboard" / "board").glob("*"))


def test_no_dvc_repository(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(
        "expected a DVC repository, found: you are not inside of a DVC repository"
    )
    assert refusal(tmp_path, "--repo", str(tmp_path / "gone")).startswith(
        "expected a DVC repository, found: "
    )


def test_dvc_without_git(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.dvc("init", "-q", "--no-scm")
    assert refusal(tmp_path).startswith("expected a git repository, found: ")


def test_a_machine_without_git(ran: Repository, tmp_path: Path) -> None:
    assert "git" in refusal(ran.path, PATH=str(tmp_path))


@pytest.mark.slow
def test_no_event_files_anywhere(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r")
    said = refusal(repository.path, "--no-serve")
    assert said.startswith(
        "expected an output of DVC's with event files (tfevents in their names), found none in "
    )
    assert "workspace, main" in said
    assert refusal(repository.path, "--export-scalars", "-") == said
    # what was named by a name alone gets no runs by waiting
    assert "found none in main; " in refusal(repository.path, "main")


def test_a_lock_that_cannot_be_read_is_skipped(ran: Repository, tmp_path: Path) -> None:
    clone = ran.clone(tmp_path / "clone")
    (clone.path / "dvc.lock").write_text("<<<<<<< HEAD")
    clone.git("commit", "-qam", "broken")
    done = call(clone.path, "main", "HEAD~1", "--no-serve")
    assert done.returncode == 0
    assert "main (" in done.stderr and "): dvc.lock cannot be read; skipped" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["name", "main", "HEAD~1"]


@pytest.mark.slow
def test_the_table_and_the_view_of_a_subfolder(tmp_path: Path) -> None:
    inner = plain(tmp_path / "r", subdir=True)
    inner.dvc("repro", "-q")
    inner.git("add", "-A")
    inner.git("commit", "-qm", "run")
    done = call(tmp_path, "--no-serve", "--repo", str(inner.path))
    assert done.returncode == 0 and done.stderr == ""
    header, *lines, folder = done.stdout.splitlines()
    assert header.split() == ["name", "revision", "stages", "files", "size", "state", "author", "subject"]
    assert lines[1].split()[-3:] == ["commit", "Test", "run"]
    assert [line.split()[0] for line in lines] == ["workspace", "main"]
    (link,) = Path(folder).glob("main/train/*tfevents*")
    assert link.resolve().is_relative_to(inner.path / ".dvc" / "cache")
    assert inner.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_all_commits_are_those_with_outputs_of_their_own(ran: Repository, tmp_path: Path) -> None:
    clone = ran.clone(tmp_path / "clone")
    clone.git("commit", "-q", "--allow-empty", "-m", "nothing")
    clone.set({"train.lr": 0.25})
    clone.dvc("repro", "-q")
    clone.git("commit", "-qam", "other")
    done = call(clone.path, "--all-commits", "--no-serve")
    middle = clone.git("rev-parse", "--short=7", "HEAD~1").strip()
    assert [line.split()[0] for line in done.stdout.splitlines()[1:-1]] == ["workspace", "main", middle]
    # the pipeline without a run, and the run itself, whose outputs the empty commit has, too
    assert "2 commits are left out" in done.stderr


def test_a_port_in_use_gives_the_next_one(ran: Repository) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with board(ran.path, "--port", str(port)) as served:
            assert f"port {port} is in use, so this is on " in served.said
            assert get(served.address, "environment")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--nonsense"], "unrecognized arguments: --nonsense"), (["--load_fast=x"], "invalid choice")],
)
def test_arguments_that_tensorboard_does_not_know(ran: Repository, arguments: list[str], reason: str) -> None:
    done = call(ran.path, "--port", "0", "--", *arguments)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: expected arguments for TensorBoard after --, found: ") and reason in last
    folder = ran.path / ".dvc" / "tmp" / "fashionboard" / "board"
    assert not [path for path in folder.iterdir() if path.name != "view"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65536"],
        ["--port", "x"],
        ["--view"],
        ["--nonsense"],
        ["-n", "0"],
        ["-n", "x"],
        ["--sort", ""],
        ["--where", "accuracy"],
    ],
)
def test_a_wrong_command_line_tells_the_usage(ran: Repository, arguments: list[str]) -> None:
    done = call(ran.path, *arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: fashionboard board [REV ...] ")


def test_a_folder_of_somebody_elses_is_not_taken_for_the_view(ran: Repository, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    assert "expected a new or empty folder for the view" in refusal(
        ran.path, "--view", str(tmp_path), "--no-serve"
    )
    assert (tmp_path / "mine").exists()


def test_a_table_that_cannot_be_written(ran: Repository, tmp_path: Path) -> None:
    done = call(ran.path, "--export-scalars", str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_table_goes_where_it_is_told(ran: Repository, tmp_path: Path) -> None:
    done = call(ran.path, "main", "--export-scalars", "-")
    rows = done.stdout.splitlines()
    assert rows[0] == "run,stage,tag,step,value" and len(rows) == 6
    assert done.stderr.startswith("name ")
    # a link is followed, and a pipe is written to; neither is replaced
    (tmp_path / "link").symlink_to(tmp_path / "target")
    call(ran.path, "main", "--export-scalars", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text().splitlines() == rows
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        call(ran.path, "main", "--export-scalars", str(tmp_path / "pipe"))
        assert reader.communicate(timeout=20)[0].splitlines() == rows
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.slow
def test_a_revision_that_is_removed_while_the_board_is_open(ran: Repository, tmp_path: Path) -> None:
    clone = ran.clone(tmp_path / "clone")
    clone.git("branch", "other")
    with board(clone.path, "main", "other") as served:
        clone.git("branch", "-D", "other")
        eventually(lambda: "other: gone\n" in served.said, True)
        assert served.process.poll() is None


@pytest.mark.slow
def test_ctrl_c_while_tensorboard_starts_is_no_error(ran: Repository) -> None:
    for seconds in (0.9, 1.2, 1.5, 1.8):
        command = [PROGRAM, "board", "--port", "0"]
        with subprocess.Popen(
            command, cwd=ran.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            try:
                assert "expected" not in process.communicate(timeout=60)[1]
            finally:
                process.kill()
        assert process.returncode in (0, 130)


@pytest.mark.slow
def test_a_signal_whose_exception_was_lost_ends_the_board_all_the_same(ran: Repository) -> None:
    lost = "import sys; from fashionboard import cli; cli.ending.told.append(2); cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", lost, "board", "--port", "0"],
        cwd=ran.path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0 and done.stdout.endswith("closed\n"), done.stdout + done.stderr


def test_somebody_who_stops_reading_is_no_error(ran: Repository) -> None:
    done = subprocess.run(
        f"{PROGRAM} board main --no-serve | true",
        shell=True,
        cwd=ran.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_a_terminal_without_letters_shows_codes(ran: Repository, tmp_path: Path) -> None:
    clone = ran.clone(tmp_path / "clone")
    clone.git("branch", "größe")
    done = call(clone.path, "größe", "--no-serve", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "gr\\xf6\\xdfe" in done.stdout


def test_a_view_within_git_or_the_cache_is_refused(ran: Repository) -> None:
    for place in (".git/x", ".dvc/cache/x"):
        assert "expected a folder of your own for the view" in refusal(
            ran.path, "--no-serve", "--view", place
        )


def test_a_mistyped_revision_leaves_the_last_view(ran: Repository) -> None:
    folder = Path(call(ran.path, "main", "--no-serve").stdout.splitlines()[-1])
    refusal(ran.path, "mian", "--no-serve")
    assert (folder / "main").is_dir()


def test_a_remote_that_needs_a_missing_package(ran: Repository, tmp_path: Path) -> None:
    clone = ran.clone(tmp_path / "clone", cache="none")
    clone.dvc("remote", "add", "-d", "far", "oss://bucket/x")
    assert "requires" in refusal(clone.path, "main", "--fetch", "--no-serve")


@pytest.mark.parametrize("option", ["--logdir=x", "--port=1"])
def test_what_is_the_boards_own_is_refused_after_the_dashes(ran: Repository, option: str) -> None:
    done = call(ran.path, "--port", "0", "--", option)
    assert done.returncode == 1 and "it is the board's own" in done.stderr


def test_a_board_under_nohup_outlives_its_terminal(ran: Repository, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            ["nohup", PROGRAM, "board", "--port", "0"],
            cwd=ran.path,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "TensorBoard is at" in (tmp_path / "said").read_text(), True)
        process.send_signal(signal.SIGHUP)
        address = (tmp_path / "said").read_text().split("TensorBoard is at ")[1].split()[0].rstrip("/")
        eventually(lambda: "workspace/train" in (get(address, "runs") or []), True)
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(10) == 0
