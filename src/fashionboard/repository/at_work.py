"""Which processes of DVC work in a repository's own folder."""

import contextlib
import itertools
import time
from pathlib import Path

import psutil

# seconds for stages to end after the DVC that ran them: `lifetime` needs two
_PATIENCE = 5.0
_POLL = 0.1
# of a command line, among which its name is: `python -X utf8 -m dvc exp run`
_WORDS = 8
# words of the commands of a queue and its workers, which work in copies of the repository
_IN_COPIES = {"queue", "queue-worker", "exec-run"}


def processes(root: Path, patience: float = _PATIENCE) -> list[psutil.Process]:
    """Return DVC's commands and stages that run in the repository at `root`, an absolute path without links.

    Those in copies, of a queue or `--temp`, are none of them. patience: seconds to wait for them to end.
    """
    end = time.monotonic() + patience
    while found := [process for process in psutil.process_iter() if _works_in(process, root)]:
        if time.monotonic() > end:
            # a stage is told by the command that runs it
            return [process for process in found if is_dvc(_command(process))] or found
        time.sleep(_POLL)
    return []


def inside(folder: Path) -> bool:
    """Tell whether a process has its working directory in `folder`, an absolute path without links."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder):
                return True
    return False


def _works_in(process: psutil.Process, root: Path) -> bool:
    # other people's processes cannot be asked, nor those that have ended
    with contextlib.suppress(psutil.Error, OSError):
        folder = Path(process.cwd())
        # one in a repository within this one, as DVC's copies are, is none of this one's
        if next((each for each in (folder, *folder.parents) if (each / ".dvc").is_dir()), None) == root:
            return is_dvc(_command(process)) or "DVC_STAGE" in process.environ()
    return False


def name(process: psutil.Process) -> str:
    """Return what a person calls a process: `dvc repro`, also where Python runs it."""
    words = _command(process)
    if words and Path(words[0]).name.startswith("python"):
        words = words[2:] if words[1:2] == ["-m"] else words[1:]
    return " ".join([*(Path(word).name for word in words[:1]), *words[1:]]) or "one that has ended"


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def is_dvc(command: list[str]) -> bool:
    """Tell whether a command line is DVC's, other than that of a queue."""
    words = [Path(each).name for each in command[:_WORDS]]
    called = "dvc" in words[:2] or ("-m", "dvc") in itertools.pairwise(words)
    return called and not _IN_COPIES & set(words)
