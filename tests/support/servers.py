"""A real TensorBoard for tests, asked through its HTTP API."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen


def free_port() -> int:
    """Return a free port below those that connections are given, so that none takes it before its server."""
    while True:
        port = secrets.choice(range(20000, 32000))
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def tensorboard(logdir: Path, fast: bool, *options: str) -> Iterator[str]:
    """Start TensorBoard on `logdir` and yield its address; it looks for new data every second."""
    port = free_port()
    program = str(Path(sys.executable).with_name("tensorboard"))
    # by its name alone: the page shows it
    command = [program, "--logdir", logdir.name, "--port", str(port)]
    loading = ["--load_fast", "true" if fast else "false", "--reload_interval", "1"]
    server = subprocess.Popen(
        [*command, *loading, *options],
        cwd=logdir.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        eventually(lambda: get(address, "environment") is not None, True)
        yield address
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def files(folder: Path) -> Iterator[str]:
    """Serve the files of a folder and yield the address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def get(address: str, path: str, **query: str) -> Any:
    """Return what TensorBoard answers under /data/, or None while it has nothing."""
    try:
        return json.loads(content(address, path, **query))
    except URLError:
        return None


def content(address: str, path: str, **query: str) -> bytes:
    """Return the bytes that TensorBoard serves under /data/."""
    asked = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    with urlopen(f"{address}/data/{path}?{asked}", timeout=10) as answer:
        served: bytes = answer.read()
        return served


def eventually(ask: Callable[[], object], expected: object, seconds: float = 30) -> None:
    """Ask until the answer is the expected one.

    Raises:
        AssertionError: it is not within `seconds`; holds the last answer.
    """
    end = time.monotonic() + seconds
    while (found := ask()) != expected:
        assert time.monotonic() < end, f"expected {expected}, still {found}"
        time.sleep(0.2)


def post(address: str, path: str, **body: Any) -> Any:
    """Return what TensorBoard answers to a JSON request under /data/."""
    request = Request(
        f"{address}/data/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def rows(address: str) -> dict[str, dict[str, Any]]:
    """Return the rows of TensorBoard's HParams tab by name."""
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    found = post(
        address,
        "plugin/hparams/session_groups",
        experimentName="",
        allowedStatuses=statuses,
        colParams=[],
        startIndex=0,
        sliceSize=1000,
    )
    return {group["name"]: group for group in found.get("sessionGroups", [])}


@dataclass
class Served:
    """A board that is being served."""

    address: str
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return "".join(self.lines)


@contextlib.contextmanager
def board(folder: Path, *arguments: str) -> Iterator[Served]:
    """Start `fashionboard board` in `folder`, yield when TensorBoard is up, and end it by SIGTERM."""
    program = str(Path(sys.executable).with_name("fashionboard"))
    command = [program, "board", "--port", str(free_port()), *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stream = cast(IO[str], process.stdout)
    lines: list[str] = []
    reader: threading.Thread | None = None
    try:
        for line in stream:
            lines.append(line)
            if line.startswith("TensorBoard is at "):
                break
        else:
            raise AssertionError(f"the board ended:\n{''.join(lines)}")
        address = line.split()[3].rstrip("/")
        reader = threading.Thread(target=lambda: lines.extend(stream))
        reader.start()
        yield Served(address, process, lines)
    finally:
        process.terminate()
        process.wait(10)
        if reader:
            reader.join()
        stream.close()
