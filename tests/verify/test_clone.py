"""The temporary clone in which `fashionboard verify` runs, and what a killed one leaves."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from fashionboard.base.errors import PathError
from fashionboard.verify import clone
from fashionboard.verify.clone import VerifyError
from tests.support import hostile, rights

# no process has such a number
_GONE = 999_999_999


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return hostile.recorded(tmp_path / "repository")


def left(temporary: Path, name: str, pid: int = _GONE, started: int = 1) -> Path:
    """A folder as a killed process leaves it."""
    folder = temporary / f"fashionboard-verify-{name}"
    (folder / "clone").mkdir(parents=True)
    (folder / "clone" / "file").write_text("1")
    (folder / ".fashionboard-verify").write_text(f"{pid} {started} {folder.stat().st_ino}")
    return folder


def test_a_clone_is_there_within_the_block_only(repository: Path, temporary: Path) -> None:
    with clone.of(repository) as copy:
        assert (copy.path / "dvc.lock").read_bytes() == (repository / "dvc.lock").read_bytes()
        # one that runs at the same time leaves it
        with clone.of(repository) as other:
            assert other.path != copy.path
        assert copy.path.exists() and not other.path.exists()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed(repository: Path, temporary: Path) -> None:
    left(temporary, "gone")
    # a number that is used again, by a process that began later
    left(temporary, "again", pid=os.getpid(), started=int(psutil.Process().create_time()) - 3600)
    with clone.of(repository) as copy:
        assert list(temporary.iterdir()) == [copy.path.parent]


def test_what_is_not_known_to_be_left_by_a_killed_process_stays(
    repository: Path, temporary: Path, tmp_path: Path
) -> None:
    outside = left(tmp_path, "outside")
    (temporary / "fashionboard-verify-link").symlink_to(outside)
    left(temporary, "running", pid=os.getpid(), started=int(psutil.Process().create_time()))
    shutil.copytree(left(tmp_path, "gone"), temporary / "fashionboard-verify-copy")
    (left(temporary, "linked") / ".fashionboard-verify").rename(outside / "mark")
    (temporary / "fashionboard-verify-linked" / ".fashionboard-verify").symlink_to(outside / "mark")
    (left(temporary, "unmarked") / ".fashionboard-verify").unlink()
    (left(temporary, "nonsense") / ".fashionboard-verify").write_bytes(b"\xff 1 2")
    left(temporary, "other").rename(temporary / "another-name")
    if os.geteuid() == 0:
        os.chown(left(temporary, "of somebody else"), 4242, 4242)
    before = hostile.seen(temporary), hostile.seen(tmp_path)
    with clone.of(repository):
        pass
    after = hostile.seen(temporary), hostile.seen(tmp_path)
    # the folder itself had the clone in it
    for each in (*before, *after):
        each.pop(str(temporary), None)
    assert after == before


def test_a_link_where_dvc_would_write_is_refused(repository: Path, temporary: Path, tmp_path: Path) -> None:
    (repository / ".dvc" / "tmp").symlink_to(tmp_path)
    hostile.git(repository, "add", "-f", ".dvc/tmp")
    hostile.commit(repository)
    with (
        pytest.raises(PathError, match=r"tmp: expected .*, found a symbolic link"),
        clone.of(repository),
    ):
        pass
    assert list(temporary.iterdir()) == []


def test_the_room_is_what_the_disk_must_hold(repository: Path, temporary: Path) -> None:
    free = shutil.disk_usage(temporary).free
    clone.check_room(repository, 0)
    with pytest.raises(VerifyError, match=r"temporary: expected room for about [\d,]+ MB, found [\d,]+ MB"):
        clone.check_room(repository, free)


def test_a_folder_for_temporary_files_that_cannot_be_written_is_told(repository: Path) -> None:
    closed = repository / "closed"
    closed.mkdir(mode=0o555)
    program = (
        "import tempfile; from pathlib import Path; from fashionboard.base import errors; "
        "from fashionboard.verify import session\n"
        "tempfile._candidate_tempdir_list = lambda: ['closed']\n"
        "errors.run(lambda: session.verify(Path()))"
    )
    done = subprocess.run(
        rights.without("python", "-c", program), cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: expected a folder for temporary files that can be written, found none"
    )
    assert len(done.stderr.splitlines()) == 1
