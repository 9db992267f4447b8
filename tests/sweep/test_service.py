"""What a worker tells of event files, and what the driver makes of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionboard.repository import sweeps
from fashionboard.repository.experiments import Runs
from fashionboard.sweep import experiment, service
from fashionboard.sweep.experiment import Running
from fashionboard.sweep.job import Grown, Job, Seen
from fashionboard.sweep.mirror import Mirror
from tests.support.plain import fixed
from tests.support.repository import Repository

EVENTS = "logs/events.out.tfevents.1"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that these tests only copy."""
    return fixed(tmp_path_factory.mktemp("service") / "repository")


@pytest.fixture
def job(repository: Repository) -> Job:
    baseline = repository.git("rev-parse", "HEAD").strip()
    return Job("steps-3", baseline, ("train.steps=3",), "", ("Test", "test@localhost"))


@pytest.fixture
def clone(tmp_path: Path, job: Job) -> Iterator[Path]:
    """The clone of an experiment that this process runs."""
    folder = tmp_path / "clone"
    (folder / "logs").mkdir(parents=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "tfevents").write_text("none of it")
    (folder / "other").write_text("nor this")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    experiment.running[job.name] = running = Running(job, folder, process)
    yield folder
    running.end()
    process.wait()
    del experiment.running[job.name]


def test_a_mirror_grows_as_the_file_does(
    repository: Repository, job: Job, clone: Path, tmp_path: Path
) -> None:
    mirror = Mirror(repository.path, sweeps.place(tmp_path))
    shown = sweeps.copy(sweeps.place(tmp_path) / job.name) / EVENTS
    (clone / EVENTS).write_bytes(b"one")
    answers = []

    def look() -> bytes:
        _, grown = service.state(mirror.seen("w"))[job.name]
        answers.append({path: (part.offset, part.content) for path, part in grown.items()})
        mirror.show(job, "w", grown)
        return shown.read_bytes()

    assert look() == b"one"
    inode = shown.stat().st_ino
    with (clone / EVENTS).open("ab") as file:
        file.write(b" two")
    # TensorBoard reads on in the same file
    assert look() == b"one two" and shown.stat().st_ino == inode
    assert look() == b"one two"
    assert answers == [{EVENTS: (0, b"one")}, {EVENTS: (3, b" two")}, {}]
    (clone / EVENTS).unlink()
    (clone / "logs" / "x").write_bytes(b"")
    (clone / EVENTS).write_bytes(b"another run's")
    assert look() == b"another run's"


def test_a_mirror_has_the_experiments_parameters_and_says_how_it_ended(
    repository: Repository, job: Job, tmp_path: Path
) -> None:
    mirror, place = Mirror(repository.path, sweeps.place(tmp_path)), sweeps.place(tmp_path) / job.name
    mirror.show(job, "w", {})
    assert "3" in (sweeps.copy(place) / "params.yaml").read_text()
    note = sweeps.read_note(place)
    assert note is not None and (note.name, note.baseline, note.state) == (job.name, job.baseline, "running")
    assert sweeps.is_driven(place)
    mirror.end(job, "finished")
    note = sweeps.read_note(place)
    assert note is not None and note.state == "finished" and not sweeps.copy(place).exists()


def test_a_copy_that_is_a_link_is_no_running_experiment(
    repository: Repository, job: Job, tmp_path: Path
) -> None:
    mirror, place = Mirror(repository.path, sweeps.place(tmp_path)), sweeps.place(tmp_path) / job.name
    mirror.show(job, "w", {})
    (run,) = Runs(tmp_path).read()
    assert (run.name, run.root, run.state) == (job.name, sweeps.copy(place), "running")
    sweeps.copy(place).rename(tmp_path / "elsewhere")
    sweeps.copy(place).symlink_to(tmp_path / "elsewhere")
    assert Runs(tmp_path).read() == []


def test_on_another_worker_it_begins_anew(repository: Repository, job: Job, tmp_path: Path) -> None:
    mirror = Mirror(repository.path, sweeps.place(tmp_path))
    shown = sweeps.copy(sweeps.place(tmp_path) / job.name) / EVENTS
    mirror.show(job, "w", {EVENTS: Grown(0, b"first try")})
    assert mirror.seen("w") == {job.name: {EVENTS: Seen(9, b"first try")}} and mirror.seen("v") == {}
    mirror.show(job, "v", {EVENTS: Grown(0, b"second")})
    assert shown.read_bytes() == b"second"


@pytest.mark.parametrize(
    "path",
    ["../tfevents", "/tmp/tfevents", "logs/../../tfevents", ".git/tfevents", "a//tfevents", "out/tfevents"],
)
def test_a_worker_cannot_write_elsewhere(repository: Repository, job: Job, tmp_path: Path, path: str) -> None:
    mirror = Mirror(repository.path, sweeps.place(tmp_path))
    mirror.show(job, "w", {})
    # a link that the repository has
    (sweeps.copy(sweeps.place(tmp_path) / job.name) / "out").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    mirror.show(job, "w", {path: Grown(0, b"x")})
    assert sorted(tmp_path.rglob("*")) == before
