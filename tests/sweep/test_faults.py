"""What becomes of a sweep when a host fails it: a full disk, a killed worker, a clock that is wrong."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import hosts
from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import eventually
from tests.support.ssh import SSHD, Server, program
from tests.support.sweeping import at_work, begun, sweep, trees

pytestmark = pytest.mark.slow

# libfaketime, where Debian puts it
CLOCKS = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

# each experiment does what its parameter says
_STAGE = """
import json, os, signal, time
import psutil, yaml

does = yaml.safe_load(open("params.yaml"))["does"]
if does == "fill":
    with open("out", "wb") as file:
        while True:
            file.write(bytes(1_000_000))
if does == "large":
    with open("out", "wb") as file:
        file.write(bytes(50_000_000))
    os._exit(0)
if does == "kill":
    for parent in psutil.Process().parents():
        if "fashionboard.sweep.worker" in parent.cmdline():
            parent.kill()
    time.sleep(60)
if does == "stay":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    open("ready", "w").close()
    time.sleep(60)
with open("out", "w") as file:
    file.write(does)
"""
_PIPELINE = {
    "stages": {
        "one": {
            "cmd": f"{sys.executable} one.py",
            "deps": ["one.py", "source"],
            "params": ["does"],
            "outs": ["out"],
        }
    }
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a repository whose stage reads what DVC tracks, after `dvc repro` and a commit."""
    files = {
        "one.py": _STAGE,
        "dvc.yaml": json.dumps(_PIPELINE),
        "params.yaml": json.dumps({"does": "nothing"}),
        ".gitignore": "/out\n/ready\n",
    }
    repository = plain(tmp_path_factory.mktemp("faults") / "r", files)
    (repository.path / "source").write_text("data")
    repository.dvc("add", "-q", "source")
    repository.dvc("repro", "-q")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "run")
    return repository.path


@pytest.fixture
def repository(ran: Path, tmp_path: Path) -> Repository:
    return Repository(shutil.copytree(ran, tmp_path / "r", symlinks=True))


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Make `folder` a disk of 40 MB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk: {done.stderr.strip()}")
    try:
        yield
    finally:
        # at once, whoever still works in it
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder):
        yield folder


def test_a_full_disk_is_told_once_and_the_experiments_wait_for_room(
    repository: Repository, disk: Path
) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(30_000_000))
    options = ("--store", str(disk / "store"))
    with begun(repository, "does=a,b", on="local*1", options=options) as process:
        seen = []
        for line in process.stdout or ():
            seen.append(line)
            if "no worker is ready: 2 experiments to run" in line:
                break
        assert process.poll() is None and trees(repository) == {}
        ballast.unlink()
        seen += process.communicate()[0]
    assert process.returncode == 0, seen
    assert sum("local-1: expected room on the disk, found: " in line for line in seen) == 1
    assert len(trees(repository)) == 2


def test_an_experiment_that_fills_each_disk_is_given_up(repository: Repository, disk: Path) -> None:
    options = ("--store", str(disk / "store"))
    done = sweep(repository, "does=fill,a,b", on="local*1", options=options, check=False)
    assert done.returncode == 1 and "2 done, 1 failed" in done.stdout
    assert "expected room on the disk of" in done.stdout and "No space left on device" in done.stdout
    # what it has left is gone, too
    assert len(trees(repository)) == 2 and shutil.disk_usage(disk).free > 30_000_000


def test_an_experiment_runs_where_there_is_room(repository: Repository, tmp_path: Path) -> None:
    if lacking := hosts.missing():
        pytest.skip(lacking)
    with hosts.hosts(tmp_path / "hosts", "small", "large") as ((small, _), environment):
        (small.home / ".cache").mkdir()
        with mounted(small.home / ".cache"):
            done = sweep(
                repository,
                "does=large,a,b",
                on="ssh:small,large",
                options=("--python", sys.executable),
                environment=environment,
            )
    assert "3 done" in done.stdout and len(trees(repository)) == 3
    # it is tried there at most once
    assert done.stdout.count("expected room on the disk of") <= 1


def test_an_experiment_that_kills_each_worker_is_given_up(repository: Repository) -> None:
    done = sweep(repository, "does=kill,a,b", check=False)
    assert done.returncode == 1 and "2 done, 1 failed" in done.stdout
    assert "each worker that ran it ended" in done.stdout
    assert sorted(each.split("-")[1] for each in trees(repository)) == ["a", "b"]


