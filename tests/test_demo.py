"""The scripts of `make demo` and `make best`: for any user, in any folder, and where they cannot end well."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.support.repository import Repository

pytestmark = pytest.mark.slow

# a uid that no machine has a name for; the rights let it read the interpreter of another user
_NOBODY = (
    *("setpriv", "--reuid", "4242424", "--regid", "4242424", "--clear-groups"),
    *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
)
_BROKEN = "stages:\n  a: {cmds: x}\n"


def cloned(path: Path, root: Path) -> Repository:
    """The repository as users clone it: a lock file without its cache."""
    repository = Repository.create(path, root)
    repository.set({"data.dataset": "fashion-mnist"})
    shutil.copytree(root / "scripts", repository.path / "scripts", ignore=shutil.ignore_patterns("__*"))
    shutil.copy(root / "dvc.lock", repository.path)
    repository.git("add", "-A")
    repository.git("commit", "-qm", "as users clone it")
    return repository


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Repository:
    """A clone in which the demo was run once, so that DVC's run cache has all stages; to be copied."""
    repository = cloned(tmp_path_factory.mktemp("ran") / "clone", root)
    repository.run("scripts/demo")
    return repository


def copied(repository: Repository, path: Path) -> Repository:
    shutil.copytree(repository.path, path, symlinks=True)
    return Repository(path)


def left(repository: Repository) -> tuple[list[str], list[str]]:
    """The names of the experiments, and the copies of the repository that DVC has left."""
    refs = repository.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    copies = repository.path.glob(".dvc/tmp/exps/standalone/*")
    return [ref.rsplit("/", 1)[1] for ref in refs], [each.name for each in copies if each.name != "run"]


def fails(repository: Repository, *reasons: str) -> None:
    """Run the demo, see that it ends with reasons, and that it leaves everything as it was."""
    before = repository.git("status", "--porcelain"), left(repository)
    done = repository.run("scripts/demo", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    for reason in reasons:
        assert reason in done.stdout
    assert (repository.git("status", "--porcelain"), left(repository)) == before


def test_the_demo_leaves_the_workspace_alone_and_works_again(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = cloned(tmp_path / "clone", root)
    repository.git("config", "--unset", "user.name")
    repository.git("config", "--unset", "user.email")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [
        name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "XDG_CONFIG"))
    ]:
        monkeypatch.delenv(name)
    assert repository.run("git", "config", "user.email", check=False).returncode != 0
    files = sorted(path.name for path in repository.path.iterdir())
    for _ in range(2):
        output = repository.run("scripts/demo").stdout
        assert "accuracy" in output and "drawn" in output
        assert repository.git("status", "--porcelain") == ""
        assert sorted(path.name for path in repository.path.iterdir()) == files
    assert repository.dvc("exp", "list", "--name-only").split() == ["demo"]
    repository.dvc("exp", "apply", "demo")
    assert list((repository.path / "runs" / "train").glob("*tfevents*"))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_demo_works_in_a_folder_and_for_a_user_with_korean_names(
    ran: Repository, tmp_path: Path, locale: str
) -> None:
    repository = copied(ran, tmp_path / "한글 폴더" / "clone")
    repository.git("config", "user.name", "홍길동")
    done = repository.run("scripts/demo", LC_ALL=locale)
    assert "accuracy" in done.stdout
    assert left(repository) == (["demo"], [])
    repository.dvc("exp", "apply", "demo", LC_ALL=locale)
    assert list((repository.path / "runs" / "train").glob("*tfevents*"))


