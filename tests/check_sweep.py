"""A sweep over two hosts by ssh and TLS, of which one dies on the way, while a browser looks at the board.

Not collected by `make test-all`: it takes minutes, and network namespaces are root's to make.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.page import MISSING, REASON, Page, chromium
from tests.support import hosts
from tests.support.hosts import Host
from tests.support.repository import Repository
from tests.support.servers import board, eventually, get
from tests.support.sweeping import begun, trees

_LACKING = hosts.missing() or (REASON if MISSING else "")
pytestmark = pytest.mark.skipif(bool(_LACKING), reason=_LACKING)

RATES, SEEDS, EPOCHS = ("0.001", "0.002", "0.004"), ("0", "1"), "train.epochs=10"
OPTIONS = ("--python", sys.executable)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[list[Host], dict[str, str]]]:
    with hosts.hosts(tmp_path / "hosts", "gpu1", "gpu2") as found:
        yield found


def running(address: str) -> str:
    """Return a run of the sweep that has a loss, "" if there is none yet."""
    for run in get(address, "runs") or []:
        if run.startswith("lr-") and get(address, "plugin/scalars/scalars", run=run, tag="training loss"):
            return str(run)
    return ""


def test_six_come_home_though_a_host_dies(
    finished: Repository, two: tuple[list[Host], dict[str, str]], tmp_path: Path
) -> None:
    (first, second), environment = two
    repository = finished.clone(tmp_path / "driver", cache="copy")
    given = (f"train.lr={','.join(RATES)}", f"train.seed={','.join(SEEDS)}", EPOCHS)
    with begun(repository, *given, on="ssh:gpu1,gpu2", options=OPTIONS, environment=environment) as process:
        with board(repository.path) as served, chromium() as driver:
            eventually(lambda: running(served.address) != "", True, seconds=120)
            name = running(served.address).split("/")[0]
            assert name not in trees(repository) and process.poll() is None
            page = Page(driver, served.address)
            page.open("timeseries")
            page.eventually("return document.body.innerText.includes(arguments[0])", name)
            page.screenshot(tmp_path / "running.png")
        eventually(lambda: len(trees(repository)) >= 1, True, seconds=120)
        assert process.poll() is None
        first.kill()
        first.cut()
        said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said
    assert "gpu1-1: the worker has ended" in said and len(trees(repository)) == 6
    # one after the other, by DVC alone
    alone = finished.clone(tmp_path / "alone", cache="copy")
    for rate in RATES:
        for seed in SEEDS:
            settings = (f"-Strain.lr={rate}", f"-Strain.seed={seed}", f"-S{EPOCHS}")
            alone.dvc("exp", "run", "-q", "-n", f"lr-{rate}-seed-{seed}", *settings)
            alone.git("checkout", "-q", "--force", "HEAD")
    assert {each.rpartition("-")[0]: tree for each, tree in trees(repository).items()} == trees(alone)
    # nothing is left on the host that lives, but its server
    eventually(lambda: len(second.pids()) <= 1, True, seconds=10)


def test_a_pulled_cable_is_noticed_and_put_back(
    finished: Repository, two: tuple[list[Host], dict[str, str]], tmp_path: Path
) -> None:
    (first, _), environment = two
    repository = finished.clone(tmp_path / "driver", cache="copy")
    given = ("train.seed=1,2", "train.epochs=15")
    with begun(repository, *given, on="ssh:gpu1", options=OPTIONS, environment=environment) as process:
        eventually(lambda: any("stages.train" in each for each in commands(first)), True, seconds=90)
        first.cut()
        lines = iter(process.stdout.readline, "") if process.stdout else iter(())
        assert any("gpu1-1: the worker has ended" in line for line in lines)
        first.plug()
        said = "".join(lines)
        assert process.wait(300) == 0, said
    assert len(trees(repository)) == 2


def commands(host: Host) -> list[str]:
    found = []
    for pid in host.pids():
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
