"""A real TensorBoard for tests, asked through its HTTP API."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def tensorboard(logdir: Path, fast: bool) -> Iterator[str]:
    """Start TensorBoard on `logdir` and yield its address; it looks for new data every second."""
    port = free_port()
    program = str(Path(sys.executable).with_name("tensorboard"))
    command = [program, "--logdir", str(logdir), "--port", str(port)]
    options = ["--load_fast", "true" if fast else "false", "--reload_interval", "1"]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        eventually(lambda: get(address, "environment") is not None, True)
        yield address
    finally:
        server.terminate()
        server.wait()


def get(address: str, path: str, **query: str) -> Any:
    """Return what TensorBoard answers under /data/, or None while it has nothing."""
    asked = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    try:
        with urlopen(f"{address}/data/{path}?{asked}", timeout=10) as answer:
            return json.load(answer)
    except URLError:
        return None


def eventually(ask: Callable[[], object], expected: object, seconds: float = 30) -> None:
    """Ask until the answer is the expected one.

    Raises:
        AssertionError: it is not within `seconds`; holds the last answer.
    """
    end = time.monotonic() + seconds
    while (found := ask()) != expected:
        assert time.monotonic() < end, f"expected {expected}, still {found}"
        time.sleep(0.2)
