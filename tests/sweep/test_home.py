"""What comes back from a worker, by one that may lie."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fashionboard.base.errors import DataError, FashionboardError
from fashionboard.repository import experiments
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.sweep.home import Home
from fashionboard.sweep.job import Job, Outcome
from tests.support.plain import fixed
from tests.support.repository import Repository, stages_run

NAME = "steps-7"


@dataclass
class Returned:
    """An experiment that a clone has run, and the repository that it comes home to."""

    home: Repository
    worker: Repository
    job: Job
    outcome: Outcome

    def give(self, md5: str, offset: int) -> bytes:
        path = Cache(self.worker.path / ".dvc" / "cache").find(md5)
        assert path is not None
        # in parts, as over a wire
        return path.read_bytes()[offset : offset + 100]

    def bring(self, outcome: Outcome | None = None, give: Callable[[str, int], bytes] | None = None) -> str:
        root = self.home.path
        home = Home(root, Git(root), root / ".dvc" / "cache")
        return home.bring(self.job, outcome or self.outcome, give or self.give)

    @property
    def experiments(self) -> str:
        return self.home.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository, a clone that has run an experiment, and the bundle of it."""
    folder = tmp_path_factory.mktemp("ran")
    home = fixed(folder / "home")
    home.dvc("repro", "-q")
    home.git("commit", "-qam", "run")
    worker = home.clone(folder / "worker", cache="copy")
    worker.dvc("exp", "run", "-q", "-n", NAME, "-S", "train.steps=7")
    baseline = home.git("rev-parse", "HEAD").strip()
    ref = experiments.ref(baseline, NAME)
    worker.git("bundle", "create", "-q", str(folder / "bundle"), ref, f"^{baseline}")
    return folder


@pytest.fixture
def returned(ran: Path, tmp_path: Path) -> Returned:
    shutil.copytree(ran, tmp_path, symlinks=True, dirs_exist_ok=True)
    home, worker = Repository(tmp_path / "home"), Repository(tmp_path / "worker")
    baseline = home.git("rev-parse", "HEAD").strip()
    objects = (worker.path / "curve.tfevents", worker.path / "metrics.json")
    outcome = Outcome(
        "tls://worker",
        1.0,
        worker.git("rev-parse", experiments.ref(baseline, NAME)).strip(),
        (tmp_path / "bundle").read_bytes(),
        tuple(hashlib.md5(path.read_bytes()).hexdigest() for path in objects),
    )
    return Returned(home, worker, Job(NAME, baseline, ("train.steps=7",), "", ("T", "t@localhost")), outcome)


@pytest.mark.slow
def test_it_is_an_ordinary_experiment_at_home(returned: Returned) -> None:
    home = returned.home
    assert returned.bring() == "new"
    assert NAME in home.dvc("exp", "list")
    home.dvc("exp", "apply", NAME)
    for name in ("curve.tfevents", "metrics.json", "dvc.lock"):
        assert (home.path / name).read_bytes() == (returned.worker.path / name).read_bytes()
    # as DVC keeps them, or it would hash them again
    for md5 in returned.outcome.objects:
        path = Cache(home.path / ".dvc" / "cache").find(md5)
        assert path is not None and path.stat().st_mode & 0o777 == 0o444
    home.git("checkout", "-q", "--force", "HEAD")
    home.dvc("checkout", "-q")
    # the run cache knows it
    assert stages_run(home.dvc("exp", "run", "-n", "again", "-S", "train.steps=7")) == []


def test_a_second_time_it_is_the_same_and_another_result_is_told(returned: Returned, tmp_path: Path) -> None:
    assert returned.bring() == "new"
    before = returned.experiments
    assert returned.bring() == "same"
    worker = returned.worker
    worker.git("checkout", "-q", "--force", "HEAD")
    (worker.path / "train.py").write_text((worker.path / "train.py").read_text() + "\n# another\n")
    worker.dvc("exp", "run", "-q", "-f", "-n", NAME, "-S", "train.steps=7")
    ref = experiments.ref(returned.job.baseline, NAME)
    worker.git("bundle", "create", "-q", str(tmp_path / "second"), ref, f"^{returned.job.baseline}")
    commit = worker.git("rev-parse", ref).strip()
    other = replace(returned.outcome, commit=commit, bundle=(tmp_path / "second").read_bytes())
    assert returned.bring(other) == "another"
    assert returned.experiments == before


