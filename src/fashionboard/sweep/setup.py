"""An environment of its own on a host, by the baseline's `make setup`."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from fashionboard.base.errors import reason
from fashionboard.sweep import bundle, launch
from fashionboard.sweep.job import SweepError

# what the host does with a bundle on its stdin; the commit is checked out under a name of its own
_SCRIPT = """
set -e
mkdir -p {folder}
cd {folder}
cat > bundle
[ -d project ] || git init --quiet project
cd project
git fetch --quiet ../bundle {ref}
rm ../bundle
git checkout --quiet --force --detach {baseline}
make setup PYTHON={python} {index} 1>&2
"""


def make(host: str, root: Path, baseline: str, python: str, folder: str, tell: Callable[[str], None]) -> str:
    """Set up the environment on a host, or see that it is there, and return its Python.

    root: of the git repository. python: the interpreter there that makes it. folder: on the host, from
    the home of the user there. tell: is given what the host prints, a line each.

    Raises:
        SweepError: it cannot be set up.
        ProgramError: git cannot pack the commit.
    """
    project = launch.quoted(f"{folder}/project")
    asked = f"git -C {project} rev-parse HEAD && test -e {project}/.venv/.ready"
    done = subprocess.run([*launch.SSH, host, asked], capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.strip() != baseline:
        tell(f"{host}: setting up an environment, `make setup`; minutes, once")
        _call(host, root, baseline, python, folder, tell)
    return f"{folder}/project/.venv/bin/python"


def _call(
    host: str, root: Path, baseline: str, python: str, folder: str, tell: Callable[[str], None]
) -> None:
    script = _SCRIPT.format(
        folder=launch.quoted(folder),
        ref=bundle.REF,
        baseline=baseline,
        python=launch.quoted(python),
        index=shlex.quote(f"TORCH_INDEX={os.environ.get('TORCH_INDEX', '')}"),
    )
    last = ""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "bundle")
        bundle.pack(path, root, baseline)
        with (
            path.open("rb") as sent,
            subprocess.Popen(
                [*launch.SSH, host, script],
                stdin=sent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            for line in process.stderr or ():
                last = line.strip() or last
                tell(f"{host}: {line.strip()}")
    if process.returncode:
        found = reason(OSError(last or os.strerror(0)))
        raise SweepError(f"{host}: expected `make setup` to succeed there, found: {found}")
