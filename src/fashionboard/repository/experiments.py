"""DVC's experiments: their refs in git, and the runs that are under way or over.

As DVC 3.67 keeps them: an experiment is the ref `refs/exps/<two digits of its baseline>/<the rest>/<name>`; a
running one is told by a JSON file `<tmp>/exps/run/<id>/<id>.run`, beside it `<id>.json` of its process; with
`--temp` by `<tmp>/exps/standalone/run/<id>/<id>.run`.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fashionboard.base import yamltext
from fashionboard.repository import names, no_links, sweeps

REFS = "refs/exps/"
# bytes of a file that says what runs
_MOST = 1_000_000
_EXPERIMENT = re.compile(rf"{REFS}([0-9a-f]{{2}})/([0-9a-f]{{38,62}})/(.+)")
# dvc.repo.experiments.executor.base.TaskStatus
_RUNNING, _SUCCESS, _FAILED, _CANCELED, _FINISHED = 2, 3, 4, 5, 6
_TOLD: dict[str, Literal["running", "finished", "failed", "killed"]] = {
    state: state for state in ("running", "finished", "failed", "killed")
}


def experiment(ref: str) -> tuple[str, str] | None:
    """Return the baseline's commit and the name of the experiment that `ref` holds; None if it holds none."""
    match = _EXPERIMENT.fullmatch(ref)
    return (match[1] + match[2], match[3]) if match else None


def ref(baseline: str, name: str) -> str:
    """Return the ref of the experiment `name` that starts from the commit `baseline`."""
    return f"{REFS}{baseline[:2]}/{baseline[2:]}/{name}"


@dataclass(frozen=True)
class Run:
    """An experiment that DVC runs, or ran, in a copy of the repository: queued, with `--temp`, or elsewhere.

    start: the commit that the copy was made of: the baseline with what was changed in the workspace.
    root: the copy, removed when the run has ended. state: "running" may be out of date if DVC
    itself was killed. note: the folder of a sweep's note; None of what runs here.
    """

    name: str
    baseline: str
    start: str
    root: Path
    state: Literal["running", "finished", "failed", "killed"]
    note: Path | None = None


class Runs:
    """The runs that DVC has noted in `tmp`, its folder for temporary files."""

    def __init__(self, tmp: Path) -> None:
        # --temp notes its state in the second folder alone, so that one comes last
        self._folders = (tmp / "exps" / "run", tmp / "exps" / "standalone" / "run")
        self._copies = Path(os.path.realpath(tmp)) / "exps"
        self._elsewhere = sweeps.place(tmp)
        self._over: dict[Path, Run] = {}

    def read(self) -> list[Run]:
        """Return the runs, each as it is now; what DVC is just writing is left out."""
        found: dict[Path, Run] = {}
        for folder in self._folders:
            for path in _listed(folder):
                run = self._over.get(path) or _run(path)
                # DVC makes its copies there, and nowhere else
                if run and Path(os.path.realpath(run.root)).is_relative_to(self._copies):
                    found[run.root] = run
                    if run.state != "running":
                        self._over[path] = run
        return [*found.values(), *_elsewhere(self._elsewhere)]


def _elsewhere(folder: Path) -> Iterator[Run]:
    """Yield what a sweep runs."""
    real = Path(os.path.realpath(folder.parents[2]), *folder.parts[-3:])
    for each in sorted(folder.glob("*")):
        note, root = sweeps.read_note(each), sweeps.copy(each)
        # no link is followed: a repository may have brought one
        inside = os.path.realpath(root) == str(real / each.name / root.name)
        if inside and note and note.state in _TOLD:
            yield Run(note.name, note.baseline, note.baseline, root, _TOLD[note.state], each)


def _listed(folder: Path) -> list[Path]:
    try:
        return [path / f"{path.name}.run" for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _run(path: Path) -> Run | None:
    info = _json(path)
    # before it is running, its copy still holds the baseline's parameters
    if not info or info.get("location") == "workspace":
        return None
    try:
        baseline, root, status = (
            yamltext.name(info["baseline_rev"]),
            Path(yamltext.name(info["root_dir"])),
            int(info["status"]),
        )
        str(root).encode()
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    if status < _RUNNING:
        return None
    state: Literal["running", "finished", "failed", "killed"] = "running"
    if status == _FAILED:
        state = "failed"
    elif status == _CANCELED or (status == _FINISHED and not info.get("result_hash")):
        state = "killed"
    elif status in (_SUCCESS, _FINISHED):
        state = "finished"
    elif (_json(path.with_suffix(".json")) or {}).get("returncode") is not None:
        state = "killed"
    name = info.get("name") or names.short(path.stem)
    return Run(str(name), baseline, path.stem, root, state)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        # a link may have come with the repository, and lead to a device
        if not no_links.is_file(path) or path.stat().st_size > _MOST:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # DVC is writing or removing it
        return None
    return found if isinstance(found, dict) else None
