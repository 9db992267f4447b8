"""`fashionboard restore` in repositories of every form: it loses nothing and reaches nothing outside."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fashionboard.base.errors import FashionboardError
from fashionboard.restore import session
from fashionboard.restore.kept import Kept
from tests.support.repository import Repository

# DVC's own command, killed after its first checkout that discards changes, or after its commit
KILLED = """
import os, signal, sys
from scmrepo.git import Git
name = sys.argv.pop(1)
method = getattr(Git, name)
def once(self, *arguments, **options):
    method(self, *arguments, **options)
    if name == "commit" or options.get("force"):
        os.kill(os.getpid(), signal.SIGKILL)
setattr(Git, name, once)
from dvc.cli import main
sys.exit(main(sys.argv[1:]))
"""


def back(repository: Repository, *options: str) -> str:
    return repository.run("fashionboard", "restore", *options).stdout


def refused(repository: Repository, *options: str) -> str:
    done = repository.run("fashionboard", "restore", *options, check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .*\n", done.stdout), done.stdout
    return done.stdout


def kept(repository: Repository) -> dict[str, str]:
    """What restore has moved, by path."""
    found: dict[str, str] = {}
    for folder in (repository.path / ".dvc" / "tmp" / "fashionboard" / "kept").iterdir():
        for path in folder.rglob("*"):
            if path.is_symlink():
                found[path.relative_to(folder).as_posix()] = f"-> {path.readlink()}"
            elif path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_text()
    return found


def kill(repository: Repository, *arguments: str, after: str = "checkout") -> None:
    """Run DVC and kill it: by default where only its own ref holds what a person has changed."""
    done = repository.run(sys.executable, "-c", KILLED, after, "exp", "run", *arguments, check=False)
    assert done.returncode == -signal.SIGKILL, done.stdout


def outside(tmp_path: Path) -> Path:
    """A folder of the person's that a link in the repository leads to."""
    folder = tmp_path / "outside"
    for name in ("tmpme/f", "workspace/f", "run/x/f", "f", ".x.4194999.partial", "empty", "net"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if name in ("empty", "net") else "src\n")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_changes_that_only_a_killed_run_holds_are_kept_also_after_a_commit(small: Repository) -> None:
    (small.path / "notes").write_text("mine\n")
    kill(small, "-S", "s=5")
    assert (small.path / "notes").read_text() == "n\n"
    small.git("commit", "-qm", "other", "--allow-empty")
    assert "from-the-run/notes" in back(small)
    assert kept(small)["from-the-run/notes"] == "mine\n"
    assert small.git("stash", "list") == ""


@pytest.mark.slow
def test_an_experiments_own_commit_becomes_no_part_of_the_branch(small: Repository) -> None:
    head = small.git("rev-parse", "HEAD")
    (small.path / "notes").write_text("mine\n")
    kill(small, "-S", "s=5", after="commit")
    assert small.git("rev-parse", "HEAD") != head
    assert "on branch main" in back(small)
    assert small.git("rev-parse", "HEAD") == head
    assert (small.path / "notes").read_text() == "mine\n"
    assert "up to date" in small.dvc("status")


@pytest.mark.slow
def test_changes_beside_a_repository_in_a_subfolder_are_kept(made: Path, tmp_path: Path) -> None:
    top = Repository(tmp_path / "top")
    inner = Repository(shutil.copytree(made, top.path / "in" / "sub", ignore=shutil.ignore_patterns(".git")))
    top.git("init", "-q", "-b", "main")
    top.git("config", "user.name", "Test")
    top.git("config", "user.email", "test@localhost")
    (top.path / "notes").write_text("n\n")
    inner.dvc("config", "core.no_scm", "false")
    top.git("add", "-A")
    top.git("commit", "-qm", "all")
    (top.path / "notes").write_text("mine\n")
    kill(inner, "-f")
    back(inner)
    assert kept(inner)["from-the-run/notes"] == "mine\n"


