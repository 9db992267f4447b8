"""A repository that somebody else made writes to, empties and removes nothing outside of it."""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fashionboard.base import errors
from fashionboard.base.errors import FashionboardError
from fashionboard.board import export, session
from fashionboard.board.group import Group
from fashionboard.board.session import Options, Request
from fashionboard.board.where import Filter
from fashionboard.events.writer import EventWriter
from tests.support import hostile, servers
from tests.support.hostile import SECRET, seen

FOLDERS = (".dvc", ".dvc/tmp", ".dvc/tmp/fashionboard", ".dvc/tmp/fashionboard/board")
VIEW = ".dvc/tmp/fashionboard/board/view"
PROJECTOR = {
    "projector_config.pbtxt": b'embeddings { tensor_name: "x" tensor_path: "x.tsv" }',
    "x.tsv": b"1\t2\n",
}
Plant = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.recorded(tmp_path_factory.mktemp("honest") / "r", PROJECTOR)


@pytest.fixture
def repository(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # where DVC keeps what it knows of files: the person's own, told by the environment
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (tmp_path / "storage").mkdir()
    return hostile.copied(honest, tmp_path / "r")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return hostile.outside(tmp_path / "outside")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    folder = Path(tempfile.mkdtemp(dir=shared))
    yield folder
    shutil.rmtree(folder)


def board(
    repository: Path,
    mode: str,
    view: Path | None = None,
    export: Path | None = None,
    revisions: tuple[str, ...] = (),
) -> None:
    """Make a board as the command does; serving only where it is refused before."""
    session.run(
        Options(
            repo=repository,
            request=Request(revisions),
            chosen=Filter(),
            fetch=mode == "fetch",
            host="127.0.0.1",
            port=0,
            view=view,
            serve=mode == "serve",
            export=export or (Path("-") if mode == "export" else None),
            tensorboard=(),
        )
    )


def link(path: Path, target: Path) -> None:
    """Put a link where something is, or is not; what was there goes along to its target."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("mode", ["no-serve", "export", "serve", "fetch"])
@pytest.mark.parametrize("name", [*FOLDERS, VIEW, ".dvc/tmp/fashionboard/lists"])
def test_a_link_in_the_place_of_a_folder_is_refused(
    repository: Path, outside: Path, name: str, mode: str
) -> None:
    link(repository / name, outside)
    before = seen(outside)
    with pytest.raises(FashionboardError, match=f"{name}: expected .*, found a symbolic link; remove it"):
        board(repository, mode)
    assert seen(outside) == before


def marked(repository: Path, outside: Path) -> None:
    (repository / VIEW).mkdir(parents=True)
    (repository / VIEW / ".fashionboard-view").symlink_to(outside / ".ssh" / "id")


def copied_mark(repository: Path, outside: Path) -> None:
    shutil.copytree(outside / "999999999-2", repository / VIEW)


@pytest.mark.parametrize("plant", [marked, copied_mark])
def test_a_folder_without_a_mark_of_its_own_is_not_taken_for_a_view(
    repository: Path, outside: Path, plant: Plant
) -> None:
    plant(repository, outside)
    before = seen(outside), seen(repository / VIEW)
    with pytest.raises(FashionboardError, match="expected a new or empty folder for the view"):
        board(repository, "no-serve")
    assert (seen(outside), seen(repository / VIEW)) == before


def plant_all(repository: Path, outside: Path) -> list[Path]:
    """Put everything there that need not stop a board; return what must stay."""
    boards = repository / ".dvc" / "tmp" / "fashionboard" / "board"
    boards.mkdir(parents=True)
    # a link to a view of this person's with a real mark, one to something else, and folders without a mark
    (boards / "999999999-2").symlink_to(outside / "999999999-2")
    (boards / "999999999-3").symlink_to(outside / ".ssh")
    shutil.copytree(outside / "999999999-2", boards / "999999999-4")
    (boards / "1").mkdir()
    (boards / "1" / "mine").write_text(SECRET)
    (boards / "999999999-5").mkdir()
    (boards / "999999999-5" / ".fashionboard-view").symlink_to(outside / "999999999-2" / ".fashionboard-view")
    # what DVC writes as it opens a repository
    config = repository / ".dvc" / "config"
    config.write_text(config.read_text().replace("[core]", f"[core]\n    site_cache_dir = {outside}"))
    (repository / ".dvc" / ".gitignore").unlink()
    (repository / "own").write_text("")
    (repository / ".dvc" / ".gitignore").symlink_to("../own")
    # an experiment that is said to run elsewhere
    run = repository / ".dvc" / "tmp" / "exps" / "run" / "abc" / "abc.run"
    run.parent.mkdir(parents=True)
    baseline = hostile.git(repository, "rev-parse", "HEAD").strip()
    run.write_text(f'{{"status": 2, "root_dir": "{outside}/copy", "baseline_rev": "{baseline}"}}')
    hostile.copied(repository, outside / "copy")
    return [*sorted(boards.iterdir()), repository / "own"]


@pytest.mark.parametrize("mode", ["no-serve", "export", "fetch", "served"])
def test_nothing_is_followed_and_nothing_removed_that_bears_no_real_mark(
    repository: Path,
    outside: Path,
    mode: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = plant_all(repository, outside)
    monkeypatch.delenv("DVC_SITE_CACHE_DIR")
    before = seen(outside), [seen(path) for path in kept]
    if mode == "served":
        with servers.board(repository) as served:
            said = served.said
    else:
        board(repository, mode)
        said = "".join(capsys.readouterr())
    assert "main" in said and "running" not in said
    assert (seen(outside), [seen(path) for path in kept]) == before


def test_a_view_or_a_table_is_not_written_through_a_link_of_the_repositorys(
    repository: Path, outside: Path, tmp_path: Path
) -> None:
    (repository / "out").symlink_to(outside)
    (repository / "x.csv").symlink_to(outside / ".ssh" / "id")
    (tmp_path / "mine").symlink_to(repository)
    before = seen(outside)
    for view in ("out/new", "out/view", "out"):
        with pytest.raises(FashionboardError, match=r"out: expected .*, found a symbolic link; remove it"):
            board(repository, "no-serve", view=repository / view)
    for table in (repository / "x.csv", repository / "out" / "x.csv", tmp_path / "mine" / "x.csv"):
        with pytest.raises(FashionboardError, match="found a symbolic link; remove it"):
            board(repository, "export", export=table)
    assert seen(outside) == before
    # a person's own link is followed, as ever
    (tmp_path / "y.csv").symlink_to(tmp_path / "z.csv")
    board(repository, "export", export=tmp_path / "y.csv")
    assert (tmp_path / "y.csv").is_symlink() and (tmp_path / "z.csv").read_text().startswith("run,")


@pytest.mark.parametrize("place", ["cache", "cache/files", "prefix", "object"])
def test_fetch_writes_no_object_through_a_link(
    repository: Path, outside: Path, tmp_path: Path, place: str
) -> None:
    shutil.copytree(repository / ".dvc" / "cache" / "files", tmp_path / "storage" / "files")
    digest = hostile.md5(PROJECTOR["x.tsv"])
    path = hostile.object_path(repository, digest)
    path.unlink()
    # the object itself may lie elsewhere already, with a mode that DVC would change
    (outside / path.name).write_bytes(PROJECTOR["x.tsv"])
    cache = repository / ".dvc" / "cache"
    if place == "object":
        path.symlink_to(outside / path.name)
    else:
        link({"cache": cache, "cache/files": cache / "files", "prefix": path.parent}[place], outside / "x")
    before = seen(outside)
    with pytest.raises(FashionboardError, match="found a symbolic link; remove it"):
        board(repository, "fetch")
    assert seen(outside) == before


def secrets(view: Path) -> list[Path]:
    """Return the files of a view that show the person's own."""
    return [path for path in view.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("kind", ["object", "prefix", "cache", "workspace", "output", "absolute", "git"])
def test_no_link_of_a_repositorys_shows_a_file_elsewhere(
    repository: Path, outside: Path, other_disk: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within a projector's folder, TensorBoard serves every file; on another disk files are copied."""
    secret = outside / ".ssh" / "id"
    path = hostile.object_path(repository, hostile.md5(PROJECTOR["x.tsv"]))
    shown = repository / "logs" / "x.tsv"
    if kind == "object":
        link(path, secret)
    elif kind == "prefix":
        (outside / path.name).write_text(SECRET)
        link(path.parent, outside)
        (outside / path.name).write_text(SECRET)
    elif kind == "cache":
        # a cache that leads to everything makes no object of it
        (repository / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {outside}\n")
        shutil.copytree(repository / ".dvc" / "cache", outside, dirs_exist_ok=True)
        link(shown, secret)
    elif kind == "workspace":
        link(shown, secret)
    elif kind == "output":
        (repository / "logs" / "x.tsv").unlink()
        (repository / "logs" / "x.tsv").write_text(SECRET)
        link(repository / "logs", outside / "logs")
    elif kind == "absolute":
        shutil.copytree(repository / "logs", outside / "logs")
        (outside / "logs" / "x.tsv").write_text(SECRET)
        text = (repository / "dvc.yaml").read_text()
        (repository / "dvc.yaml").write_text(text.replace("logs", str(outside / "logs")))
    elif kind == "git":
        (repository / ".git" / "credentials").write_text(SECRET)
        link(shown, Path("../.git/credentials"))
    before = seen(outside)
    for view in (other_disk / "view", None):
        board(repository, "no-serve", view=view)
        assert secrets(view or repository / VIEW) == []
        said = capsys.readouterr()
        assert "main" in said.out
        if kind in ("workspace", "output", "absolute", "git", "cache"):
            assert "workspace: 1 not shown, since they lead out of the repository: " in said.err
        else:
            assert "main: not in the cache: logs; " in said.err
    assert seen(outside) == before


def test_links_into_the_cache_are_shown_as_ever(repository: Path, honest: Path) -> None:
    """`cache.type symlink` makes the workspace of them; an object may be a link to another one."""
    for file in (repository / "logs").iterdir():
        link(file, hostile.object_path(repository, hostile.md5(file.read_bytes())))
    one = hostile.object_path(repository, hostile.md5(PROJECTOR["x.tsv"]))
    elsewhere = repository / ".dvc" / "cache" / one.parent.name / one.name
    elsewhere.parent.mkdir(exist_ok=True)
    link(one, one.rename(elsewhere))
    board(repository, "no-serve")
    for group in ("workspace", "main"):
        folder = repository / VIEW / group / "train"
        expected = {path.name: path.read_bytes() for path in (honest / "logs").iterdir()}
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == expected


def test_a_cache_that_the_person_keeps_elsewhere_is_read(repository: Path, tmp_path: Path) -> None:
    shutil.move(repository / ".dvc" / "cache", tmp_path / "shared")
    (repository / ".dvc" / "cache").symlink_to(tmp_path / "shared")
    board(repository, "no-serve")
    assert sorted(path.name for path in (repository / VIEW / "main" / "train").iterdir()) == sorted(
        path.name for path in (repository / "logs").iterdir()
    )


def test_a_view_that_was_left_is_taken_over_and_a_copy_of_it_is_not(repository: Path, tmp_path: Path) -> None:
    board(repository, "no-serve")
    (repository / VIEW / "more").mkdir()
    board(repository, "no-serve")
    assert not (repository / VIEW / "more").exists()
    copy = hostile.copied(repository, tmp_path / "copy")
    before = seen(copy / VIEW)
    with pytest.raises(FashionboardError, match="expected a new or empty folder for the view"):
        board(copy, "no-serve")
    assert seen(copy / VIEW) == before


def test_a_stage_without_a_name_puts_nothing_where_the_row_is(tmp_path: Path) -> None:
    """A stage named `.` would put its files, and so links, into the folder that the board writes to."""
    name = "events.out.tfevents.1"
    repository = hostile.recorded(tmp_path / "r", {name: SECRET.encode()}, stage=".")
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text().replace('"outs"', '"params": {"params.yaml": {"a": 1}}, "outs"'))
    hostile.commit(repository)
    before = seen(repository / ".dvc" / "cache"), seen(repository / "logs")
    board(repository, "no-serve", revisions=("main",))
    (row,) = (repository / VIEW / "main").glob("*tfevents*")
    assert not row.is_symlink() and row.read_bytes() != SECRET.encode()
    assert (repository / VIEW / "main" / "-" / name).read_bytes() == SECRET.encode()
    assert (seen(repository / ".dvc" / "cache"), seen(repository / "logs")) == before


def test_no_name_of_a_repositorys_acts_on_the_terminal(
    repository: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    title, bidi = "\x1b]0;title\x07\x9b31m\x7f", "\u202e\u2066"
    lock = json.loads((repository / "dvc.lock").read_text())
    lock["stages"][f"stage{title}{bidi}"] = lock["stages"]["train"]
    lock["stages"]["other"] = {"cmd": "true", "outs": [{"path": f"a\n{title}", "md5": "0" * 32 + ".dir"}]}
    (repository / "dvc.lock").write_text(json.dumps(lock))
    (repository / f"unread{title}.dvc").write_text("outs: [")
    (repository / "logs" / f"x{title}").symlink_to(outside)
    hostile.commit(repository)
    hostile.git(repository, "branch", f"branch\x9b31m{bidi}")
    (repository / f"unread{title}.dvc").unlink()
    board(repository, "export", revisions=("workspace", f"branch\x9b31m{bidi}"))
    said = "".join(capsys.readouterr())
    assert {each for each in said if not each.isprintable()} == {"\n"}
    assert "not in the cache: a\\n\\x1b]0;title\\x07\\x9b31m\\x7f; " in said
    with pytest.raises(SystemExit) as caught:
        errors.run(lambda: board(repository, "export", revisions=(f"no{title}{bidi}",)))
    assert str(caught.value).isprintable()


def test_what_goes_to_a_terminal_as_a_table_is_escaped_and_what_goes_to_a_pipe_is_not(
    tmp_path: Path,
) -> None:
    with EventWriter(tmp_path, "0123456789abcdef") as events:
        events.scalar("a\x1b[31m", 1)
    group = Group("main", "", "commit", {"train/tfevents": events.path})

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, tag in ((io.StringIO(), "a\x1b[31m"), (Terminal(), "a\\x1b[31m")):
        export.write_scalars([group], stream)
        assert stream.getvalue().splitlines()[1] == f"main,train,{tag},0,1.0"


# what git runs by itself, and what it runs to bring an object that is missing
PROGRAMS = {
    "core": "alternateRefsCommand askPass editor fsmonitor gitProxy pager sshCommand",
    "credential": "helper",
    "diff": "external evil.command evil.textconv",
    "filter": "evil.clean evil.process evil.smudge",
    "gpg": "program ssh.program",
    "interactive": "diffFilter",
    "merge": "evil.driver",
    "pager": "cat-file rev-parse",
    "remote": "origin.receivepack origin.uploadpack",
    "sequence": "editor",
    "uploadpack": "packObjectsHook",
}
HOOKS = ("fsmonitor-watchman", "post-checkout", "post-index-change", "pre-auto-gc", "reference-transaction")


@pytest.fixture
def armed(repository: Path, tmp_path: Path) -> Path:
    """A repository whose .git names a program wherever it can, and lacks the object of dvc.lock.

    Returns the file to which each program adds the setting that named it.
    """
    fired, program = tmp_path / "fired", tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$1" >> {fired}\nexit 1\n')
    program.chmod(0o755)
    names = [f"{section}.{name}" for section, several in PROGRAMS.items() for name in several.split()]
    settings = {name: f"{program} {name}" for name in names}
    settings |= {f"alias.{name}": f"!{program} alias" for name in ("cat-file", "rev-parse", "for-each-ref")}
    settings |= {
        "core.hooksPath": str(tmp_path / "hooks"),
        "extensions.worktreeConfig": "true",
        "include.path": str(tmp_path / "included"),
        "log.showSignature": "true",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "remote.origin.promisor": "true",
    }
    (tmp_path / "hooks").mkdir()
    for hook in HOOKS:
        for folder in (tmp_path / "hooks", repository / ".git" / "hooks"):
            (folder / hook).write_text(f"#!/bin/sh\necho {hook} >> {fired}\n")
            (folder / hook).chmod(0o755)
    (tmp_path / "included").write_text(f"[core]\n    fsmonitor = {program} included\n")
    blob = hostile.git(repository, "rev-parse", "HEAD:dvc.lock").strip()
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (repository / ".git" / "info" / "attributes").write_text("* diff=evil filter=evil merge=evil\n")
    for name, value in settings.items():
        hostile.git(repository, "config", name, value)
    return fired


@pytest.mark.parametrize(
    ("url", "setting"),
    [
        ("ext::PROGRAM ext", "ext"),
        ("ssh://localhost/x", "core.sshCommand"),
        (".", "remote.origin.uploadpack"),
    ],
)
def test_git_runs_no_program_that_the_repository_names(
    repository: Path, armed: Path, tmp_path: Path, url: str, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile.git(repository, "config", "remote.origin.url", url.replace("PROGRAM", str(tmp_path / "program")))
    armed.unlink(missing_ok=True)
    board(repository, "no-serve")
    board(repository, "export")
    assert not armed.exists()
    assert "dvc.lock cannot be read; skipped" in capsys.readouterr().err
    # git by itself does run it
    with pytest.raises(subprocess.CalledProcessError):
        hostile.git(repository, "cat-file", "-p", "HEAD:dvc.lock")
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, check=False)
    # of two settings of one name, git takes the included one
    assert {setting, "included"} <= set(armed.read_text().split("\n"))


def test_what_dvc_logs_of_names_is_not_printed(repository: Path) -> None:
    """DVC warns of a variable with the name of its own `item`, with the name of the stage."""
    described = json.loads((repository / "dvc.yaml").read_text())
    described["vars"] = [{"item": 3}]
    described["stages"]["s\x1b]0;title\x07"] = {"foreach": [1, 2], "do": {"cmd": "true ${item}"}}
    (repository / "dvc.yaml").write_text(json.dumps(described))
    program = str(Path(sys.executable).with_name("fashionboard"))
    done = subprocess.run(
        [program, "board", "--no-serve"], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stderr == ""
