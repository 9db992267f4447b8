"""The model of a commit, a tag, a branch or an experiment, from DVC's cache, in real repositories."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fashionboard.base.errors import BoardError, DataError, ModelError
from fashionboard.network import checkpoint, nets
from fashionboard.predict import stored
from tests.support.plain import plain
from tests.support.repository import Repository

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))
MODEL = Path("models/net.safetensors")


@pytest.fixture(scope="module")
def tried(finished: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A clone of the finished repository with a tag, and the experiment `faster` from it."""
    clone = finished.clone(tmp_path_factory.mktemp("clone") / "tried")
    clone.git("tag", "-a", "v1", "-m", "first")
    clone.dvc("checkout", "-q")
    clone.dvc("exp", "run", "-q", "-n", "faster", "-S", "train.lr=0.02", "train")
    page = Image.new("RGB", (100, 100), "white")
    page.paste("black", (30, 10, 70, 90))
    page.save(clone.path / "page.png")
    return clone


def call(repository: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "predict", *arguments]
    return subprocess.run(command, cwd=repository.path, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_name_of_a_commit_leads_to_its_model(tried: Repository, finished: Repository) -> None:
    expected = (finished.path / MODEL).read_bytes()
    head = tried.git("rev-parse", "HEAD").strip()
    for name in ("HEAD", "main", "v1", head, head[:8]):
        found = stored.find(name, MODEL, tried.path)
        assert found.read_bytes() == expected
        assert found.is_relative_to(finished.path / ".dvc" / "cache")  # which the clone shares


def test_an_experiments_model_is_its_own(tried: Repository) -> None:
    own = stored.find("faster", MODEL, tried.path).read_bytes()
    assert own == (tried.path / MODEL).read_bytes()  # the workspace is that of the experiment
    assert own != stored.find("main", MODEL, tried.path).read_bytes()


@pytest.mark.slow
def test_the_command_takes_the_model_of_a_revision_also_from_a_subfolder(tried: Repository) -> None:
    (tried.path / "deep" / "er").mkdir(parents=True)
    inner = Repository(tried.path / "deep" / "er")
    page = str(tried.path / "page.png")
    experiment, main = (call(inner, page, "--rev", name) for name in ("faster", "main"))
    assert (experiment.returncode, main.returncode) == (0, 0)
    assert experiment.stdout.startswith(f"{page}: ") and main.stdout.startswith(f"{page}: ")
    assert experiment.stdout != main.stdout


def test_an_unknown_revision_is_one_line(tried: Repository) -> None:
    done = call(tried, "page.png", "--rev", "fastre")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: expected a revision, found 'fastre'; did you mean faster?\n"


def test_a_model_that_is_not_in_the_cache_is_one_line_that_says_how_to_bring_it(
    tried: Repository, tmp_path: Path
) -> None:
    bare = tried.clone(tmp_path / "bare", cache="none")
    bare.git("fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    for name, advice in (
        ("main", "`dvc fetch --all-commits models/net.safetensors`"),
        ("faster", "`dvc exp pull <git remote> faster`"),
    ):
        done = call(bare, str(tried.path / "page.png"), "--rev", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: {name}: models/net.safetensors is not in DVC's cache; bring it with {advice}, "
            "if whoever trained it has pushed it\n"
        )


@pytest.mark.slow
def test_the_advice_brings_it(tried: Repository, tmp_path: Path) -> None:
    tried.dvc("remote", "add", "-q", "--local", "-d", "-f", "storage", str(tmp_path / "storage"))
    tried.dvc("push", "-q", "--all-commits", str(MODEL))
    bare = tried.clone(tmp_path / "bare", cache="none")
    bare.dvc("remote", "add", "-q", "--local", "-d", "storage", str(tmp_path / "storage"))
    with pytest.raises(ModelError) as caught:
        stored.find("main", MODEL, bare.path)
    told = re.search("`(.*)`", str(caught.value))
    assert told is not None
    bare.run(*told[1].split())
    assert stored.find("main", MODEL, bare.path).is_file()


def test_a_commit_without_the_output(tried: Repository) -> None:
    with pytest.raises(ModelError, match=r"^main~1: expected models/net\.safetensors among the outputs"):
        stored.find("main~1", MODEL, tried.path)
    with pytest.raises(ModelError, match=r"^main: expected other\.safetensors among the outputs"):
        stored.find("main", Path("other.safetensors"), tried.path)
    with pytest.raises(ModelError, match=r"^workspace: expected a commit or an experiment"):
        stored.find("workspace", MODEL, tried.path)


@pytest.mark.slow
def test_a_model_of_another_kind_names_the_revision(tried: Repository) -> None:
    done = call(tried, "page.png", "--rev", "main", "--model", "metrics/train.json")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: main: ") and "expected a safetensors file" in done.stderr


def test_a_folder_outside_any_repository(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="expected a DVC repository, found: "):
        stored.find("main", MODEL, tmp_path)


@pytest.mark.slow
def test_a_model_in_a_folder_that_dvc_add_tracks(tmp_path: Path) -> None:
    repository = plain(tmp_path / "r", subdir=True)
    path = repository.path / "deep" / "models" / "a b.safetensors"
    checkpoint.save(path, nets.initial(0, classes=2), checkpoint.Origin("mine", ("cat", "dog")))
    repository.dvc("add", "-q", "deep/models")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "a model")
    found = stored.find("HEAD", Path("deep/models/a b.safetensors"), path.parent)
    assert found.read_bytes() == path.read_bytes()
    assert stored.find("HEAD", path, path.parent) == found
    (repository.path / "deep" / "models.dvc").write_text("outs: [")
    repository.git("commit", "-qam", "damaged")
    with pytest.raises(DataError, match=r"expected a \.dvc file"):
        stored.find("HEAD", Path("deep/models/a b.safetensors"), path.parent)


def test_two_experiments_of_one_name_are_told_apart(tried: Repository, tmp_path: Path) -> None:
    clone = tried.clone(tmp_path / "clone")
    clone.dvc("cache", "dir", "--local", tried.dvc("cache", "dir").strip())
    one, two = (clone.git("commit-tree", "HEAD^{tree}", "-m", name).strip() for name in ("one", "two"))
    for baseline, commit in (("a" * 40, one), ("b" * 40, two)):
        clone.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/same", commit)
    with pytest.raises(ModelError) as caught:
        stored.find("same", MODEL, clone.path)
    assert str(caught.value) == (
        f"same: expected one commit or experiment, found {one[:7]}, {two[:7]}; name one of these"
    )
    assert stored.find(one[:7], MODEL, clone.path) == stored.find("main", MODEL, tried.path)
