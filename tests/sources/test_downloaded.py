import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionboard.data import dataset
from fashionboard.sources import download
from tests.support import mirror
from tests.support.archives import ARCHIVES, PACKED, apart, assert_complete, closed_port, fetch, files
from tests.support.hostile import seen
from tests.support.repository import Repository, stages_run
from tests.support.servers import eventually

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture(scope="module")
def good() -> Iterator[str]:
    with mirror.serve(PACKED, mirror.good) as server:
        yield server.url


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the main repository keeps archives, which this is a copy of."""
    (tmp_path / "main" / ".dvc").mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    return tmp_path / "main" / ".dvc" / "tmp" / "fashionboard"


def test_what_was_verified_once_is_not_asked_for_again(
    root: Path, main: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with mirror.serve(PACKED, mirror.good) as server:
        fetch(root, server.url, keep=True)
        first = files(root)
        # as DVC does before each run of the stage
        shutil.rmtree(root)
        fetch(root, server.url, keep=True)
    assert server.requested == list(PACKED)
    assert files(root) == first
    assert_complete(root)
    shutil.rmtree(root)
    fetch(root, closed_port(), keep=True)
    assert_complete(root)
    assert capfd.readouterr().err == ""
    assert files(main) == {
        Path(f"{archive.sha256[:16]}-{archive.name}"): PACKED[archive.name] for archive in ARCHIVES
    }


@pytest.mark.usefixtures("ctrl_c", "main")
def test_after_an_interruption_only_the_rest_is_asked_for(root: Path) -> None:
    def interrupting(handler: mirror._Handler, content: bytes) -> None:
        if len(handler.server.requested) < 3:
            mirror.good(handler, content)
        else:
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            mirror.silent(handler, content)

    with mirror.serve(PACKED, interrupting) as server, pytest.raises(KeyboardInterrupt):
        fetch(root, server.url, keep=True)
    assert list(root.iterdir()) == []
    with mirror.serve(PACKED, mirror.good) as server:
        fetch(root, server.url, keep=True)
    assert server.requested == list(PACKED)[2:]
    assert_complete(root)


def test_what_is_kept_is_verified_each_time(
    root: Path, main: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with mirror.serve(PACKED, mirror.good) as server:
        fetch(root, server.url, keep=True)
        whole = files(main)
        names = sorted(whole)
        # the last has as many bytes as it should
        damages = (b"", whole[names[1]][:-1], b"x" * 10**6, None, bytes(len(whole[names[0]])))
        for number, (name, damage) in enumerate(zip([*names, names[0]], damages, strict=True)):
            path = main / name
            path.unlink() if damage is None else path.write_bytes(damage)
            fetch(root, server.url, keep=True)
            assert len(server.requested) == 5 + number
            lines = capfd.readouterr().err.splitlines()
            said = [] if damage is None else [f"{path}: damaged, and removed; the archive is brought again"]
            assert lines == said
            assert files(main) == whole
    assert_complete(root)


def test_a_kept_archive_of_any_size_is_read_no_further_than_its_own(
    root: Path, main: Path, good: str
) -> None:
    fetch(root, good, keep=True)
    (path,) = main.glob("*train-images*")
    with path.open("r+b") as file:
        file.truncate(2**40)
    fetch(root, good, keep=True)
    assert path.stat().st_size < 2**20


def test_outside_of_a_repository_nothing_is_kept(
    root: Path, tmp_path: Path, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "none"))
    (tmp_path / "none").mkdir()
    fetch(root, good, keep=True)
    assert_complete(root)
    assert list((tmp_path / "none").iterdir()) == []
    # nor where the stage does not ask for it
    (tmp_path / "none" / ".dvc").mkdir()
    fetch(root, good)
    assert list((tmp_path / "none").rglob("*")) == [tmp_path / "none" / ".dvc"]


@pytest.mark.parametrize("name", ["", "tmp", "tmp/fashionboard"])
def test_nothing_is_kept_or_taken_through_a_link(
    root: Path, main: Path, tmp_path: Path, good: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(root, good, keep=True)
    path = tmp_path / "main" / ".dvc" / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    before = seen(tmp_path / "elsewhere")
    with mirror.serve(PACKED, mirror.good) as server:
        fetch(root, server.url, keep=True)
    assert server.requested == list(PACKED)
    assert_complete(root)
    assert seen(tmp_path / "elsewhere") == before
    assert "found a symbolic link; remove it; not taken from there" in capfd.readouterr().err


def test_a_link_or_a_folder_in_the_place_of_a_kept_archive_is_not_followed(
    root: Path, main: Path, tmp_path: Path, good: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(root, good, keep=True)
    link, folder, *_ = sorted(main.iterdir())
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    folder.unlink()
    (folder / "mine").mkdir(parents=True)
    before = seen(tmp_path / "elsewhere")
    with mirror.serve(PACKED, mirror.good) as server:
        fetch(root, server.url, keep=True)
    assert len(server.requested) == 2
    assert_complete(root)
    assert seen(tmp_path / "elsewhere") == before
    assert link.is_file() and not link.is_symlink() and (folder / "mine").is_dir()
    said = capfd.readouterr().err
    assert f"cannot be kept for the next time ({folder}: expected a file, found a folder; remove it)" in said


def test_a_full_disk_where_archives_are_kept_stops_no_download(root: Path, main: Path, good: str) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    main.mkdir(parents=True)
    # room for the labels alone
    script = f'mount -t tmpfs -o size=8k tmpfs "{main}" && "$@" && ls -A "{main}"'
    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *apart(root, good)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert_complete(root)
    reason = "cannot be kept for the next time (No space left on device)"
    images = [archive.name for archive in ARCHIVES if "images" in archive.name]
    assert ended.stderr.splitlines() == [f"{name}: {reason}" for name in images]
    labels = [archive for archive in ARCHIVES if archive.name not in images]
    assert ended.stdout.split() == sorted(f"{each.sha256[:16]}-{each.name}" for each in labels)


needs_the_files = pytest.mark.skipif(
    not Path(os.environ.get("FASHION_MNIST_MIRROR") or "/no/such/folder").is_dir(),
    reason="FASHION_MNIST_MIRROR is not set to a folder",
)


@pytest.fixture
def official() -> dict[str, bytes]:
    """The four real files."""
    folder = Path(os.environ["FASHION_MNIST_MIRROR"])
    return {archive.name: (folder / archive.name).read_bytes() for archive in download.OFFICIAL}


@pytest.mark.slow
@needs_the_files
def test_in_a_repository_and_in_dvcs_copies_of_it_a_forced_run_needs_no_network(
    tmp_path: Path, official: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASHION_MNIST_MIRROR")
    repository = Repository.create(tmp_path / "repository", Path(__file__).parents[2])
    with mirror.serve(official, mirror.good) as server:
        repository.set({"data.dataset": "fashion-mnist", "data.mirrors": [server.url], "data.retries": 0})
        repository.git("commit", "-qam", "the real files")
        # the first one runs in a copy
        repository.dvc("exp", "run", "--temp", "download")
        repository.dvc("repro", "download")
    assert server.requested == list(official)
    lock = (repository.path / "dvc.lock").read_bytes()
    printed = repository.dvc("repro", "--force", "download")
    assert stages_run(printed) == ["download"]
    assert (repository.path / "dvc.lock").read_bytes() == lock
    repository.git("add", "-A")
    repository.git("commit", "-qm", "first run")
    printed = repository.dvc("exp", "run", "--temp", "--force", "download")
    assert stages_run(printed) == ["download"]
    repository.dvc("exp", "run", "--queue", "--force", "-n", "queued", "download")
    repository.start_queue(1)
    eventually(lambda: "Success" in repository.dvc("queue", "status"), True, 60)


@needs_the_files
def test_what_a_stopped_stage_says_of_the_download_is_true(
    tmp_path: Path, official: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASHION_MNIST_MIRROR")
    repository = Repository.create(tmp_path / "repository", Path(__file__).parents[2])
    asked = threading.Event()

    def two_alone(handler: mirror._Handler, content: bytes) -> None:
        if len(handler.server.requested) < 3:
            mirror.good(handler, content)
        else:
            asked.set()
            mirror.silent(handler, content)

    stage = [sys.executable, "-m", "stages.download"]
    with mirror.serve(official, two_alone) as server:
        repository.set({"data.dataset": "fashion-mnist", "data.mirrors": [server.url], "data.retries": 0})
        stopped = subprocess.Popen(
            stage, cwd=repository.path, env=repository.environment(), stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(60)
        stopped.send_signal(signal.SIGINT)
        _, printed = stopped.communicate(timeout=10)
    assert printed.startswith("stopped by SIGINT; ")
    assert "download keeps the files that it has verified" in printed
    with mirror.serve(official, mirror.good) as server:
        repository.set({"data.mirrors": [server.url]})
        repository.run(*stage)
    assert server.requested == list(official)[2:]
    assert len(dataset.load(repository.path / "data" / "raw", "train")) == 60_000
