"""`fashionboard verify` on real repositories."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.repository import Repository


def verify(repository: Repository, check: bool = True, **environment: str) -> tuple[int, str]:
    done = repository.run("fashionboard", "verify", check=check, **environment)
    return done.returncode, done.stdout


def test_a_second_run_in_another_environment_gives_the_same_bytes(
    finished: Repository, tmp_path: Path
) -> None:
    # a cache that many repositories share must not do the work
    shared = {"DVC_GLOBAL_CONFIG_DIR": str(tmp_path), "DVC_SITE_CONFIG_DIR": str(tmp_path)}
    (tmp_path / "config").write_text(f"[cache]\n    dir = {finished.path / '.dvc' / 'cache'}\n")
    code, printed = verify(
        finished,
        check=True,
        **shared,
        PYTHONHASHSEED="7",
        TZ="Asia/Kathmandu",
        LC_ALL="C",
        OMP_NUM_THREADS="2",
    )
    assert code == 0
    assert "All 12 outputs are, byte for byte, those that HEAD's dvc.lock records." in printed
    assert printed.count(" same\n") == 12
    assert printed.count("Running stage") == 5


def test_one_changed_scalar_is_named(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="copy")
    stage = clone.path / "stages" / "train.py"
    changed = stage.read_text().replace(
        'events.scalar("training loss", report.loss,',
        'events.scalar("training loss", report.loss + (report.step == 59),',
    )
    stage.write_text(changed)
    clone.git("commit", "-qam", "a slip")
    code, printed = verify(clone, check=False)
    assert code == 1
    lines = printed.splitlines()
    (line,) = [line for line in lines if ": tag " in line]
    assert line.startswith("runs/train: tag 'training loss' at step 59 by 1")
    assert [line.split()[0] for line in lines if line.endswith(" DIFFERENT")] == ["runs/train"]
    assert lines[-1] == "Not what dvc.lock was recorded with: stages/train.py"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_takes_everything_with_it(
    finished: Repository, tmp_path: Path, kind: signal.Signals
) -> None:
    command = finished.begin(
        "fashionboard", "verify", "--repo", f"../{finished.path.name}", TMPDIR=str(tmp_path)
    )
    family = psutil.Process(command.pid).children(recursive=True)
    command.send_signal(kind)
    printed, _ = command.communicate(timeout=20)
    assert command.returncode == 128 + kind
    assert "Traceback" not in printed
    assert not any(process.is_running() for process in family)
    assert list(tmp_path.iterdir()) == []


def test_another_instruction_set_is_said_to_be_the_reason(finished: Repository) -> None:
    code, printed = verify(finished, check=False, ATEN_CPU_CAPABILITY="default")
    assert code == 1
    assert "torch uses DEFAULT here" in printed
    different = {line.split()[0] for line in printed.splitlines() if line.endswith(" DIFFERENT")}
    assert "models/net.safetensors" in different
    assert not {"data/raw", "runs/visualize", "runs/embed"} & different


@pytest.mark.parametrize("committed", [False, True])
def test_where_nothing_is_recorded_the_error_is_one_line(tmp_path: Path, committed: bool) -> None:
    repository = Repository(tmp_path)
    if committed:
        repository.git("init", "-q")
    code, printed = verify(repository, check=False)
    assert code == 1
    _, line = printed.splitlines()
    expected = "a committed dvc.lock" if committed else "a git repository"
    assert line.startswith(f"error: expected {expected}, found: fatal: ")
