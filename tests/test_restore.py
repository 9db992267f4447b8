"""The way back to the last commit, in real repositories that DVC or git has left in disorder."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from fashionboard import restore
from fashionboard.errors import FashionboardError
from tests.repository import Repository, stages_run


@pytest.fixture
def repository(finished: Repository, tmp_path: Path) -> Repository:
    clone = finished.clone(tmp_path / "clone")
    clone.dvc("checkout")
    return clone


def back(repository: Repository) -> str:
    """Bring the last commit back, find that DVC has nothing to do, and return what was printed."""
    printed = repository.run("fashionboard", "restore").stdout
    assert stages_run(repository.dvc("repro")) == []
    assert "up to date" in repository.dvc("status")
    return printed


def kept(repository: Repository) -> dict[str, bytes]:
    """What restore has moved, by path."""
    (folder,) = (repository.path / ".dvc" / "tmp" / "fashionboard" / "kept").iterdir()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def append(path: Path) -> None:
    path.write_text(path.read_text() + "# mine\n")


def test_a_lock_file_of_dvc_that_is_empty_is_mended(repository: Repository) -> None:
    path = repository.path / ".dvc" / "tmp" / "rwlock"
    for content in (b"", b'{"write": {', bytes(40), b"[]", b"[" * 100_000):
        path.write_bytes(content)
        assert "RWLock-file" in repository.dvc("repro", check=False) or content[:1] in (b"\0", b"[")
        assert "Removed .dvc/tmp/rwlock" in repository.run("fashionboard", "restore", "--lock").stdout
        assert stages_run(repository.dvc("repro")) == []
    assert repository.run("fashionboard", "restore", "--lock").stdout == ""


def test_a_lock_file_stays_while_dvc_is_at_work(repository: Repository) -> None:
    path = repository.path / ".dvc" / "tmp" / "rwlock"
    repository.set({"train.epochs": 500})
    dvc = repository.begin("dvc", "repro", "--force", "--single-item", "train")
    path.write_bytes(b"")
    assert repository.run("fashionboard", "restore", "--lock").stdout == ""
    refused = repository.run("fashionboard", "restore", check=False)
    dvc.kill()
    dvc.communicate()
    assert path.read_bytes() == b""
    assert refused.returncode == 1
    assert re.fullmatch(
        rf"error: expected no run here, found `dvc repro .*` \(process {dvc.pid}\).*\n", refused.stdout
    )
    assert "Back at commit" in back(repository)


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(repository: Repository, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    for name in ("rwlock", "rwlock.lock"):
        path = repository.path / ".dvc" / "tmp" / name
        path.unlink(missing_ok=True)
        path.symlink_to(other)
        (repository.path / ".dvc" / "tmp" / "rwlock").touch()
        done = repository.run("fashionboard", "restore", "--lock", check=False)
        assert done.returncode == 1 and "found a symbolic link" in done.stdout
        assert other.read_text() == ""
        path.unlink()


def test_a_killed_experiment_gives_the_branch_and_the_parameters_back(repository: Repository) -> None:
    head = repository.git("rev-parse", "HEAD")
    append(repository.path / "dvc.yaml")
    dvc = repository.begin("dvc", "exp", "run", "-S", "train.lr=0.5")
    dvc.kill()
    dvc.communicate()
    assert "HEAD detached" in repository.git("status")
    assert "on branch main" in back(repository)
    assert repository.git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert repository.git("rev-parse", "HEAD") == head
    assert repository.git("status", "--porcelain").split() == ["M", "dvc.yaml"]
    assert "0.5" in kept(repository)["params.yaml"].decode()


def test_a_commit_made_on_the_detached_head_becomes_part_of_the_branch(repository: Repository) -> None:
    dvc = repository.begin("dvc", "exp", "run", "-S", "train.lr=0.5")
    dvc.kill()
    dvc.communicate()
    (repository.path / "new.txt").touch()
    repository.git("add", "new.txt")
    repository.git("commit", "-qm", "made since", "--", "new.txt")
    made = repository.git("rev-parse", "HEAD")
    back(repository)
    assert repository.git("rev-parse", "main") == made


def test_a_branch_that_has_moved_elsewhere_is_not_touched(repository: Repository) -> None:
    dvc = repository.begin("dvc", "exp", "run", "-S", "train.lr=0.5")
    dvc.kill()
    dvc.communicate()
    repository.git("commit", "-qm", "here", "--allow-empty")
    here = repository.git("rev-parse", "HEAD")
    tree = repository.git("rev-parse", "HEAD^{tree}").strip()
    other = repository.git("commit-tree", tree, "-p", "main", "-m", "there").strip()
    repository.git("update-ref", "refs/heads/main", other)
    time.sleep(3)  # for the stage to end
    done = repository.run("fashionboard", "restore", check=False)
    assert done.returncode == 1
    assert "expected main or a commit after it" in done.stdout and "git switch -c" in done.stdout
    assert repository.git("rev-parse", "HEAD") == here
    assert repository.git("rev-parse", "main").strip() == other


def test_a_head_that_a_person_has_detached_stays_so(repository: Repository) -> None:
    repository.git("checkout", "-q", "HEAD~1")
    repository.git("checkout", "-q", "main")
    repository.git("tag", "v1")
    repository.git("checkout", "-q", "v1")
    assert "on branch" not in back(repository)
    assert repository.run("git", "symbolic-ref", "-q", "HEAD", check=False).returncode == 1


def test_nothing_that_a_person_wrote_is_lost(repository: Repository) -> None:
    params = (repository.path / "params.yaml").read_text().replace("lr:", "lr: # mine\n   ")
    (repository.path / "params.yaml").write_text(params)
    append(repository.path / "dvc.lock")
    (repository.path / "runs" / "train" / "notes.txt").write_text("mine")
    metrics = repository.path / "metrics" / "evaluate.json"
    metrics.unlink()
    metrics.write_text("mine")
    append(repository.path / "stages" / "train.py")
    (repository.path / "untracked.txt").write_text("mine")
    repository.run("fashionboard", "restore")
    assert set(kept(repository)) == {
        "params.yaml",
        "dvc.lock",
        "runs/train/notes.txt",
        "metrics/evaluate.json",
    }
    assert all(b"mine" in content for content in kept(repository).values())
    assert repository.git("status", "--porcelain") == " M stages/train.py\n?? untracked.txt\n"


def test_what_is_in_the_cache_is_not_kept_twice(repository: Repository) -> None:
    repository.set({"visualize.images_per_class": 3})
    repository.dvc("repro")
    repository.git("checkout", "params.yaml")
    repository.git("checkout", "HEAD", "--", "dvc.lock")
    printed = back(repository)
    assert "Kept" not in printed
    assert not (repository.path / ".dvc" / "tmp" / "fashionboard" / "kept").exists()


def test_half_an_event_file_does_not_stand_in_the_way(repository: Repository) -> None:
    (event,) = (repository.path / "runs" / "train").glob("*tfevents*")
    half = event.read_bytes()[:100]
    event.unlink()
    event.write_bytes(half)
    assert "without confirmation" in repository.dvc("checkout", check=False)
    back(repository)
    assert list(kept(repository).values()) == [half]


@pytest.mark.parametrize("size", [0, 10, 17, 40, 7000])
def test_half_a_lock_file_is_made_whole(repository: Repository, size: int) -> None:
    lock = repository.path / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[:size])
    (repository.path / "params.yaml").write_bytes(b"")
    back(repository)
    assert lock.read_bytes() == whole
    assert repository.git("status", "--porcelain") == ""


def test_lock_files_of_git_are_removed_once_they_are_old(repository: Repository) -> None:
    git = repository.path / ".git"
    (git / "index.lock").touch()
    (git / "refs" / "heads" / "main.lock").touch()
    assert repository.run("git", "add", "params.yaml", check=False).returncode
    back(repository)
    assert not list(git.rglob("*.lock"))


def test_copies_of_experiments_and_half_files_are_swept_away(repository: Repository) -> None:
    tmp = repository.path / ".dvc" / "tmp"
    copy = tmp / "exps" / "standalone" / "tmpabc"
    copy.mkdir(parents=True)
    ours = tmp / "fashionboard"
    ours.mkdir(exist_ok=True)
    for name in (".train-a.safetensors.4194999.partial", f".train-a.safetensors.{os.getpid()}.partial"):
        (ours / name).touch()
    (ours / "train-a.safetensors").touch()
    back(repository)
    assert not copy.exists()
    assert sorted(path.name for path in ours.iterdir() if path.name != "restore.lock") == [
        f".train-a.safetensors.{os.getpid()}.partial",
        "train-a.safetensors",
    ]


def test_what_is_in_no_cache_is_named(repository: Repository, tmp_path: Path) -> None:
    repository.dvc("cache", "dir", "--local", str(tmp_path / "empty"))
    shutil.rmtree(repository.path / "runs")
    printed = repository.run("fashionboard", "restore").stdout
    (line,) = [line for line in printed.splitlines() if line.startswith("Not in DVC's cache")]
    assert "runs/train/" in line and "dvc pull" in line


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_first_run_that_was_killed_leaves_a_person_where_they_were(
    finished: Repository, tmp_path: Path, kind: signal.Signals
) -> None:
    clone = finished.clone(tmp_path / "clone", cache="none")
    dvc = clone.begin("dvc", "repro")
    os.kill(dvc.pid, kind)
    dvc.communicate()
    assert "dvc repro" in clone.run("fashionboard", "restore").stdout
    assert clone.git("status", "--porcelain") == ""


def test_what_is_no_repository_is_refused_in_one_line(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(FashionboardError, match="expected a DVC repository"):
        restore.restore(tmp_path)
    (tmp_path / "new").mkdir()
    empty = Repository(tmp_path / "new")
    empty.git("init", "-q")
    empty.dvc("init")
    assert "error: expected" in empty.run("fashionboard", "restore", check=False).stdout
    repository.git("rm", "-q", "--cached", "dvc.lock")
    repository.git("commit", "-qm", "no lock")
    with pytest.raises(FashionboardError, match=r"expected a committed dvc\.lock"):
        restore.restore(repository.path)
