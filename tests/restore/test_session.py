"""The way back to the last commit, in real repositories that DVC or git has left in disorder."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from fashionboard.base.errors import FashionboardError
from fashionboard.restore import session
from tests.support.repository import Repository, stages_run


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


@pytest.mark.slow
def test_a_lock_file_of_dvc_that_is_empty_is_mended(small: Repository) -> None:
    path = small.path / ".dvc" / "tmp" / "rwlock"
    for content in (b"", b'{"write": {', bytes(40), b"[]", b"[" * 100_000):
        path.write_bytes(content)
        assert "RWLock-file" in small.dvc("repro", check=False) or content[:1] in (b"\0", b"[")
        assert "Removed .dvc/tmp/rwlock" in small.run("fashionboard", "restore", "--lock").stdout
        assert stages_run(small.dvc("repro")) == []
    assert small.run("fashionboard", "restore", "--lock").stdout == ""


@pytest.mark.slow
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


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(small: Repository, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    for name in ("rwlock", "rwlock.lock"):
        path = small.path / ".dvc" / "tmp" / name
        path.unlink(missing_ok=True)
        path.symlink_to(other)
        (small.path / ".dvc" / "tmp" / "rwlock").touch()
        done = small.run("fashionboard", "restore", "--lock", check=False)
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_head_that_a_person_has_detached_stays_so(small: Repository) -> None:
    small.git("tag", "v1")
    small.git("checkout", "-q", "v1")
    assert "on branch" not in back(small)
    assert small.run("git", "symbolic-ref", "-q", "HEAD", check=False).returncode == 1


@pytest.mark.slow
def test_nothing_that_a_person_wrote_is_lost(small: Repository) -> None:
    append(small.path / "params.yaml")
    append(small.path / "dvc.lock")
    (small.path / "out" / "notes.txt").write_text("mine")
    metrics = small.path / "models" / "net"
    metrics.unlink()
    metrics.write_text("mine")
    append(small.path / "notes")
    (small.path / "untracked.txt").write_text("mine")
    small.run("fashionboard", "restore")
    assert set(kept(small)) == {
        "params.yaml",
        "dvc.lock",
        "out/notes.txt",
        "models/net",
    }
    assert all(b"mine" in content for content in kept(small).values())
    assert small.git("status", "--porcelain") == " M notes\n?? untracked.txt\n"


@pytest.mark.slow
def test_what_is_in_the_cache_is_not_kept_twice(small: Repository) -> None:
    small.set({"s": 3})
    small.dvc("repro")
    small.git("checkout", "params.yaml")
    small.git("checkout", "HEAD", "--", "dvc.lock")
    printed = back(small)
    assert "Kept" not in printed
    assert not (small.path / ".dvc" / "tmp" / "fashionboard" / "kept").exists()


@pytest.mark.slow
def test_half_an_output_does_not_stand_in_the_way(small: Repository) -> None:
    event = small.path / "out" / "a"
    half = event.read_bytes()[:2]
    event.unlink()
    event.write_bytes(half)
    assert "without confirmation" in small.dvc("checkout", check=False)
    back(small)
    assert list(kept(small).values()) == [half]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 10, 17, 40, 300])
def test_half_a_lock_file_is_made_whole(small: Repository, size: int) -> None:
    lock = small.path / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(whole[:size])
    (small.path / "params.yaml").write_bytes(b"")
    back(small)
    assert lock.read_bytes() == whole
    assert small.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_lock_files_of_git_are_removed_once_they_are_old(small: Repository) -> None:
    git = small.path / ".git"
    (git / "index.lock").touch()
    (git / "refs" / "heads" / "main.lock").touch()
    assert small.run("git", "add", "params.yaml", check=False).returncode
    back(small)
    assert not list(git.rglob("*.lock"))


@pytest.mark.slow
def test_copies_of_experiments_and_half_files_are_swept_away(small: Repository) -> None:
    tmp = small.path / ".dvc" / "tmp"
    copy = tmp / "exps" / "standalone" / "tmpabc"
    copy.mkdir(parents=True)
    ours = tmp / "fashionboard"
    ours.mkdir(exist_ok=True)
    for name in (".train-a.safetensors.4194999.partial", f".train-a.safetensors.{os.getpid()}.partial"):
        (ours / name).touch()
    (ours / "train-a.safetensors").touch()
    back(small)
    assert not copy.exists()
    assert sorted(path.name for path in ours.iterdir() if path.name != "restore.lock") == [
        f".train-a.safetensors.{os.getpid()}.partial",
        "train-a.safetensors",
    ]


@pytest.mark.slow
def test_what_is_in_no_cache_is_named(small: Repository, tmp_path: Path) -> None:
    small.dvc("cache", "dir", "--local", str(tmp_path / "empty"))
    shutil.rmtree(small.path / "out")
    printed = small.run("fashionboard", "restore").stdout
    (line,) = [line for line in printed.splitlines() if line.startswith("Not in DVC's cache")]
    assert "out/" in line and "dvc pull" in line


@pytest.mark.slow
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


def test_what_is_no_repository_is_refused_in_one_line(tmp_path: Path, small: Repository) -> None:
    with pytest.raises(FashionboardError, match="expected a DVC repository"):
        session.restore(tmp_path)
    (tmp_path / "new").mkdir()
    empty = Repository(tmp_path / "new")
    empty.git("init", "-q")
    empty.dvc("init")
    assert "error: expected" in empty.run("fashionboard", "restore", check=False).stdout
    small.git("rm", "-q", "--cached", "dvc.lock")
    small.git("commit", "-qm", "no lock")
    with pytest.raises(FashionboardError, match=r"expected a committed dvc\.lock"):
        session.restore(small.path)
