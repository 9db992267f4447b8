"""Hosts in network namespaces of this machine, each with a real OpenSSH server and a home of its own."""

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ssh import SSHD

_IP = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
_SERVER = """
ListenAddress {address}
Port 22
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/key.pub
AuthenticationMethods publickey
UsePAM no
StrictModes no
SetEnv HOME={home}
"""
_CLIENT = """
Host {name}
    HostName {address}
    User {user}
    IdentityFile {folder}/key
    UserKnownHostsFile {folder}/known
    StrictHostKeyChecking accept-new
"""


def missing() -> str:
    """Return why there can be no such hosts here, "" if there can."""
    if SSHD is None:
        return "no OpenSSH server: apt-get install openssh-server"
    if _IP is None:
        return "no network namespaces: apt-get install iproute2"
    if os.geteuid() != 0:
        return "network namespaces are root's to make"
    # several workers of pytest-xdist ask at once
    name = f"fashionboard-try-{os.getpid()}"
    tried = subprocess.run([_IP, "netns", "add", name], capture_output=True, check=False)
    if tried.returncode:
        return f"no network namespaces: {tried.stderr.decode().strip()}"
    _ip("netns", "delete", name)
    return ""


def _ip(*arguments: str) -> str:
    return subprocess.run([str(_IP), *arguments], check=True, capture_output=True, text=True).stdout


@dataclass
class Host:
    """One host: `name` for ssh, in the namespace of that name."""

    name: str
    number: int
    folder: Path
    home: Path = field(init=False)
    _servers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        for name in ("host", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True)
        self.config = _CLIENT.format(**self._about)

    @property
    def address(self) -> str:
        return f"10.{os.getpid() % 200 + 20}.{self.number}.2"

    @property
    def _about(self) -> dict[str, object]:
        told = {"name": self.name, "address": self.address, "user": getpass.getuser()}
        return {**told, "folder": self.folder, "home": self.home}

    @property
    def _space(self) -> str:
        return f"fb{os.getpid()}-{self.number}"

    def start(self) -> None:
        """Make the namespace, and start the server in it."""
        here, there = f"{self._space}h", f"{self._space}n"
        _ip("netns", "add", self._space)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._space)
        _ip("address", "add", f"{self.address[:-1]}1/24", "dev", here)
        _ip("link", "set", here, "up")
        for command in (
            ("address", "add", f"{self.address}/24", "dev", there),
            ("link", "set", there, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", self._space, *command)
        self.serve()

    def serve(self) -> None:
        """Start the server: the host is there."""
        Path("/run/sshd").mkdir(exist_ok=True)
        (self.folder / "sshd_config").write_text(_SERVER.format(**self._about))
        command = [
            str(_IP),
            "netns",
            "exec",
            self._space,
            str(SSHD),
            "-D",
            "-e",
            "-f",
            str(self.folder / "sshd_config"),
        ]
        with (self.folder / "log").open("a") as log:
            self._servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        end = time.monotonic() + 10
        while "Server listening" not in (self.folder / "log").read_text():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", f"{self._space}h", "down")

    def plug(self) -> None:
        """Put the cable back."""
        _ip("link", "set", f"{self._space}h", "up")

    def pids(self) -> list[int]:
        """Return what runs on the host."""
        return [int(each) for each in _ip("netns", "pids", self._space).split()]

    def kill(self) -> None:
        """Kill all that runs on the host, as a power cut does."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Take everything of it away."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.kill()
            _ip("netns", "delete", self._space)
        for server in self._servers:
            server.wait()


@contextlib.contextmanager
def hosts(folder: Path, *names: str) -> Iterator[tuple[list[Host], dict[str, str]]]:
    """Yield hosts that are up, and the variables with which `ssh` finds them by name."""
    found = [Host(name, number, folder / name) for number, name in enumerate(names)]
    (folder / "config").write_text("".join(host.config for host in found))
    # OpenSSH reads the configuration of the user's own home, whatever HOME says
    program = folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    program.chmod(0o755)
    try:
        for host in found:
            host.start()
        yield found, {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    finally:
        for host in found:
            host.remove()
