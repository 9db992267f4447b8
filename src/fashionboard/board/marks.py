"""What a view's folder is known by, since a board removes only what a board has made."""

import re
import shutil
from pathlib import Path

import psutil

from fashionboard.base import outputs
from fashionboard.base.errors import BoardError
from fashionboard.repository import no_links

# in the folder of a view: who made it, and the folder's inode number, which no clone or copy of it has
NAME = ".fashionboard-view"
_OWN = re.compile(r"\d+-\d+")


def own(parent: Path) -> Path:
    """Return a folder in `parent` for the view of this process, and remove those of processes that ended.

    parent: reached through no link that is not the user's own.
    """
    if no_links.is_folder(parent):
        for folder in parent.iterdir():
            # a name of our form, but another process's: what bears it may have come with a clone
            if _OWN.fullmatch(folder.name) and not _is_alive(folder.name):
                remove(folder)
    return parent / owner()


def check(folder: Path) -> None:
    """See that a view may be made in `folder`.

    Raises:
        BoardError: it holds something else than an earlier view, or one that is in use.
    """
    by = (_read(folder) or "").partition(" ")[0]
    if by and by != owner() and _is_alive(by):
        pid = by.partition("-")[0]
        raise BoardError(f"{folder} is the view of another board, process {pid}; name another --view")
    if not _is_marked(folder) and (
        folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))
    ):
        raise BoardError(f"{folder}: expected a new or empty folder for the view, found something else there")


def write(folder: Path, by: str) -> None:
    """Mark `folder` as a view of the process `by`, "" for one that was left behind."""
    outputs.write_bytes(folder / NAME, f"{by} {folder.lstat().st_ino}".encode())


def _read(folder: Path) -> str | None:
    """Return what the mark in `folder` says; None if there is none, or a link is in its place."""
    if not no_links.is_folder(folder) or not no_links.is_file(folder / NAME):
        return None
    return (folder / NAME).read_text(encoding="utf-8", errors="replace")


def _is_marked(folder: Path) -> bool:
    """Tell whether a board made this very folder."""
    mark = _read(folder)
    return mark is not None and mark.partition(" ")[2] == str(folder.lstat().st_ino)


def owner() -> str:
    """Name this process: its number, and when it began, since numbers are used again."""
    process = psutil.Process()
    return f"{process.pid}-{_started(process)}"


def _is_alive(by: str) -> bool:
    pid, _, started = by.partition("-")
    try:
        return str(_started(psutil.Process(int(pid)))) == started
    except (psutil.Error, ValueError):
        return False


def _started(process: psutil.Process) -> int:
    return int(process.create_time() * 100)


def remove(folder: Path) -> None:
    """Remove a folder if it bears a real mark."""
    if _is_marked(folder):
        # a link itself is left, and none is followed
        shutil.rmtree(folder, ignore_errors=True)
