"""Two people share a pipeline through a git repository and a real ssh server."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ssh
from tests.support.repository import Repository, stages_run
from tests.support.servers import board, eventually, get, rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ssh.SSHD is None, reason="no OpenSSH server: apt-get install openssh-server"),
]

EXPERIMENTS = {"faster": "train.lr=0.002", "heavier": "train.momentum=0.5", "finer": "evaluate.thresholds=40"}


@dataclass
class Team:
    """What the first member has pushed: to git, and to the storage on the server."""

    server: ssh.Server
    first: Repository
    origin: Repository
    storage: Path

    def join(self, path: Path) -> Repository:
        """Clone what is in git, with an empty cache."""
        return self.origin.clone(path, cache="none")


@pytest.fixture(scope="module")
def team(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A first member who has run the pipeline and three experiments and has pushed everything."""
    folder = tmp_path_factory.mktemp("team")
    server = ssh.Server(folder / "server")
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        # matplotlib's list of fonts stays where it is
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
        patch.setenv("HOME", str(server.home))
        first = finished.clone(folder / "first", cache="copy")
        first.git("clone", "-q", "--bare", ".", str(folder / "origin.git"))
        first.git("remote", "set-url", "origin", str(folder / "origin.git"))
        first.dvc("remote", "add", "-d", "team", f"ssh://team{folder}/storage")
        first.git("commit", "-qam", "the team's remote")
        first.dvc("checkout", "-q")
        for name, change in EXPERIMENTS.items():
            first.dvc("exp", "run", "-q", "-n", name, "-S", change)
            first.git("checkout", "-q", "HEAD", "params.yaml", "dvc.lock")
        first.dvc("checkout", "-q")
        first.git("push", "-q", "origin", "main")
        first.dvc("push", "--run-cache")
        first.dvc("exp", "push", "--run-cache", "origin")
        yield Team(server, first, Repository(folder / "origin.git"), folder / "storage")
    server.kill()


def test_the_second_member_gets_everything_and_runs_nothing(team: Team, tmp_path: Path) -> None:
    second = team.join(tmp_path / "second")
    second.dvc("pull")
    assert stages_run(second.dvc("repro")) == []
    assert second.dvc("status") == "Data and pipelines are up to date.\n"
    assert second.git("status", "--porcelain") == ""
    for output in ("models", "runs", "metrics", "plots"):
        assert contents(second.path / output) == contents(team.first.path / output)


def test_the_second_member_sees_the_experiments_of_the_first(team: Team, tmp_path: Path) -> None:
    second = team.join(tmp_path / "second")
    second.dvc("exp", "pull", "--no-cache", "origin")
    with board(second.path, "HEAD", "--experiments", "--fetch") as served:
        names = {"main", *EXPERIMENTS}
        eventually(lambda: {run.split("/")[0] for run in get(served.address, "runs") or []}, names)
        eventually(lambda: set(rows(served.address)), names)
        for name in names:
            run = f"{name}/train"
            shown = get(served.address, "plugin/scalars/scalars", run=run, tag="training loss")
            assert [step for _, step, _ in shown] == [29, 59, 89, 99]
    # looking brought neither images nor weights
    assert not (second.path / "models" / "net.safetensors").exists()
    assert len(objects(second.path / ".dvc" / "cache")) < len(objects(team.first.path / ".dvc" / "cache"))


def test_the_second_member_does_not_train_again_what_the_first_has_trained(
    team: Team, tmp_path: Path
) -> None:
    second = team.join(tmp_path / "second")
    second.dvc("pull", "--run-cache")
    second.dvc("exp", "pull", "--run-cache", "origin")
    printed = second.dvc("exp", "run", "-n", "mine", "-S", EXPERIMENTS["heavier"])
    assert stages_run(printed) == []
    assert "Stage 'train' is cached" in printed
    commit = second.git("for-each-ref", "--format=%(objectname)", "refs/exps/*/*/heavier").strip()
    assert (second.path / "dvc.lock").read_text() == second.git("show", f"{commit}:dvc.lock")
    assert second.dvc("status") == "Data and pipelines are up to date.\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }


def objects(folder: Path) -> list[Path]:
    """Name the files in DVC's storage or cache that hold contents, and not those that are being written."""
    found = (folder / "files" / "md5").glob("??/*")
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def is_whole(path: Path) -> bool:
    """Tell whether an object has the content that its name tells."""
    return hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.stem


def cut(server: ssh.Server, repository: Repository, folder: Path, *command: str) -> None:
    """Run a dvc command whose server dies when some objects have come to `folder`; it must say so."""

    def watch() -> None:
        while len(objects(folder)) < 5:
            time.sleep(0.001)
        server.kill()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    done = repository.run("dvc", *command, check=False)
    assert not watcher.is_alive(), f"the transfer was over before the server died:\n{done.stdout}"
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    # DVC takes a broken pipe for its own output's, and ends as by SIGPIPE, without a word
    assert "ERROR" in done.stdout or done.returncode == 141


def test_a_push_and_a_pull_that_the_server_cuts_are_completed_by_a_second_try(
    team: Team, tmp_path: Path
) -> None:
    storage, cache = tmp_path / "storage", tmp_path / "second" / ".dvc" / "cache"
    first = team.first.clone(tmp_path / "first")
    first.dvc("remote", "modify", "team", "url", f"ssh://team{storage}")
    first.git("commit", "-qam", "another folder")

    try:
        cut(team.server, first, storage, "push", "--jobs", "1")
    finally:
        team.server.start()
    assert len(objects(storage)) >= 5
    assert "new: " in first.dvc("status", "--cloud")
    first.dvc("push")
    assert "in sync" in first.dvc("status", "--cloud")
    assert all(is_whole(path) for path in objects(storage))

    second = first.clone(tmp_path / "second", cache="none")
    try:
        cut(team.server, second, cache, "pull", "--jobs", "1")
    finally:
        team.server.start()
    assert len(objects(cache)) < len(objects(storage))
    second.dvc("pull")
    assert "in sync" in second.dvc("status", "--cloud")
    assert all(is_whole(path) for path in objects(cache))
    assert contents(second.path / "runs") == contents(team.first.path / "runs")


def test_without_the_server_the_board_says_so(team: Team, tmp_path: Path) -> None:
    second = team.join(tmp_path / "second")
    team.server.kill()
    try:
        done = second.run("fashionboard", "board", "--fetch", "--no-serve", check=False)
    finally:
        team.server.start()
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: --fetch: expected to read the remote, found: ")
