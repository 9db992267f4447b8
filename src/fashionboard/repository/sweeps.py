"""The experiments that a sweep runs elsewhere: a note here of each, in DVC's folder for temporary files.

A note is `<tmp>/fashionboard/sweep/run/NAME/note.json`; beside it lies `copy`, a copy of the repository in
which the event files grow. The process that writes it, the driver, is told by its number and by when it
began.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from fashionboard.base import outputs
from fashionboard.repository import no_links

# bytes of a note; seconds by which a process can seem to have begun otherwise, after the clock was set
_MOST, _CLOCK = 10_000, 60


@dataclass(frozen=True)
class Note:
    """What a driver says of an experiment: `state` is "running", "finished" or "failed"."""

    name: str
    baseline: str
    state: str
    process: int
    began: float


def place(tmp: Path) -> Path:
    """Return the folder of all notes; tmp: DVC's folder for temporary files."""
    return tmp / "fashionboard" / "sweep" / "run"


def copy(folder: Path) -> Path:
    """Return the copy that belongs to the note in `folder`."""
    return folder / "copy"


def write_note(folder: Path, name: str, baseline: str, state: str) -> None:
    """Note in `folder` that this process looks after an experiment."""
    began = psutil.Process().create_time()
    note = Note(name, baseline, state, os.getpid(), began)
    outputs.write_bytes(folder / "note.json", json.dumps(asdict(note)).encode())


def read_note(folder: Path) -> Note | None:
    """Return the note in `folder`; None if there is none that can be used."""
    path = folder / "note.json"
    # the repository may have brought it, and more
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        if no_links.is_file(path) and path.stat().st_size < _MOST:
            note = Note(**json.loads(path.read_bytes()))
            texts = (note.name, note.baseline, note.state)
            if (
                all(isinstance(each, str) for each in texts)
                and type(note.process) is int
                and type(note.began) is float
            ):
                return note
    return None


def is_driven(folder: Path) -> bool:
    """Tell whether the process lives that looks after the experiment noted in `folder`."""
    note = read_note(folder)
    with contextlib.suppress(psutil.Error, OSError, OverflowError, ValueError):
        return note is not None and abs(psutil.Process(note.process).create_time() - note.began) < _CLOCK
    return False
