"""TensorBoard on the view, within this process: it ends when the board does."""

import argparse
import contextlib
import io
import logging
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashionboard.base.errors import BoardError
from fashionboard.board.group import Group

if TYPE_CHECKING:
    # seconds to import
    from tensorboard.program import WerkzeugServer

# seconds between two looks at the files
RELOAD = 2
# ports that are tried after the one that was asked for
_TRIES = 20


def free_port(host: str, port: int) -> int:
    """Return `port`, or the next one that is free; 0 stands for any.

    Raises:
        BoardError: none of 20 is free, or `host` is not an address of this machine.
    """
    for each in range(port, min(port + _TRIES, 65536)) if port else [0]:
        try:
            family, *_, address = socket.getaddrinfo(host, each, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                # as TensorBoard's own server does: else a port that was just left is taken for a minute
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                return int(listener.getsockname()[1])
        except socket.gaierror:
            break
        except PermissionError:
            raise BoardError(
                f"expected a port that may be used, found {each}; name one from 1024 on"
            ) from None
        except UnicodeError:
            break
        except OSError:
            continue
    raise BoardError(
        f"expected a free port on {host}, found none from {port} on; name another --host or --port"
    )


def listen(app: object, flags: Any, host: str, port: int) -> "WerkzeugServer":
    """Return TensorBoard's own server of `app`, bound to `port`, or to the next one that is free.

    flags: TensorBoard's. A port that is taken between the look and the call, as by a board that is started at
    the same moment, gives the next one, too.

    Raises:
        BoardError: as of `free_port`.
    """
    from tensorboard.program import TensorBoardPortInUseError, WerkzeugServer

    while True:
        flags.port = port = free_port(host, port)
        try:
            return WerkzeugServer(app, flags)
        except TensorBoardPortInUseError:
            port += 1


def loads_fast(arguments: Sequence[str]) -> bool:
    """Tell whether TensorBoard, called with these arguments, loads event files by its fast loader."""
    from tensorboard.data import server_ingester

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--load_fast", default="auto")
    parser.add_argument("--detect_file_replacement", default="false")
    known, _ = parser.parse_known_args(arguments)
    if known.load_fast == "false" or known.detect_file_replacement == "true":
        return False
    try:
        server_ingester.get_server_binary()
    except server_ingester.NoDataServerError:
        return False
    return True


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Tell whether TensorBoard is to print its help instead of serving anything."""
    return not {"-h", "--help"}.isdisjoint(arguments)


def print_help() -> None:
    """Print TensorBoard's own help."""
    # seconds to import, as below
    from tensorboard import default, program

    # argparse ends the process; whoever asked decides that
    with contextlib.suppress(SystemExit):
        program.TensorBoard(default.get_plugins()).configure(["tensorboard", "--help"])


@dataclass(frozen=True)
class Server:
    """A TensorBoard that runs: its address and port, and what returns the names of the runs that it shows."""

    address: str
    port: int
    runs: Callable[[], Collection[str]]


def serve(
    logdir: Path,
    host: str,
    port: int,
    arguments: Sequence[str],
    title: str,
    groups: Callable[[], Mapping[str, Group]],
    repeats: Callable[[], Mapping[str, Sequence[str]]],
) -> Server:
    """Start TensorBoard on `logdir` in threads of this process.

    arguments: for TensorBoard, after the board's own. title: of its window in the browser. groups: returns
    what the board shows, by name. repeats: returns the names of those of it that differ in seeds alone, by
    what they are called together.

    Raises:
        BoardError: TensorBoard does not take the arguments, or as of `free_port`.
    """
    for each in arguments:
        if each == "serve" or each.startswith(("--logdir", "--port", "--inspect", "--version")):
            raise BoardError(
                f"expected no {each.partition('=')[0]} after --: it is the board's own; leave it out"
            )
    # seconds to import: not for a board that is not served
    from tensorboard import default, program
    from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin

    from fashionboard.board.plugin import Loader

    loader = Loader(groups, repeats)
    plugins = [loader if each is HParamsPlugin else each for each in default.get_plugins()]
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    own = [
        # seen from here, as the page shows it
        *("--logdir", os.path.relpath(logdir)),
        *(() if "--bind_all" in arguments else ("--host", host)),
        *("--reload_interval", str(RELOAD), "--samples_per_plugin", "images=1000,scalars=1000000"),
        f"--window_title={title}",
    ]
    said = io.StringIO()
    # its notes about loaders and experimental features are no news to a user of the board
    with contextlib.redirect_stderr(said):
        try:
            board = program.TensorBoard(
                plugins, server_class=lambda app, flags: listen(app, flags, host, port)
            )
            board.configure(["tensorboard", *own, *arguments])
            return Server(str(board.launch()), board.flags.port, loader.runs)
        except BoardError:
            raise
        except (SystemExit, Exception) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
                raise  # a signal
            lines = said.getvalue().strip().splitlines()
            reason = [line for line in lines if "error:" in line][-1:] or [str(error)]
            raise BoardError(f"expected arguments for TensorBoard after --, found: {reason[0]}") from None
