"""What a host keeps, and the clone in which an experiment runs."""

import contextlib
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fashionboard.base.errors import DataError, FashionboardError
from fashionboard.sweep import bundle, service
from fashionboard.sweep.job import Job
from fashionboard.sweep.store import Store
from tests.support.plain import fixed
from tests.support.repository import Repository


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixed(tmp_path_factory.mktemp("store") / "source").path


@pytest.fixture
def source(made: Path, tmp_path: Path) -> Repository:
    return Repository(shutil.copytree(made, tmp_path / "source", symlinks=True))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def send(store: Store, source: Repository, *without: str) -> Job:
    commit = source.git("rev-parse", "HEAD").strip()
    packed = source.path.parent / "bundle"
    bundle.pack(packed, source.path, commit, without)
    content = packed.read_bytes()
    for offset in range(0, len(content), 1000):
        store.take(commit, offset, content[offset : offset + 1000])
    store.end_bundle(commit)
    return Job("one", commit, (), "", ("Ada", "ada@localhost"))


def test_an_object_comes_in_parts_and_is_checked(store: Store) -> None:
    content = bytes(range(256)) * 10
    md5 = hashlib.md5(content).hexdigest()
    assert store.lacking([md5]) == [md5]
    for offset in (0, 1000, 2000):
        store.take(md5, offset, content[offset : offset + 1000])
    store.end_object(md5)
    found = store.cache.find(md5)
    assert found is not None and found.read_bytes() == content and store.lacking([md5]) == []
    other = hashlib.md5(b"other").hexdigest()
    store.take(other, 0, content)
    with pytest.raises(DataError, match="other bytes"):
        store.end_object(other)
    assert store.lacking([other]) == [other] and list((store.folder / "parts").iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", ".", ""])
def test_nothing_else_becomes_part_of_a_path(store: Store, name: str) -> None:
    with pytest.raises(FashionboardError, match="expected the name of an object or a commit"):
        store.take(name, 0, b"x")


def test_a_second_commit_needs_only_what_is_new(store: Store, source: Repository) -> None:
    first = send(store, source)
    assert store.commits() == [first.baseline]
    (source.path / "params.yaml").write_text('{"train": {"steps": 11}}')
    source.git("commit", "-qam", "more")
    second = send(store, source, first.baseline)
    assert set(store.commits()) == {first.baseline, second.baseline}
    with store.clone(second) as clone:
        assert (clone / "params.yaml").read_text() == '{"train": {"steps": 11}}'


def test_a_commit_in_the_history_of_another_is_there(store: Store, source: Repository) -> None:
    before = source.git("rev-parse", "HEAD").strip()
    source.git("commit", "-q", "--allow-empty", "-m", "more")
    send(store, source)
    assert service.needs(str(store.folder), before, {}) == (None, [])
    with store.clone(Job("two", before, (), "", ("Ada", "ada@localhost"))) as clone:
        assert Repository(clone).git("rev-parse", "HEAD").strip() == before
    commits, lacking = service.needs(str(store.folder), "0" * 40, {"1" * 32: 5})
    assert commits is not None and before in commits and lacking == ["1" * 32]


def test_what_the_disk_has_no_room_for_is_not_sent(store: Store) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        service.needs(str(store.folder), "0" * 40, {"1" * 32: 2**60})


def test_a_part_is_gone_with_the_worker_that_took_it(store: Store) -> None:
    take = "from fashionboard.sweep.service import take; take(sys.argv[1], '1' * 32, 0, b'part')"
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys; {take}; print(flush=True); sys.stdin.read()", str(store.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdout and worker.stdout.readline() == b"\n"
        store.prepare()
        assert len(list((store.folder / "parts").iterdir())) == 1
    store.prepare()
    assert list((store.folder / "parts").iterdir()) == []


def test_a_clone_is_gone_after_success_and_stays_after_anything_else(
    store: Store, source: Repository
) -> None:
    job = send(store, source)
    with contextlib.suppress(ZeroDivisionError), store.clone(job) as clone:
        (clone / "kept").write_text("of a stage")
        (clone / "params.yaml").write_text("changed")
        (clone / ".git" / "index.lock").touch()
        raise ZeroDivisionError
    assert store.begun() == [job.name]
    with store.clone(job) as again:
        assert again == clone and (again / "kept").exists()
        assert (again / "params.yaml").read_bytes() == (source.path / "params.yaml").read_bytes()
        repository = Repository(again)
        assert repository.git("config", "user.name") == "Ada\n"
        assert Path(repository.dvc("cache", "dir").strip()) == store.folder / "cache"
    assert not clone.exists() and store.begun() == []
