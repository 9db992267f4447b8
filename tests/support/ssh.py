"""A real OpenSSH server on loopback, with keys of its own, for the one user who runs the tests."""

import getpass
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.servers import free_port

# Debian puts it where only root looks
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")

_SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/key.pub
AuthenticationMethods publickey
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
SetEnv HOME={home}
"""
_CLIENT = """
Host team
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/key
"""


@dataclass
class Server:
    """The server that `home`/.ssh/config calls `team`."""

    folder: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        for name in ("host", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True)
        about = {"folder": self.folder, "port": self.port, "user": getpass.getuser(), "home": self.home}
        (self.folder / "sshd_config").write_text(_SERVER.format(**about))
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        (self.home / ".ssh" / "config").write_text(_CLIENT.format(**about))

    @property
    def home(self) -> Path:
        """What must be HOME for programs to find the server as `team`."""
        return self.folder / "home"

    def start(self) -> None:
        """Start the server and return when it listens."""
        if getpass.getuser() == "root":
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it, and Debian makes it in its service alone
        # sshd starts itself again for each connection, and for that wants its full path
        command = [str(SSHD), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while not self._listens():
            assert time.monotonic() < end and self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server with all its connections, at once."""
        server = psutil.Process(self._process.pid)
        for process in [server, *server.children(recursive=True)]:
            process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


def program(folder: Path, server: Server) -> None:
    """Put an `ssh` into a folder that finds the server: OpenSSH itself does not look into HOME."""
    found = folder / "ssh"
    folder.mkdir(exist_ok=True)
    options = f"-F {server.home}/.ssh/config -o UserKnownHostsFile={server.folder}/known"
    options += " -o StrictHostKeyChecking=accept-new"
    found.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    found.chmod(0o755)
