"""The same inputs give the same dvc.lock, whatever the surroundings."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import Repository

pytestmark = pytest.mark.slow

# `make torture` sets ten
RUNS = int(os.environ.get("RUNS", "3"))
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham")
LANGUAGES = ("C", "C.UTF-8", "POSIX", "de_DE.UTF-8")


def may_rename_host() -> bool:
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(
            ["unshare", "--uts", "hostname", "elsewhere"], capture_output=True, check=False
        ).returncode
        == 0
    )


@pytest.mark.parametrize("number", range(RUNS))
def test_a_full_run_elsewhere_gives_the_same_lock(finished: Repository, tmp_path: Path, number: int) -> None:
    clone = finished.clone(tmp_path / f"a folder {number} ü", cache="none")
    (clone.path / "dvc.lock").unlink()
    surroundings = {
        "PYTHONHASHSEED": str(number),
        "TZ": ZONES[number % len(ZONES)],
        "LANG": LANGUAGES[number % len(LANGUAGES)],
        "LC_ALL": LANGUAGES[number % len(LANGUAGES)],
        "OMP_NUM_THREADS": str(1 + number % 3),
        "MKL_NUM_THREADS": str(1 + number % 2),
        "MPLBACKEND": "svg",
        "HOME": str(tmp_path),
    }
    renamed = ("unshare", "--uts", "sh", "-c", f"hostname host{number} && umask 0{number % 8}7 && dvc repro")
    plain = ("sh", "-c", f"umask 0{number % 8}7 && dvc repro")
    clone.run(*(renamed if may_rename_host() else plain), check=True, **surroundings)
    assert (clone.path / "dvc.lock").read_bytes() == (finished.path / "dvc.lock").read_bytes()


def test_a_forced_run_changes_nothing(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="copy")
    # each process with an order of sets of its own
    clone.dvc("repro", "--force", PYTHONHASHSEED="random")
    assert clone.git("status", "--porcelain") == ""


def test_a_second_run_at_the_same_time_is_refused(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="copy")
    clone.dvc("checkout")
    first = clone.begin("dvc", "repro", "--force", "--single-item", "train")
    second = clone.run("dvc", "repro", "--force", "--single-item", "train", check=False)
    assert second.returncode != 0 and "busy" in second.stdout
    first.communicate()
    assert first.returncode == 0
    assert clone.git("status", "--porcelain") == ""
    assert "up to date" in clone.dvc("status")
