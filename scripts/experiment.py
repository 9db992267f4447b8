"""Run all stages as a DVC experiment, in a temporary copy of the repository, and print errors alone.

    python -m scripts.experiment NAME section.parameter=value ...

It does what `dvc exp run --quiet --temp` does, but three things. It says why an experiment failed.
It removes the copy where DVC leaves it. And it works where the path of the repository, or git's
configuration, has letters beyond ASCII: DVC 3.67 fails to write the copy's configuration there.
"""

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from configobj import ConfigObj
from dvc.cli import main as dvc
from dvc.logger import set_loggers_level

_COPIES = Path(".dvc", "tmp", "exps", "standalone")


def main() -> None:
    name, *parameters = sys.argv[1:]
    _write_any_letter()
    # DVC names its copy so: a later run can have the same process number, but not at the same time
    tempfile.template = f"fashionboard-{os.getpid()}-"
    settings = [f"--set-param={each}" for each in parameters]
    try:
        # what the stages print does not pass here
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            set_loggers_level(logging.ERROR),
        ):
            code = dvc(["exp", "run", "--temp", "--name", name, *settings])
    finally:
        _remove_copies(tempfile.template)
    sys.exit(code)


def _remove_copies(prefix: str) -> None:
    """Remove the copies whose names start with `prefix`, and what DVC notes of the runs in them."""
    for copy in _COPIES.glob(f"{prefix}*"):
        shutil.rmtree(copy, ignore_errors=True)
    for note in _COPIES.glob("run/*/*.run"):
        if prefix in note.read_text(encoding="utf-8", errors="replace"):
            shutil.rmtree(note.parent, ignore_errors=True)


def _write_any_letter() -> None:
    """Have DVC write configuration files in UTF-8, as it reads them."""
    initialise = ConfigObj.__init__

    def in_utf8(self: ConfigObj, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **{"default_encoding": "utf-8", **options})

    ConfigObj.__init__ = in_utf8


if __name__ == "__main__":
    main()
