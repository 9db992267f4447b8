"""A sweep on Dask clusters that run already: by a scheduler file with TLS, under a real SLURM."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import slurm
from tests.support.repository import Repository
from tests.support.servers import eventually

pytestmark = pytest.mark.slow
_DASK = [sys.executable, "-m", "dask"]


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    """Dask's own configuration, as docs/sweeps.md makes it."""
    folder = tmp_path / "tls"
    folder.mkdir()
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 60 -subj /CN=sweep"
    )
    subprocess.run(
        [*command.split(), "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    prefix = "DASK_DISTRIBUTED__COMM__"
    found = {f"{prefix}REQUIRE_ENCRYPTION": "true", f"{prefix}TLS__CA_FILE": str(folder / "cert.pem")}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found |= {
            f"{prefix}TLS__{role}__CERT": str(folder / "cert.pem"),
            f"{prefix}TLS__{role}__KEY": str(folder / "key.pem"),
        }
    return found


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


@contextlib.contextmanager
def scheduler(file: Path, **environment: str) -> Iterator[None]:
    command = [
        *_DASK,
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--scheduler-file",
        str(file),
        "--no-dashboard",
    ]
    command += ["--dashboard-address", "127.0.0.1:0"]
    command += ["--protocol", "tls"] if environment else []
    with running(*command, **environment):
        eventually(lambda: file.exists() and file.stat().st_size > 0, True)
        yield


def worker(file: Path) -> list[str]:
    return [*_DASK, "worker", "--scheduler-file", str(file), "--no-dashboard", "--nthreads", "4"]


def experiments(repository: Repository) -> int:
    return len(repository.git("for-each-ref", "refs/exps").splitlines())


@pytest.mark.parametrize("options", [("--no-nanny",), ("--nworkers", "2")])
def test_a_cluster_with_certificates_takes_part(
    repository: Repository, tls: dict[str, str], tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "scheduler.json"
    store = tmp_path / "store"
    with scheduler(file, **tls), running(*worker(file), *options, **tls):
        command = [
            "fashionboard",
            "sweep",
            "-S",
            "train.lr=0.1,0.2,0.3",
            "--on",
            str(file),
            "--store",
            str(store),
        ]
        said = repository.run(*command, check=True, **tls).stdout
        assert "3 done" in said and experiments(repository) == 3
        assert next(store.iterdir()).is_dir()
        # without the certificates it is nobody's
        refused = repository.run(*command[:3], "train.lr=9", *command[4:], check=False)
        assert refused.returncode == 1 and refused.stdout.splitlines()[-1].startswith("error: --on: ")


def test_a_cluster_that_anybody_reaches_is_refused(repository: Repository, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://192.0.2.1:8786"}')
    refused = repository.run("fashionboard", "sweep", "-S", "train.lr=1", "--on", str(file), check=False)
    assert refused.returncode == 1 and "expected tls://, found tcp://192.0.2.1:8786" in refused.stdout


@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())
def test_two_nodes_of_slurm_take_part(repository: Repository, tls: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    with slurm.cluster(tmp_path / "slurm") as nodes, scheduler(file, **tls):
        command = ["srun", "--nodes", "2", "--ntasks", "2", *worker(file), "--no-nanny"]
        with running(*command, **{**nodes.environment, **tls}):
            given = ["-S", "train.lr=0.1,0.2,0.3,0.4", "-S", "train.pause=0.5"]
            command = ["fashionboard", "sweep", *given, "--on", str(file), "--store", str(tmp_path / "store")]
            said = repository.run(*command, check=True, **tls).stdout
            assert "4 done" in said and experiments(repository) == 4
