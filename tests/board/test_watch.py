"""What one look at a run finds, when its copy goes while it is looked at."""

import json
import shutil
from pathlib import Path

import pytest

from fashionboard.board.live import Processes
from fashionboard.board.results import Reader
from fashionboard.board.watch import Watch
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from tests.support.plain import plain

_RUNNING = 2  # dvc.repo.experiments.executor.base.TaskStatus


def test_a_copy_that_goes_while_it_is_looked_at_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = plain(tmp_path / "r")
    git, tmp = Git(repository.path), repository.path / ".dvc" / "tmp"
    baseline = repository.git("rev-parse", "HEAD").strip()
    for name in ("first", "second"):
        (tmp / "exps" / name).mkdir(parents=True)
        told = tmp / "exps" / "run" / name / f"{name}.run"
        told.parent.mkdir(parents=True)
        root = str(tmp / "exps" / name)
        about = {"name": name, "baseline_rev": baseline, "root_dir": root, "status": _RUNNING}
        told.write_text(json.dumps(about))
    looked = []

    def gone(_: Processes, folder: Path) -> bool:
        looked.append(folder.name)
        shutil.rmtree(folder)
        return False

    monkeypatch.setattr(Processes, "work_in", gone)
    watch = Watch(git, tmp, Reader(git, Cache(repository.path / ".dvc" / "cache")))
    watch.look({})
    assert looked == ["first", "second"]
    assert [each.life.state for each in watch.seen.values()] == ["running", "running"]
    # nobody is asked for where git has a result
    results = {(baseline, name): "a" * 40 for name in ("first", "second")}
    watch.look(results)
    assert [each.life.state for each in watch.seen.values()] == ["experiment", "experiment"]
    assert looked == ["first", "second"]