def test_a_second_ctrl_c_does_not_wait_for_what_does_not_end(repository: Repository) -> None:
    with begun(repository, "does=stay", on="local*1") as process:
        work = repository.path / ".dvc" / "tmp" / "fashionboard" / "sweep" / "store" / "work"
        eventually(lambda: [path.name for path in work.glob("*/ready")], ["ready"])
        (worker,) = (
            each
            for each in psutil.Process(process.pid).children()
            if "fashionboard.sweep.worker" in each.cmdline()
        )
        # it cannot end by itself, for which the first Ctrl-C gives it five seconds
        worker.suspend()
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=3)[0]
    assert process.returncode != 0 and "Traceback" not in said
    eventually(lambda: at_work(repository.path), [], seconds=5)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A host, and the variables with which `ssh team` finds it."""
    if SSHD is None:
        pytest.skip("no OpenSSH server: apt-get install openssh-server")
    server = Server(tmp_path / "server")
    program(tmp_path / "bin", server)
    server.start()
    yield server, {"PATH": f"{tmp_path / 'bin'}:{Repository.environment()['PATH']}"}
    server.kill()


@pytest.mark.parametrize("wrong", ["+7h", "-7h"])
def test_clocks_may_be_hours_apart(
    repository: Repository, team: tuple[Server, dict[str, str]], tmp_path: Path, wrong: str
) -> None:
    if CLOCKS is None:
        pytest.skip("no other clock: apt-get install libfaketime")
    python = tmp_path / "python"
    variables = f"LD_PRELOAD={CLOCKS} FAKETIME={wrong} FAKETIME_DONT_FAKE_MONOTONIC=1"
    python.write_text(f'#!/bin/sh\n{variables} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    sweep(repository, "does=a,b", on="ssh:team", options=("--python", str(python)), environment=team[1])
    found = trees(repository)
    # the host has its own clock, and the results of one with the right time
    dates = repository.git("for-each-ref", "--format=%(committerdate:unix)", "refs/exps").split()
    now = int(repository.git("log", "-1", "--format=%ct"))
    assert all(abs(int(each) - now) > 6 * 3600 for each in dates)
    alone = repository.clone(tmp_path / "alone", cache="copy")
    for each in ("a", "b"):
        alone.dvc("exp", "run", "-q", "-n", f"does-{each}", "-S", f"does={each}")
        alone.git("checkout", "-q", "--force", "HEAD")
    assert {name.rpartition("-")[0]: tree for name, tree in found.items()} == trees(alone)


_MAKEFILE = """
setup:
	@echo making it 1>&2
	@mkdir -p .venv/bin
	@printf '#!/bin/sh\\nexec %s "$$@"\\n' "$(PYTHON)" > .venv/bin/python
	@chmod +x .venv/bin/python
	@touch .venv/.ready
"""


def test_an_environment_is_set_up_once(repository: Repository, team: tuple[Server, dict[str, str]]) -> None:
    # a stand-in: the project's own takes minutes
    (repository.path / "Makefile").write_text(_MAKEFILE)
    repository.git("add", "Makefile")
    repository.git("commit", "-qm", "make setup")
    options = ("--setup", "--python", sys.executable)
    first = sweep(repository, "does=a", on="ssh:team", options=options, environment=team[1])
    assert "team: setting up an environment" in first.stdout and "team: making it" in first.stdout
    second = sweep(repository, "does=a,b", on="ssh:team", options=options, environment=team[1])
    assert "setting up" not in second.stdout and "1 there before" in second.stdout
    assert len(trees(repository)) == 2


def test_an_environment_that_cannot_be_made_is_told(
    repository: Repository, team: tuple[Server, dict[str, str]]
) -> None:
    options = ("--setup", "--python", sys.executable)
    done = sweep(repository, "does=a", on="ssh:team", options=options, check=False, environment=team[1])
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 1 and trees(repository) == {}
    assert last.startswith("error: team: expected `make setup` to succeed there, found: make: ***")


def test_hosts_take_data_from_the_remote(repository: Repository, tmp_path: Path) -> None:
    repository.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "remote"))
    repository.git("commit", "-qam", "remote")
    repository.dvc("push", "-q")
    shutil.rmtree(repository.path / ".dvc" / "cache" / "files")
    assert "so not sent: source; " in sweep(repository, "does=a", on="local*1", check=False).stdout
    assert trees(repository) == {}
    sweep(repository, "does=a", on="local*1", options=("--pull",))
    assert len(trees(repository)) == 1
