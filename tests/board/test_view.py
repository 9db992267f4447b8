import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fashionboard.base.errors import BoardError
from fashionboard.board.view import View


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two files of a stage, somewhere else."""
    (tmp_path / "cache").mkdir()
    for name in ("one", "two"):
        (tmp_path / "cache" / name).write_text(name)
    return {"train/events.tfevents.1": tmp_path / "cache" / "one", "train/sub/x": tmp_path / "cache" / "two"}


def listed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def mark(folder: Path, owner: str) -> None:
    """Make a folder look like the view of another process."""
    (folder / ".fashionboard-view").write_text(f"{owner} {folder.stat().st_ino}")


def test_files_are_linked_and_the_view_goes_at_the_end(tmp_path: Path, files: dict[str, Path]) -> None:
    with View(tmp_path / "view") as shown:
        shown.show("main", files)
        link = tmp_path / "view" / "main" / "train" / "events.tfevents.1"
        assert link.is_symlink() and link.resolve() == files["train/events.tfevents.1"]
        assert shown.copied == 0
    assert not (tmp_path / "view").exists()
    assert all(path.exists() for path in files.values())


def test_what_is_shown_no_more_goes_with_its_empty_folders(tmp_path: Path, files: dict[str, Path]) -> None:
    with View(tmp_path / "view") as shown:
        shown.show("main", files)
        shown.show("main", {"train/events.tfevents.1": files["train/sub/x"]})
        assert listed(tmp_path / "view" / "main") == {"train/events.tfevents.1"}
        assert (tmp_path / "view" / "main" / "train" / "events.tfevents.1").read_text() == "two"
        assert not (tmp_path / "view" / "main" / "train" / "sub").exists()
        # and comes back
        shown.show("main", files)
        assert (tmp_path / "view" / "main" / "train" / "sub" / "x").read_text() == "two"
        shown.drop("main")
        assert not (tmp_path / "view" / "main").exists()
        shown.show("main", files)
        assert listed(tmp_path / "view" / "main") == set(files)


def test_a_growing_file_outlives_its_folder(tmp_path: Path, files: dict[str, Path]) -> None:
    with View(tmp_path / "view") as shown:
        shown.show("run", files, growing=True)
        files["train/events.tfevents.1"].write_text("one and more")
        files["train/events.tfevents.1"].unlink()
        # looked at once while its folder is being removed: kept
        shown.show("run", {}, growing=True)
        shown.rename("run", "run (failed)")
        assert shown.files("run (failed)").keys() == files.keys()
        assert (
            tmp_path / "view" / "run (failed)" / "train" / "events.tfevents.1"
        ).read_text() == "one and more"


def test_a_growing_file_that_is_replaced_is_linked_anew(tmp_path: Path, files: dict[str, Path]) -> None:
    event = files["train/events.tfevents.1"]
    with View(tmp_path / "view") as shown:
        shown.show("run", files, growing=True)
        event.unlink()
        event.write_text("another run")
        shown.show("run", files, growing=True)
        link = tmp_path / "view" / "run" / "train" / "events.tfevents.1"
        assert link.read_text() == "another run"
        # the end of the run: the same path, now a link into the cache
        shown.show("run", dict(files))
        shown.show("run", {**files, "train/events.tfevents.1": files["train/sub/x"]})
        assert link.is_symlink() and link.read_text() == "two"
        # gone for two looks: the stage has begun anew
        shown.show("run", {}, growing=True)
        shown.show("run", {}, growing=True)
        assert listed(tmp_path / "view" / "run") == set()


@pytest.mark.parametrize(
    ("refused", "copied", "hard"), [({"symlink"}, 0, True), ({"symlink", "link"}, 2, False)]
)
def test_without_symbolic_links_hard_ones_and_then_copies(
    tmp_path: Path,
    files: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    refused: set[str],
    copied: int,
    hard: bool,
) -> None:
    """A system without links cannot be had here: its refusal is put in their place."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    for name in refused:
        monkeypatch.setattr(os, name, refuse)
    with View(tmp_path / "view") as shown:
        shown.show("main", files)
        link = tmp_path / "view" / "main" / "train" / "sub" / "x"
        assert not link.is_symlink() and link.read_text() == "two"
        assert link.samefile(files["train/sub/x"]) == hard
        assert shown.copied == copied


