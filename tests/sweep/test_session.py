"""`fashionboard sweep` on this machine: real workers, real DVC, and what a person finds afterwards."""

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.repository import Repository
from tests.support.servers import board, eventually, get
from tests.support.sweeping import at_work, begun, sweep, trees

pytestmark = pytest.mark.slow

LR = ("0.1", "0.2", "0.3")


def test_results_are_those_of_one_after_the_other(repository: Repository, tmp_path: Path) -> None:
    status = repository.git("status", "--porcelain")
    done = sweep(repository, f"train.lr={','.join(LR)}", "train.steps=3")
    assert "3 experiments from" in done.stdout and "3 done" in done.stdout
    assert repository.git("status", "--porcelain") == status
    alone = repository.clone(tmp_path / "alone", cache="none")
    for lr in LR:
        alone.dvc("exp", "run", "-q", "-n", f"lr-{lr}", "-S", f"train.lr={lr}", "-S", "train.steps=3")
        alone.git("checkout", "-q", "--force", "HEAD")
    # the event files of this pipeline bear a clock in their names, its metrics do not
    for name in trees(repository):
        metrics = json.loads(repository.dvc("exp", "show", "--json"))
        assert name in json.dumps(metrics)
    assert {name.rpartition("-")[0] for name in trees(repository)} == set(trees(alone))
    again = sweep(repository, f"train.lr={','.join(LR)}", "train.steps=3")
    assert "3 there already, 0 to run" in again.stdout


def test_the_same_command_goes_on_with_more(repository: Repository) -> None:
    sweep(repository, "train.lr=0.1,0.2", "train.steps=2", on="local*1")
    before = trees(repository)
    done = sweep(repository, "train.lr=0.1,0.2,0.3", "train.steps=2", on="local*1")
    assert "2 there already, 1 to run" in done.stdout
    assert before.items() < trees(repository).items()


def test_a_failure_is_told_with_its_last_lines_and_the_others_come_home(repository: Repository) -> None:
    done = sweep(repository, "train.fails=true,false", "train.steps=4", check=False)
    assert done.returncode == 1
    assert "1 done, 1 failed" in done.stdout
    assert "failed to reproduce 'train'" in done.stdout
    assert [name.partition("-")[2].partition("-")[0] for name in trees(repository)] == ["False"]


