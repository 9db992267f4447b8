"""What one look at a repository finds ends no board: it is told in one line, and the rest is shown."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from fashionboard.base.errors import FashionboardError
from fashionboard.board.board import Board
from fashionboard.board.view import View
from fashionboard.repository.cache import Cache
from fashionboard.repository.revisions import Request
from tests.support import rights
from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get

_S3 = '{"stages": {"far": {"cmd": "true", "deps": ["s3://bucket/x"], "outs": ["far"]}}}'


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a run in its one commit, and another in its workspace."""
    repository = plain(tmp_path_factory.mktemp("ran") / "r")
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    return repository


@pytest.fixture
def copy(ran: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(ran.path, tmp_path / "copy", symlinks=True)
    return Repository(tmp_path / "copy")


def opened(repository: Repository, view: View) -> Board:
    with Repo(str(repository.path)) as repo:
        cache, tmp = Path(repo.cache.local_cache_dir), Path(repo.tmp_dir)
    return Board(repository.path, Cache(cache), tmp, Request(), view)


def write(name: str, content: bytes) -> Callable[[Path], int]:
    """Return what writes a file of the workspace."""
    return lambda folder: (folder / name).write_bytes(content)


DAMAGES = {
    # DVC's plugin for s3 is not installed
    "a dependency on s3": (write("far/dvc.yaml", _S3.encode()), "far/dvc.yaml:far: "),
    "a date": (write("params.yaml", b"train: {since: 2020-01-01, lr: .nan}"), "dvc.yaml: "),
    "no text": (write(".dvcignore", b"\xff\xfe\x00"), "workspace: "),
    "deep": (write("params.yaml", b"train: " + b"{a: " * 1500 + b"1" + b"}" * 1500), "dvc.yaml: "),
    "recursive": (write("params.yaml", b"train: &a {b: *a}"), "dvc.yaml: "),
    "a zero byte": (
        write("far/dvc.yaml", b'stages: {z: {cmd: "true", outs: ["a\\0b"]}}'),
        "far/dvc.yaml:z: ",
    ),
    "no mapping": (write("dvc.yaml", b"[1, 2]"), "dvc.yaml: "),
    "no metrics": (write("far/dvc.yaml", b"metrics: [{}]"), "far/dvc.yaml: "),
    "git's configuration": (write(".git/config", b"[core\n"), "the repository: "),
    "DVC's configuration": (write(".dvc/config", b"[core\nx"), "workspace: "),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_told_and_forgotten_when_it_is_mended(
    copy: Repository, name: str, tmp_path: Path
) -> None:
    damage, told = DAMAGES[name]
    (copy.path / "far").mkdir()
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one.update()
        assert one.unread == [] and set(one.groups) == {"workspace", "main"}
        shown = {each: group.files.keys() for each, group in one.groups.items()}
        assert all(len(files) == 1 for files in shown.values())
        before = {path: path.read_bytes() for path in copy.path.rglob("*") if path.is_file()}
        damage(copy.path)
        for _ in range(2):
            one.update()
            # what was known stays
            assert {each: group.files.keys() for each, group in one.groups.items()} == shown
            (line,) = one.unread
            assert told in line and "\n" not in line
        for path in {path for path in copy.path.rglob("*") if path.is_file()} - before.keys():
            path.unlink()
        for path, content in before.items():
            if not path.is_relative_to(copy.path / ".dvc" / "cache"):
                path.write_bytes(content)
        one.update()
        assert one.unread == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_a_board_that_opens_says_it_in_a_line(copy: Repository, name: str, tmp_path: Path) -> None:
    damage, told = DAMAGES[name]
    (copy.path / "far").mkdir()
    damage(copy.path)
    program = str(Path(sys.executable).with_name("fashionboard"))
    done = subprocess.run(
        [program, "board", "--no-serve", "--view", str(tmp_path / "view")],
        cwd=copy.path,
        env=copy.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    # there is no repository for git, or for DVC, with these
    closed = "configuration" in name or name == "no text"
    assert line.startswith("error: ") if closed else told in line
    assert done.returncode == closed


def test_a_missing_tree_hides_one_commit_alone(copy: Repository, tmp_path: Path) -> None:
    (copy.path / "other").write_text("another tree")
    copy.git("checkout", "-q", "-b", "damaged")
    copy.git("add", "-A")
    copy.git("commit", "-qm", "more")
    tree = copy.git("rev-parse", "damaged^{tree}").strip()
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one._request = Request(("main", "damaged"))
        one.update()
        assert {each: len(group.files) for each, group in one.groups.items()} == {"main": 1, "damaged": 1}
        assert one.unread == []
    (copy.path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one._request = Request(("main", "damaged"))
        one.update()
        assert {each: len(group.files) for each, group in one.groups.items()} == {"main": 1, "damaged": 0}
        (line,) = one.unread
        assert line.startswith("damaged (") and line.count("git lacks") == 1


@pytest.mark.slow
def test_a_commit_that_comes_while_it_cannot_be_read_is_read_later(copy: Repository, tmp_path: Path) -> None:
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one._request = Request(all_commits=True)
        one.update()
        for lr in (0.25, 0.125):
            copy.set({"train.lr": lr})
            copy.dvc("repro", "-q")
            copy.git("commit", "-qam", "other")
        commit, tree = copy.git("rev-parse", "HEAD~1", "HEAD~1^{tree}").split()
        stored = copy.path / ".git" / "objects" / tree[:2] / tree[2:]
        stored.rename(tmp_path / "away")
        one.update()
        assert [line for line in one.unread if line.startswith(f"{commit[:7]} (") and "git lacks" in line]
        # it goes and comes again
        head = copy.git("rev-parse", "HEAD").strip()
        for elsewhere in ("HEAD~2", head):
            copy.git("update-ref", "refs/heads/main", elsewhere)
            one.update()
        (tmp_path / "away").rename(stored)
        for _ in range(2):
            one.update()
        assert one.unread == []
        shown = {each: group.files.keys() for each, group in one.groups.items()}
    with View(tmp_path / "other") as view:
        new = opened(copy, view)
        new._request = Request(all_commits=True)
        new.update()
        assert shown == {each: group.files.keys() for each, group in new.groups.items()}
        assert commit[:7] in shown and one.left_out == new.left_out == 1


def test_a_list_that_names_a_file_and_a_folder_alike(copy: Repository, tmp_path: Path) -> None:
    """A manifest with `tfevents` and `tfevents/x`: no disk can hold both."""
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one.update()
        (events,) = one.groups["main"].files.values()
        md5 = events.parent.name + events.name
        listed = [{"md5": md5, "relpath": name} for name in ("tfevents", "tfevents/x", "y.tfevents")]
        (path,) = (path for path in (copy.path / ".dvc" / "cache").rglob("*.dir"))
        path.chmod(0o644)
        path.write_text(json.dumps(listed))
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one.update()
        assert [line for line in one.unread if line.startswith("main: ")] and len(one.unread) == 1
        assert (tmp_path / "view" / "main" / "train" / "y.tfevents").exists()
        assert len(list((tmp_path / "view" / "workspace").rglob("*tfevents*"))) == 1


@pytest.mark.slow
def test_a_repository_that_goes_away_for_a_while(copy: Repository) -> None:
    with board(copy.path) as served:

        def runs() -> set[str]:
            return set(get(served.address, "runs") or [])

        eventually(lambda: runs() >= {"workspace/train", "main/train"}, True)
        (copy.path / ".git").rename(copy.path / "away")
        eventually(lambda: "the repository: " in served.said, True)
        assert runs() >= {"workspace/train", "main/train"}
        (copy.path / "away").rename(copy.path / ".git")
        copy.dvc("exp", "run", "-q", "-n", "later", "-S", "train.lr=0.1")
        eventually(lambda: "later/train" in runs(), True)
        assert served.said.count("the repository: ") == 1 and "Traceback" not in served.said
        assert served.process.poll() is None


@rights.needed
@pytest.mark.parametrize(
    ("closed", "said"),
    [
        (".dvc/cache/files", "cannot be read"),
        (".dvc/tmp", "with --view"),
    ],
)
def test_a_folder_without_permission(copy: Repository, closed: str, said: str) -> None:
    folder = copy.path / closed
    mode = folder.stat().st_mode
    folder.chmod(0o555 if closed == ".dvc/tmp" else 0)
    try:
        program = str(Path(sys.executable).with_name("fashionboard"))
        done = subprocess.run(
            rights.without(program, "board", "--no-serve"),
            cwd=copy.path,
            env=copy.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        folder.chmod(mode)
    assert "Traceback" not in done.stderr and "written" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr


@pytest.mark.slow
def test_a_full_disk_is_told_and_tried_again(copy: Repository, tmp_path: Path) -> None:
    """On a disk of 16 pages of its own, which only this process sees."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    (tmp_path / "disk").mkdir()
    program = Path(sys.executable).with_name("fashionboard")
    script = f"""
mount -t tmpfs -o size=64k none {tmp_path}/disk
dd if=/dev/zero of={tmp_path}/disk/filler bs=1k count=60 2> /dev/null
{program} board --port 0 --view {tmp_path}/disk/view > {tmp_path}/said 2>&1 &
echo $!
read line
dd if=/dev/zero of={tmp_path}/disk/rest bs=1k count=60 2> /dev/null
read line
rm {tmp_path}/disk/filler {tmp_path}/disk/rest
read line
kill $!
wait
"""
    shell = subprocess.Popen(
        ["unshare", "-m", "bash", "-c", script],
        cwd=copy.path,
        env={**copy.environment(), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin and shell.stdout

    def said() -> str:
        return (tmp_path / "said").read_text() if (tmp_path / "said").exists() else ""

    def go_on() -> None:
        assert shell.stdin
        shell.stdin.write("\n")
        shell.stdin.flush()

    eventually(lambda: "TensorBoard is at" in said(), True)
    go_on()
    copy.dvc("exp", "run", "-q", "-n", "later", "-S", "train.lr=0.1")
    eventually(lambda: "No space left on device; trying again" in said(), True)
    go_on()
    address = said().split("TensorBoard is at ")[1].split()[0].rstrip("/")
    eventually(lambda: "later/train" in (get(address, "runs") or []), True)
    go_on()
    shell.communicate()
    assert "Traceback" not in said() and said().endswith("closed\n")


def test_an_unknown_error_at_the_start_is_a_line(copy: Repository, tmp_path: Path) -> None:
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        (copy.path / ".git" / "HEAD").unlink()
        with pytest.raises(FashionboardError):
            one.update()


@pytest.mark.slow
def test_nothing_is_made_where_a_repository_was(copy: Repository, tmp_path: Path) -> None:
    with board(copy.path) as served:
        copy.path.rename(tmp_path / "moved")
        eventually(lambda: "the repository: expected it where it was, found it gone" in served.said, True)
        assert not copy.path.exists()
        (tmp_path / "moved").rename(copy.path)
        eventually(lambda: "workspace/train" in (get(served.address, "runs") or []), True)


def nested(repository: Repository, name: str, content: str) -> None:
    """Commit a file that only its commit has."""
    (repository.path / name).write_text(content)
    repository.git("add", "-f", name)
    repository.git("commit", "-qm", "nested")
    repository.git("tag", "damaged")
    repository.git("reset", "-q", "--hard", "HEAD~1")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.dvc", "- " * 100_000),
        ("x.dvc", "? " * 100_000),
        ("x.dvc", "\n".join(" " * depth + "a:" for depth in range(5_000))),
        ("dvc.yaml", "# " + "}" * 300 + "\nstages: " + "{a: " * 100_000),
        (
            "params.yaml",
            "\n".join(
                ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 40))]
            ),
        ),
    ],
    ids=["sequences", "keys", "indentation", "brackets", "aliases"],
)
def test_what_would_end_or_hold_up_a_parser_is_told(
    copy: Repository, tmp_path: Path, name: str, content: str
) -> None:
    if name == "params.yaml":
        (copy.path / "dvc.yaml").write_text(
            (copy.path / "dvc.yaml").read_text()[:-1] + ', "params": ["params.yaml"]}'
        )
        copy.git("commit", "-qam", "all parameters")
    nested(copy, name, content)
    program = str(Path(sys.executable).with_name("fashionboard"))
    (copy.path / name).write_text(content)
    done = subprocess.run(
        [program, "board", "damaged", "workspace", "--no-serve", "--view", str(tmp_path / "view")],
        cwd=copy.path,
        env=copy.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if name in line]
    assert any(line.startswith("damaged (") for line in told)


def test_the_repository_as_an_output_shows_no_secret_and_no_device(copy: Repository, tmp_path: Path) -> None:
    (copy.path / "dvc.yaml").write_text('{"stages": {"all": {"cmd": "true", "outs": ["."]}}}')
    (copy.path / "run").mkdir()
    (copy.path / "run" / "events.tfevents.1").touch()
    os.mkfifo(copy.path / "run" / "events.tfevents.2")
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        one.update()
        shown = one.groups["workspace"].files
        assert not [path for path in shown if ".git/" in path or ".dvc/" in path]
        assert [path.rpartition("/")[2] for path in shown if "run/" in path] == ["events.tfevents.1"]


def test_the_configuration_of_a_copy_moves_no_border(copy: Repository, tmp_path: Path) -> None:
    (tmp_path / "secret.tfevents").touch()
    (copy.path / "logs" / "x.tfevents").symlink_to(tmp_path / "secret.tfevents")
    with View(tmp_path / "view") as view:
        one = opened(copy, view)
        copy.git("config", "core.worktree", "/")
        one.update()
        assert not [path for path in one.groups["workspace"].files if path.endswith("x.tfevents")]
        assert len(one.groups["main"].files) == 1
        assert any("they lead out of the repository" in line for line in one.unread)