@pytest.mark.slow
def test_what_is_staged_alone_is_kept(small: Repository) -> None:
    (small.path / "params.yaml").write_text("s: 1 # mine\n")
    small.git("add", "params.yaml")
    (small.path / "params.yaml").write_text("s: 0\n")
    back(small)
    assert kept(small) == {"params.yaml.staged": "s: 1 # mine\n"}
    assert small.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_links_and_pipes_among_outputs_are_moved(small: Repository) -> None:
    (small.path / "out" / "link").symlink_to("/some/file")
    os.mkfifo(small.path / "out" / "pipe")
    (small.path / "params.yaml").unlink()
    os.mkfifo(small.path / "params.yaml")
    assert "out/link" in back(small)
    assert kept(small) == {"out/link": "-> /some/file"}
    assert (small.path / "params.yaml").read_text() == "s: 0\n"
    assert sorted(path.name for path in (small.path / "out").iterdir()) == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "link",
    [
        ".dvc/tmp/exps/standalone",
        ".dvc/tmp/exps/standalone/run",
        ".dvc/tmp/exps/run",
        ".dvc/tmp/fashionboard",
        ".dvc/tmp/exps",
        "out",
        "models",
    ],
)
def test_nothing_outside_is_written_or_removed_through_a_link(
    small: Repository, tmp_path: Path, link: str
) -> None:
    other = outside(tmp_path)
    before, place = contents(other), small.path / link
    if place.exists():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(other)
    assert "found a symbolic link" in refused(small)
    assert contents(other) == before


@pytest.mark.slow
def test_no_program_of_the_repository_is_run(small: Repository) -> None:
    for name in ("dvc.py", "json.py"):
        (small.path / name).write_text("open('run', 'w')\n")
    back(small)
    assert not (small.path / "run").exists()


@pytest.mark.slow
def test_a_commit_that_was_checked_out_on_purpose_moves_no_branch(small: Repository) -> None:
    head = small.git("rev-parse", "HEAD")
    small.git("switch", "-qc", "feature")
    small.git("commit", "-qm", "f", "--allow-empty")
    small.git("switch", "-q", "main")
    small.git("checkout", "-q", small.git("rev-parse", "feature").strip())
    assert "on branch" not in back(small)
    assert small.git("rev-parse", "main") == head
    assert small.run("git", "symbolic-ref", "-q", "HEAD", check=False).returncode == 1


def test_a_merge_in_progress_is_left_alone(small: Repository) -> None:
    small.git("switch", "-qc", "other")
    (small.path / "notes").write_text("theirs\n")
    small.git("commit", "-qam", "theirs")
    small.git("switch", "-q", "main")
    (small.path / "notes").write_text("ours\n")
    small.git("commit", "-qam", "ours")
    small.run("git", "merge", "-q", "other", check=False)
    before = small.git("status", "--porcelain")
    assert "expected no merge in progress" in refused(small)
    assert small.git("status", "--porcelain") == before