def refused(returned: Returned, outcome: Outcome, error: type[FashionboardError], said: str) -> None:
    before = sorted(path for path in returned.home.path.parent.rglob("*") if "objects" not in path.parts)
    with pytest.raises(error, match=said):
        returned.bring(outcome)
    assert returned.experiments == ""
    after = sorted(path for path in returned.home.path.parent.rglob("*") if "objects" not in path.parts)
    assert [
        path for path in after if path not in before and path.is_file() and "cache" not in path.parts
    ] == []


@pytest.mark.parametrize("name", ["../../../config", "0" * 31, "a" * 32 + "/..", "0" * 32 + ".dir/../x"])
def test_an_object_of_another_name_is_refused(returned: Returned, name: str) -> None:
    refused(returned, replace(returned.outcome, objects=(name,)), FashionboardError, "other words")


def test_an_object_with_other_bytes_is_refused(returned: Returned) -> None:
    parts = iter([b"other", b""])
    with pytest.raises(DataError, match="other bytes"):
        returned.bring(give=lambda md5, offset: next(parts))
    assert returned.experiments == ""
    assert all(
        Cache(returned.home.path / ".dvc" / "cache").find(md5) is None for md5 in returned.outcome.objects
    )


def test_a_result_without_its_outputs_is_refused(returned: Returned) -> None:
    refused(returned, replace(returned.outcome, objects=()), FashionboardError, "found it missing")


def test_a_commit_that_is_not_on_the_baseline_is_refused(returned: Returned, tmp_path: Path) -> None:
    worker, ref = returned.worker, experiments.ref(returned.job.baseline, NAME)
    tree = worker.git("rev-parse", f"{ref}^{{tree}}").strip()
    for parents in ((), ("-p", ref, "-p", returned.job.baseline)):
        commit = worker.git("commit-tree", tree, *parents, "-m", "elsewhere").strip()
        worker.git("update-ref", ref, commit)
        worker.git("bundle", "create", "-q", str(tmp_path / "bundle"), ref, f"^{returned.job.baseline}")
        outcome = replace(returned.outcome, commit=commit, bundle=(tmp_path / "bundle").read_bytes())
        refused(returned, outcome, FashionboardError, "expected a commit on")


def test_a_bundle_of_other_refs_changes_none(returned: Returned, tmp_path: Path) -> None:
    worker = returned.worker
    ref = experiments.ref(returned.job.baseline, NAME)
    worker.git("branch", "evil", ref)
    worker.git("bundle", "create", "-q", str(tmp_path / "bundle"), "evil", ref, f"^{returned.job.baseline}")
    before = returned.home.git("for-each-ref")
    assert returned.bring(replace(returned.outcome, bundle=(tmp_path / "bundle").read_bytes())) == "new"
    new = set(returned.home.git("for-each-ref").splitlines()) - set(before.splitlines())
    assert [line.split("\t")[-1] for line in new] == [ref]


@pytest.mark.parametrize("bundle", [b"", b"# v2 git bundle\n", b"\x00" * 1000])
def test_a_damaged_bundle_is_refused(returned: Returned, bundle: bytes) -> None:
    refused(returned, replace(returned.outcome, bundle=bundle), FashionboardError, "cannot unpack")


def test_a_commit_that_did_not_come_is_refused(returned: Returned) -> None:
    refused(returned, replace(returned.outcome, commit="f" * 40), FashionboardError, "no such commit")
    refused(returned, replace(returned.outcome, commit="--help"), FashionboardError, "other words")