def test_what_the_projector_reads_lies_in_the_view_itself(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard's projector refuses files that resolve to another folder."""
    cloud = {
        "embed/projector_config.pbtxt": tmp_path / "cache" / "one",
        "embed/a/x.tsv": tmp_path / "cache" / "two",
    }
    with View(tmp_path / "view") as shown:
        shown.show("main", {**files, **cloud})
        link = tmp_path / "view" / "main" / "embed" / "a" / "x.tsv"
        assert not link.is_symlink() and link.samefile(tmp_path / "cache" / "two")
        # the rest as ever
        assert (tmp_path / "view" / "main" / "train" / "sub" / "x").is_symlink()
        # written anew, as in a workspace
        (tmp_path / "cache" / "two").unlink()
        (tmp_path / "cache" / "two").write_text("new")
        shown.show("main", {**files, **cloud})
        assert link.read_text() == "new"
        assert shown.copied == 0

    def other_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", other_disk)
    with View(tmp_path / "view") as shown:
        shown.show("main", {**files, **cloud})
        assert link.read_text() == "new" and shown.copied == 2


def test_a_folder_with_other_files_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(BoardError, match="expected a new or empty folder for the view"):
        View(tmp_path)
    with pytest.raises(BoardError, match="expected a new or empty folder for the view"):
        View(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").exists()


def test_a_view_that_was_kept_is_made_anew(tmp_path: Path, files: dict[str, Path]) -> None:
    for name in ("one", "two"):
        with View(tmp_path / "view", keep=True) as shown:
            shown.show(name, files)
    assert [path.name for path in (tmp_path / "view").iterdir() if path.is_dir()] == ["two"]


def test_a_file_that_has_just_gone_is_left_out(tmp_path: Path) -> None:
    with View(tmp_path / "view") as shown:
        shown.show("run", {"a/x": tmp_path / "gone"}, growing=True)
        assert shown.files("run") == {}


def test_a_copy_is_never_written_through_a_link_that_lies_there(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    with View(tmp_path / "view") as shown:
        stray = tmp_path / "view" / "main" / "train" / "sub" / "x"
        stray.parent.mkdir(parents=True)
        stray.symlink_to(files["train/events.tfevents.1"])
        monkeypatch.setattr(os, "symlink", refuse)
        monkeypatch.setattr(os, "link", refuse)
        shown.show("main", files)
        assert stray.read_text() == "two" and not stray.is_symlink()
    assert files["train/events.tfevents.1"].read_text() == "one"


def test_the_view_of_a_living_board_is_refused(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        started = int(psutil.Process(other.pid).create_time() * 100)
        mark(tmp_path, f"{other.pid}-{started}")
        with pytest.raises(
            BoardError, match=f"is the view of another board, process {other.pid}; name another --view"
        ):
            View(tmp_path)
        other.kill()
    with View(tmp_path):
        assert (tmp_path / ".fashionboard-view").read_text().startswith(f"{os.getpid()}-")


def test_a_view_that_somebody_removed_is_made_again(tmp_path: Path, files: dict[str, Path]) -> None:
    with View(tmp_path / "a" / "view") as shown:
        shown.show("main", files)
        assert not shown.renew()
        shutil.rmtree(tmp_path / "a")
        assert shown.renew()
        shown.show("main", files)
        assert listed(tmp_path / "a" / "view" / "main") == set(files)


@pytest.mark.parametrize("place", ["file/x", "link", "x" * 300, "dangling"])
def test_a_place_where_no_folder_can_be_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BoardError, match="expected "):
        View(tmp_path / place)