@pytest.mark.parametrize(
    ("given", "on", "said"),
    [
        ("train.rate=1", "local", "expected parameters of params.yaml, found: no train.rate there"),
        ("train.lr=1", "ssh:", "--on: expected local"),
        ("train.lr=1", "ssh:-oProxyCommand=touch x", "--on: expected local"),
        ("train.lr=1", "ssh:nowhere.invalid", "expected a worker on each host, found: nowhere.invalid-1: "),
        ("train.lr=1", "tcp://192.0.2.1:8786", "expected tls://"),
        ("train.lr=1", "tls://127.0.0.1:1", "expected certificates in Dask's configuration"),
        ("train.lr=1", "none.json", "expected a scheduler file"),
        ("train.lr=1", "params.yaml.json", "expected a scheduler file"),
        ("train.lr=range(100000000)", "local", "expected at most 10,000 experiments, found 100,000,000"),
        (
            "train.lr=한국,é",
            "local",
            "found 'train.lr=한국,é'; a value with other than",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_line_before_anything_starts(
    repository: Repository, given: str, on: str, said: str
) -> None:
    (repository.path / "params.yaml.json").write_text("[1]")
    done = sweep(repository, given, on=on, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("error: ") and said in done.stdout.splitlines()[-1]
    assert trees(repository) == {}


def test_an_edited_file_is_refused(repository: Repository) -> None:
    (repository.path / "params.yaml").write_text((repository.path / "params.yaml").read_text() + " ")
    done = sweep(repository, "train.lr=1", check=False)
    assert done.returncode == 1 and "expected all changes committed, found params.yaml changed" in done.stdout


def test_what_dvc_reads_is_committed(repository: Repository) -> None:
    (repository.path / "part").mkdir()
    (repository.path / "part" / "dvc.yaml").write_text("stages: {}")
    done = sweep(repository, "train.lr=1", check=False)
    assert done.stdout == (
        "error: expected DVC's files committed, found part/dvc.yaml that is not; git add it\n"
    )


def test_a_store_that_cannot_be_is_told(repository: Repository) -> None:
    options = ("--store", str(repository.path / "train.py"))
    done = sweep(repository, "train.lr=1", on="local*1", options=options, check=False)
    assert done.returncode == 1
    assert "error: local-1: expected a folder for its store, found: " in done.stdout.splitlines()[-1]


def test_data_goes_along_that_no_run_has_read_yet(repository: Repository) -> None:
    (repository.path / "data").write_text("new")
    repository.dvc("add", "-q", "data")
    text = (repository.path / "dvc.yaml").read_text().replace('"train.py"]', '"train.py", "data"]')
    (repository.path / "dvc.yaml").write_text(text.replace(" train.py", " train.py && cat data"))
    repository.git("add", "-A")
    repository.git("commit", "-qm", "data")
    sweep(repository, "train.lr=1", on="local*3")
    assert len(trees(repository)) == 1
    # what is not here is sent from the cache
    (repository.path / "data").unlink()
    sweep(repository, "train.lr=2", on="local*1")
    assert len(trees(repository)) == 2
    (repository.path / "data").write_text("newer")
    done = sweep(repository, "train.lr=3", on="local*1", check=False)
    assert done.returncode == 1
    told = "error: expected data as committed, found it changed; dvc add data, and git commit\n"
    assert done.stdout == told
    (repository.path / "data").unlink()
    (repository.path / "data").mkdir()
    (repository.path / "data" / "gone").symlink_to("nowhere")
    done = sweep(repository, "train.lr=3", on="local*1", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("error: data: expected what DVC can read, found: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running_and_the_next_call_goes_on(
    repository: Repository, number: signal.Signals, tmp_path: Path
) -> None:
    given = ("train.lr=0.1,0.2,0.3", "train.steps=5", "train.pause=1.0")
    with begun(repository, *given, environment={"TMPDIR": str(tmp_path)}) as process:
        eventually(lambda: sum("train.py" in each for each in at_work(repository.path)) >= 2, True)
        process.send_signal(number)
        assert process.wait(10) != 0
    eventually(lambda: at_work(repository.path), [], seconds=5)
    assert list(tmp_path.glob("fashionboard-*")) == []
    done = sweep(repository, *given)
    assert "3 done" in done.stdout and len(trees(repository)) == 3


# a library has swallowed the exception while the driver looked at its workers
_LOST = """
from fashionboard import cli
from fashionboard.repository import ending
from fashionboard.sweep.display import Display

Display.running = lambda display, where: ending.told.append(2)
cli.main()
"""


def test_a_signal_whose_exception_was_lost_ends_a_sweep_all_the_same(repository: Repository) -> None:
    done = repository.run(
        sys.executable, "-c", _LOST, "sweep", "-S", "train.pause=60", "--on", "local*1", check=False
    )
    assert done.returncode == 130 and done.stdout.endswith("stopped; the same command goes on\n"), done.stdout
    eventually(lambda: at_work(repository.path), [], seconds=5)


def test_a_killed_worker_is_started_again_and_its_experiment_ends_well(repository: Repository) -> None:
    with begun(repository, "train.lr=0.1,0.2", "train.steps=6", "train.pause=0.5") as process:
        eventually(lambda: sum("train.py" in each for each in at_work(repository.path)) >= 2, True)
        children = psutil.Process(process.pid).children()
        workers = [each for each in children if "fashionboard.sweep.worker" in each.cmdline()]
        assert len(workers) == 2
        workers[0].kill()
        said = process.communicate(timeout=90)[0]
    assert process.returncode == 0, said
    assert "the worker has ended" in said and len(trees(repository)) == 2


def points(address: str, run: str) -> int:
    return len(get(address, "plugin/scalars/scalars", run=run, tag="loss") or [])


def test_it_is_on_the_board_while_it_runs(repository: Repository) -> None:
    with (
        begun(repository, "train.lr=0.25", "train.steps=12", "train.pause=1.0") as process,
        board(repository.path) as served,
    ):
        counts: dict[str, set[int]] = {}

        def growing() -> bool:
            for run in get(served.address, "runs") or []:
                if run.startswith("lr-0.25"):
                    counts.setdefault(run, set()).add(points(served.address, run))
            return any(len(each - {0}) > 2 for each in counts.values())

        eventually(growing, True, seconds=60)
        assert process.poll() is None and trees(repository) == {}
        run = next(name for name, seen in counts.items() if len(seen - {0}) > 2)
        assert process.wait(60) == 0
        eventually(lambda: points(served.address, run), 12)
        assert run.split("/")[0] in trees(repository)


def test_what_goes_on_is_running_again_on_an_open_board(repository: Repository) -> None:
    given = ("train.lr=0.25", "train.steps=10", "train.pause=1.0")
    with board(repository.path) as served:

        def killed() -> set[bool]:
            runs = get(served.address, "runs") or []
            return {"(killed)" in run for run in runs if run.startswith("lr-0.25")}

        with begun(repository, *given) as process:
            eventually(killed, {False}, seconds=60)
            process.kill()
            process.wait()
        eventually(killed, {True}, seconds=60)
        with begun(repository, *given) as process:
            eventually(killed, {False}, seconds=60)
            assert process.poll() is None and trees(repository) == {}
            assert process.wait(90) == 0
        eventually(killed, {False})


def test_nothing_listens_beyond_loopback(repository: Repository) -> None:
    with begun(repository, "train.lr=0.1,0.2", "train.steps=5", "train.pause=1.0") as process:
        eventually(lambda: any("train.py" in each for each in at_work(repository.path)), True)
        driver = psutil.Process(process.pid)
        opened = [each for one in [driver, *driver.children(True)] for each in one.net_connections("inet")]
        process.send_signal(signal.SIGINT)
        process.wait()
    listening = [each.laddr.ip for each in opened if each.status == psutil.CONN_LISTEN]
    assert listening and set(listening) == {"127.0.0.1"}