@pytest.mark.parametrize("home", [("HOME=/nonexistent",), ("-u", "HOME")])
def test_the_demo_works_for_a_user_without_a_name_and_a_home(ran: Repository, home: tuple[str, ...]) -> None:
    if subprocess.run([*_NOBODY, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to be another user")
    # pytest's folder is closed to others
    with tempfile.TemporaryDirectory() as folder:
        repository = copied(ran, Path(folder) / "clone")
        for path in [Path(folder), *Path(folder).rglob("*")]:
            os.chown(path, 4242424, 4242424, follow_symlinks=False)
        nameless = ("env", "-u", "USER", "-u", "LOGNAME", *home)
        done = repository.run(*_NOBODY, *nameless, "scripts/demo")
    assert "accuracy" in done.stdout


def test_the_best_is_an_experiment_of_its_own_with_settings_that_it_was_not_told(
    ran: Repository, tmp_path: Path
) -> None:
    repository = copied(ran, tmp_path / "clone")
    name = "best-3-epochs-1"
    done = repository.run("scripts/best", "3", "1", "data.dataset=drawn")
    assert left(repository) == ([name, "demo"], [])
    assert repository.git("status", "--porcelain") == ""
    commit = repository.git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()
    found = yaml.safe_load(repository.git("show", f"{commit}:params.yaml"))
    assert found["train"]["seed"] == 3 and found["train"]["label_smoothing"] == 0.1
    assert (found["data"]["dataset"], found["train"]["epochs"]) == ("drawn", 1)
    assert found["evaluate"]["augment"] == "flip-shift"
    assert '"accuracy"' in done.stdout and f"dvc exp apply {name} " in done.stdout


@pytest.mark.parametrize("seed", ["x", "-1", "1.5", "01", ""])
def test_a_seed_that_is_none_is_refused(root: Path, seed: str) -> None:
    done = subprocess.run([root / "scripts" / "best", seed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"error: expected a whole number as SEED, found: {seed}; make best SEED=1 EPOCHS=4\n"
    )


def test_a_broken_dvc_yaml_is_told_and_the_last_demo_is_left(ran: Repository, tmp_path: Path) -> None:
    repository = copied(ran, tmp_path / "clone")
    (repository.path / "dvc.yaml").write_text(_BROKEN)
    fails(repository, "extra keys not allowed, in stages -> a -> cmds, line 2", "your files are as they were")
    assert left(repository) == (["demo"], [])


def test_a_stage_that_fails_tells_why(ran: Repository, tmp_path: Path) -> None:
    repository = copied(ran, tmp_path / "clone")
    repository.set({"train.lr": -1})
    fails(repository, "params.yaml: train.lr is -1", "failed to reproduce 'train'")
    assert left(repository) == (["demo"], [])


def test_without_a_commit_or_a_git_repository_the_demo_says_so_first(ran: Repository, tmp_path: Path) -> None:
    repository = copied(ran, tmp_path / "clone")
    shutil.rmtree(repository.path / ".git")
    repository.git("init", "-q")
    fails(repository, "error: expected a commit, from which an experiment starts, found none")
    shutil.rmtree(repository.path / ".git")
    done = repository.run("scripts/demo", check=False, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.startswith("error: expected a git repository, found: fatal: not a git repository")


@pytest.mark.parametrize("room", [100, 1500])
def test_a_full_disk_is_told_and_nothing_half_done_stays(ran: Repository, tmp_path: Path, room: int) -> None:
    """On a disk of its own, which only this process sees; room: kilobytes that the demo has.

    They are enough for a part of the copy, or for the copy and a part of the stages.
    """
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    script = f"""
mkdir {tmp_path}/disk
mount -t tmpfs -o size=20m none {tmp_path}/disk
git clone -q {ran.path} {tmp_path}/disk/clone
cd {tmp_path}/disk/clone
free=$(($(df -k --output=avail . | tail -1) - {room}))
dd if=/dev/zero of=../filler bs=1k count=$free 2> /dev/null
scripts/demo > ../../said 2>&1
echo ended with $?
git status --porcelain
git for-each-ref refs/exps
find .dvc/tmp/exps/standalone -mindepth 1 -not -name run
"""
    done = Repository(tmp_path).run("unshare", "-m", "bash", "-c", script)
    said = (tmp_path / "said").read_text()
    assert "No space left on device" in said and "Traceback" not in said
    assert done.stdout == "ended with 1\n"
