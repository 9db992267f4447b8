"""A real SLURM with two nodes on this machine: munged, slurmctld and two slurmd of Debian's packages."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import eventually, free_port

_PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
_PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sinfo")
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return why there is no SLURM here, "" if there is."""
    lacking = [name for name in _PROGRAMS if not shutil.which(name, path=_PATH)]
    if lacking:
        return f"no {lacking[0]}: apt-get install munge slurmctld slurmd slurm-client"
    return "" if os.geteuid() == 0 else "SLURM's daemons are root's to start"


@dataclass
class Cluster:
    """Two nodes, n1 and n2; `environment` is what SLURM's commands need."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Run one of SLURM's commands and return what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        """Return what the daemons have to say."""
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Yield a cluster whose nodes are idle."""
    for name in ("state", "spool-n1", "spool-n2"):
        (folder / name).mkdir(parents=True)
    # munged wants folders that others cannot write
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    ports = [free_port() for _ in range(3)]
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(folder=folder, ports=ports, host=socket.gethostname()))
    environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(conf)}
    kept = {
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munge.seed",
    }
    munged = [f"--{name}={folder / file}" for name, file in kept.items()]
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", *munged],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-f", str(conf), "-N", "n1"],
        ["slurmd", "-D", "-f", str(conf), "-N", "n2"],
    ]
    started: list[subprocess.Popen[bytes]] = []
    found = Cluster(folder, environment)
    try:
        for command in commands:
            with (folder / f"{command[0]}-{len(started)}.log").open("wb") as log:
                started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if command[0] == "munged":
                eventually((folder / "munge.socket").exists, True)
        command = ["sinfo", "--noheader", "--Node", "--format=%N %t"]
        eventually(
            lambda: subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            ).stdout.split(),
            ["n1", "idle", "n2", "idle"],
            seconds=60,
        )
        yield found
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