def test_a_git_that_waits_for_its_editor_keeps_its_lock(small: Repository, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text(
        f'#!/bin/sh\ntouch {tmp_path}/open; while [ -e {tmp_path}/open ]; do sleep .1; done; echo m > "$1"\n'
    )
    editor.chmod(0o755)
    (small.path / "notes").write_text("mine\n")
    environment = {**small.environment(), "GIT_EDITOR": str(editor)}
    git = subprocess.Popen(["git", "commit", "-qa"], cwd=small.path, env=environment)
    while not (tmp_path / "open").exists():
        time.sleep(0.05)
    assert f"expected no git at work, found `git commit -qa` (process {git.pid})" in refused(small)
    (tmp_path / "open").unlink()
    assert git.wait() == 0
    assert small.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_run_in_another_worktree_is_not_disturbed(small: Repository, tmp_path: Path) -> None:
    small.git("worktree", "add", "-q", str(tmp_path / "tree"))
    other = Repository(tmp_path / "tree")
    with contextlib.ExitStack() as stack:
        dvc = subprocess.Popen(
            [sys.executable, "-u", "-m", "dvc", "exp", "run", "--set-param", "s=7"],
            cwd=other.path,
            env=other.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.kill(dvc.pid, signal.SIGSTOP)
        stack.callback(dvc.wait)
        stack.callback(dvc.kill)
        time.sleep(0.2)
        assert f"(process {dvc.pid})" in refused(small)


@pytest.mark.slow
def test_outputs_that_git_keeps_and_lock_files_in_folders_come_back(small: Repository) -> None:
    (small.path / "numbers.json").write_text("[]")
    back(small)
    assert kept(small) == {"numbers.json": "[]"}
    assert small.git("status", "--porcelain") == ""
    assert "up to date" in small.dvc("status")


@pytest.mark.slow
def test_what_an_experiment_holds_is_not_kept_once_more(small: Repository) -> None:
    small.dvc("exp", "run", "-q", "-n", "five", "-S", "s=5")
    assert "5" in (small.path / "params.yaml").read_text()
    assert "Kept" not in back(small)
    small.dvc("exp", "apply", "five")
    assert "Kept" not in back(small)
    assert (small.path / "params.yaml").read_text() == "s: 0\n"


@pytest.mark.slow
def test_line_ends_of_a_persons_choice_are_no_change(small: Repository) -> None:
    small.git("config", "core.autocrlf", "true")
    for name in ("params.yaml", "dvc.lock"):
        (small.path / name).unlink()
        small.git("checkout", "HEAD", "--", name)
    assert b"\r\n" in (small.path / "params.yaml").read_bytes()
    assert "Kept" not in back(small)


def test_two_restores_never_share_a_folder(tmp_path: Path) -> None:
    first, second = Kept(tmp_path), Kept(tmp_path)
    for number, one in enumerate((first, second)):
        (tmp_path / "params.yaml").write_text(str(number))
        one.move("params.yaml")
    assert [(one.folder / "params.yaml").read_text() for one in (first, second)] == ["0", "1"]


def test_a_kept_file_shares_nothing_with_the_cache(small: Repository) -> None:
    small.dvc("config", "cache.type", "hardlink")
    small.dvc("checkout", "--relink")
    net = small.path / "models" / "net"
    assert net.stat().st_nlink > 1
    Kept(small.path).move("models/net")
    assert all(path.stat().st_nlink == 1 for path in (small.path / ".dvc/tmp/fashionboard/kept").rglob("net"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [".x.partial", ".x.99999999999999999999.partial", ".x.4199999.partial/f"])
def test_what_only_looks_like_a_half_file_stays(small: Repository, name: str) -> None:
    path = small.path / ".dvc" / "tmp" / "fashionboard" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    back(small)
    assert path.exists()


@pytest.mark.parametrize("name", [".dvc/tmp/fashionboard", ".dvc/tmp/fashionboard/kept"])
def test_a_file_in_the_place_of_its_folder_is_one_line(small: Repository, name: str) -> None:
    path = small.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (small.path / "params.yaml").write_text("s: 3\n")
    assert "found something else" in refused(small)
    assert (small.path / "params.yaml").read_text() == "s: 3\n"


def test_a_failure_names_what_was_moved(small: Repository) -> None:
    (small.path / "params.yaml").write_text("s: 3\n")
    (small.path / "dvc.yaml").write_text("stages: [")
    assert re.search(r"params\.yaml was moved to .*/kept/", refused(small))


def test_a_wrong_folder_is_refused(small: Repository) -> None:
    for name in ("nosuch/folder", "notes"):
        with pytest.raises(FashionboardError, match="expected a folder of a DVC repository"):
            session.repository(small.path / name)


@pytest.mark.slow
def test_only_a_run_in_the_repository_itself_stands_in_the_way(small: Repository, tmp_path: Path) -> None:
    script = tmp_path / "dvc"
    script.write_text("import time; time.sleep(60)")
    inner = small.path / "nested"
    (inner / ".dvc").mkdir(parents=True)
    for command, folder, stands in (
        ("queue start", small.path, False),
        ("repro", inner, False),
        ("repro", small.path / "out", True),
    ):
        program = subprocess.Popen([sys.executable, str(script), *command.split()], cwd=folder)
        try:
            if stands:
                assert f"found `dvc repro` (process {program.pid})" in refused(small)
            else:
                assert "Back at commit" in back(small)
        finally:
            program.kill()
            program.wait()
