import subprocess
import time
from pathlib import Path

import pytest

from fashionboard.repository import experiments
from tests.support.plain import plain
from tests.support.servers import eventually


@pytest.mark.parametrize(
    "info",
    [
        "",
        "[]",
        "{",
        '{"status": "x"}',
        '{"status": null}',
        '{"status": 2}',
        '{"status": 2, "root_dir": 5, "baseline_rev": "a"}',
    ],
)
def test_a_damaged_note_of_a_run_is_left_out(tmp_path: Path, info: str) -> None:
    folder = tmp_path / "exps" / "run" / "abc"
    folder.mkdir(parents=True)
    (folder / "abc.run").write_text(info)
    (tmp_path / "exps" / "standalone").mkdir()
    (tmp_path / "exps" / "standalone" / "run").touch()
    assert experiments.Runs(tmp_path).read() == []


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (f"refs/exps/ab/{'c' * 38}/name", (f"ab{'c' * 38}", "name")),
        ("refs/exps/celery/stash", None),
        ("refs/exps/exec/EXEC_HEAD", None),
        (f"refs/exps/ab/{'c' * 38}", None),
        ("refs/heads/main", None),
    ],
)
def test_an_experiments_ref(ref: str, expected: tuple[str, str] | None) -> None:
    assert experiments.experiment(ref) == expected


@pytest.mark.slow
def test_experiments_refs_and_runs_are_where_this_dvc_keeps_them(tmp_path: Path) -> None:
    """Fails when another DVC keeps experiments or what it knows of running ones elsewhere."""
    repository = plain(tmp_path / "r")
    repository.set({"train.pause": 0.4})
    repository.git("commit", "-qam", "slow")
    head = repository.git("rev-parse", "HEAD").strip()
    runs = experiments.Runs(repository.path / ".dvc" / "tmp")
    assert runs.read() == []
    states: dict[str, list[str]] = {}
    for name, fails in (("good", "false"), ("bad", "true")):
        repository.dvc("exp", "run", "-q", "--queue", "-n", name, "-S", f"train.fails={fails}")
    repository.start_queue(1)
    temporary = subprocess.Popen(
        ["dvc", "exp", "run", "-q", "--temp", "-n", "temporary", "-S", "train.lr=0.1"],
        cwd=repository.path,
        env=repository.environment(),
    )
    roots = {}
    end = time.monotonic() + 60
    while not {("good", "finished"), ("bad", "failed")} <= {(k, v[-1]) for k, v in states.items()}:
        assert time.monotonic() < end, states
        for run in runs.read():
            assert run.baseline == head
            if run.state == "running":
                roots[run.name] = run.root
            seen = states.setdefault(run.name, [])
            if seen[-1:] != [run.state]:
                seen.append(run.state)
        time.sleep(0.05)
    assert temporary.wait(30) == 0
    assert states["good"] == ["running", "finished"]
    assert states["bad"] == ["running", "failed"]
    assert states["temporary"][0] == "running"
    assert set(roots) == {"good", "bad", "temporary"}
    eventually(lambda: [root for root in roots.values() if root.exists()], [])
    listed = repository.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    names = {told[1] for ref in listed if (told := experiments.experiment(ref))}
    assert names == {"good", "temporary"}


def test_a_run_is_one_in_dvcs_folder_for_copies(tmp_path: Path) -> None:
    tmp, elsewhere = tmp_path / "tmp", tmp_path / "elsewhere"
    (elsewhere / "copy").mkdir(parents=True)
    (tmp / "exps" / "copy").mkdir(parents=True)
    (tmp / "exps" / "link").symlink_to(elsewhere / "copy")
    roots = [tmp / "exps" / "copy", tmp / "exps" / "gone", tmp / "exps" / "link", elsewhere / "copy", tmp]
    for number, root in enumerate([*roots, tmp / "exps" / ".." / ".." / "elsewhere"]):
        folder = tmp / "exps" / "run" / f"{number}"
        folder.mkdir(parents=True)
        text = f'{{"status": 2, "root_dir": "{root}", "baseline_rev": "a"}}'
        (folder / f"{number}.run").write_text(text)
    assert [run.root for run in experiments.Runs(tmp).read()] == roots[:2]
