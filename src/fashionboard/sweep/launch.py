"""Start workers, here or on hosts by ssh, and start again those that end."""

import collections
import contextlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from fashionboard.sweep.job import SweepError
from fashionboard.sweep.tls import Pair
from fashionboard.sweep.worker import BEAT, Told

# ports of loopback that a system gives to nobody by itself, which begin at 32768 under Linux
_PORTS = (20_000, 32_000)
# seconds between two tries to start a worker that has ended: at first, and in the long run
_SOON, _LATER = 1.0, 30.0
# starts of a worker that must fail before it is told as one that cannot be started
_TRIES = 1
# seconds for workers to end by themselves
_PATIENCE = 5.0
# lines of what ssh and a worker say
_LINES = 20
_PLACE = re.compile(r"(?P<host>[^*,]+)(?:\*(?P<count>[1-9][0-9]{0,3}))?")
SSH = (
    *("ssh", "-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10"),
    # a dead connection is noticed after 15 seconds
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
    # forwards end with this very connection
    *("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "RemoteCommand=none"),
)


@dataclass(frozen=True)
class Place:
    """Where one worker runs: a host as ssh knows it, "" for this machine, and its number there."""

    host: str
    number: int

    def __str__(self) -> str:
        return f"{self.host or 'local'}-{self.number + 1}"


def places(text: str, cores: int) -> list[Place]:
    """Return the places that `local`, `local*2` or `ssh:gpu1,gpu2*2` stands for; cores: of this machine.

    Raises:
        SweepError: it stands for nothing.
    """
    kind, _, rest = text.partition(":")
    told = rest if kind == "ssh" else text
    found: list[Place] = []
    for each in told.split(","):
        match = _PLACE.fullmatch(each)
        # a name with a dash first would be an option of ssh's
        if not match or match["host"].startswith("-") or (kind != "ssh" and match["host"] != "local"):
            raise SweepError(
                f"--on: expected local, local*2, ssh:HOST,HOST*2, tls://HOST:PORT, FILE.json, found {text!r}"
            )
        count = int(match["count"] or (1 if kind == "ssh" else cores))
        host = match["host"] if kind == "ssh" else ""
        first = sum(place.host == host for place in found)
        found += [Place(host, first + number) for number in range(count)]
    return found


@dataclass
class _Started:
    """A worker's process; said: what it and ssh have said last. again: when it may be started again."""

    process: "subprocess.Popen[bytes]"
    said: "collections.deque[str]" = field(default_factory=lambda: collections.deque(maxlen=_LINES))
    ended: float | None = None


class Fleet:
    """The workers of a sweep, one a place."""

    def __init__(
        self, where: Sequence[Place], scheduler: int, pair: Pair, pythons: Mapping[str, str]
    ) -> None:
        """scheduler: the port on which the scheduler listens on loopback. pythons: by host."""
        self._scheduler = scheduler
        self._pair = pair
        self._pythons = pythons
        self._started: dict[Place, _Started] = {}
        self._tries = dict.fromkeys(where, 0)
        self._ports: dict[Place, list[int]] = {}
        self._told: dict[Place, str] = {}
        self._over = threading.Event()
        if any(place.host for place in where) and not shutil.which("ssh"):
            raise SweepError("--on ssh: expected OpenSSH's client, found no ssh; install it")
        for place in where:
            self._start(place)
        # the driver itself may be busy for a while
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return len(self._tries)

    def look(self) -> list[str]:
        """Start again what has ended, after a while; return a line for each that ends for a new reason."""
        lines = []
        for place, each in list(self._started.items()):
            if each.process.poll() is None:
                continue
            if each.ended is None:
                each.ended = time.monotonic()
                if self._told.get(place) != self.why(place):
                    self._told[place] = self.why(place)
                    lines.append(f"{place}: the worker has ended ({self.why(place)}); it is started again")
            elif time.monotonic() - each.ended > min(_SOON * 2 ** min(self._tries[place], 9), _LATER):
                self._tries[place] += 1
                self._start(place)
        return lines

    def _beat(self) -> None:
        """Tell workers that the driver lives: where a cable is cut, a host learns it by this alone."""
        while not self._over.wait(BEAT):
            for each in list(self._started.values()):
                _write(each.process, b"\n")

    def steady(self, name: str) -> None:
        """Note that a worker is there: if it ends, it is started again soon."""
        for place in self._tries:
            if str(place) == name:
                self._tries[place] = 0
                self._told.pop(place, None)

    def dead(self) -> list[str]:
        """Return why, for each that ends again and again."""
        return [
            f"{place}: {self.why(place)}"
            for place, each in self._started.items()
            if each.process.poll() is not None and self._tries[place] >= _TRIES
        ]

    def why(self, place: Place) -> str:
        """Return the last thing that a worker said."""
        return next(reversed(self._started[place].said), f"exit code {self._started[place].process.poll()}")

    def end(self, patience: float = _PATIENCE) -> None:
        """End all workers with what they run; what is left after `patience` seconds is killed."""
        self._over.set()
        for each in self._started.values():
            with contextlib.suppress(OSError):  # it has ended
                if each.process.stdin:
                    each.process.stdin.close()
        end = time.monotonic() + patience
        try:
            for each in self._started.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    each.process.wait(max(0.0, end - time.monotonic()))
        finally:
            # it took too long, or a second Ctrl-C came: what a killed worker ran ends by itself
            for each in self._started.values():
                each.process.kill()
                each.process.wait()

    def _start(self, place: Place) -> None:
        command, told = self._command(place)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Ctrl-C is for the driver, which ends its workers
            start_new_session=True,
        )
        self._started[place] = started = _Started(process)
        threading.Thread(target=_listen, args=(process.stderr, started.said), daemon=True).start()
        _write(process, told.line())

    def _command(self, place: Place) -> tuple[list[str], Told]:
        module = ("-P", "-m", "fashionboard.sweep.worker")
        if not place.host:
            address = f"tls://127.0.0.1:{self._scheduler}"
            return [sys.executable, *module], Told(str(place), place.number, address, self._pair)
        taken = {port for ports in self._ports.values() for port in ports}
        there, back, here = random.sample([each for each in range(*_PORTS) if each not in taken], 3)
        self._ports[place] = [there, back, here]
        forwards = [
            "-R",
            f"127.0.0.1:{there}:127.0.0.1:{self._scheduler}",
            "-L",
            f"127.0.0.1:{here}:127.0.0.1:{back}",
        ]
        python = quoted(self._pythons[place.host])
        remote = " ".join(["exec", python, *module])
        addresses = [f"tls://127.0.0.1:{port}" for port in (there, here)]
        told = Told(str(place), place.number, addresses[0], self._pair, addresses[1], back)
        return [*SSH, *forwards, place.host, remote], told


def quoted(path: str) -> str:
    """Return a path for a shell on a host, where `~/` is the home of the user."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _write(process: "subprocess.Popen[bytes]", line: bytes) -> None:
    """Tell a worker something; one that has ended is seen by `look`."""
    with contextlib.suppress(OSError, ValueError):
        if process.stdin:
            process.stdin.write(line)
            process.stdin.flush()


def _listen(stream: IO[bytes] | None, said: "collections.deque[str]") -> None:
    for line in stream or ():
        text = line.decode(errors="replace").strip()
        if text:
            said.append(text)
