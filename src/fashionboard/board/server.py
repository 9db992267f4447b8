"""TensorBoard on the view, within this process: it ends when the board does."""

import contextlib
import io
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from fashionboard.errors import BoardError

# seconds between two looks at the files
RELOAD = 3
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


def serve(logdir: Path, host: str, port: int, arguments: Sequence[str], title: str) -> str:
    """Start TensorBoard on `logdir` in threads of this process and return its address.

    arguments: for TensorBoard, after the board's own. title: of its window in the browser.

    Raises:
        BoardError: TensorBoard does not take the arguments.
    """
    for each in arguments:
        if each.startswith(("--logdir", "--port")):
            raise BoardError(
                f"expected no {each.partition('=')[0]} after --: it is the board's own; leave it out"
            )
    # seconds to import: not for a board that is not served
    from tensorboard import default, program

    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    own = [
        # seen from here, as the page shows it
        *("--logdir", os.path.relpath(logdir), "--port", str(port)),
        *(() if "--bind_all" in arguments else ("--host", host)),
        *("--reload_interval", str(RELOAD), "--samples_per_plugin", "images=1000,scalars=1000000"),
        f"--window_title={title}",
    ]
    said = io.StringIO()
    # its notes about loaders and experimental features are no news to a user of the board
    with contextlib.redirect_stderr(said):
        try:
            board = program.TensorBoard(default.get_plugins())
            board.configure(["tensorboard", *own, *arguments])
            return str(board.launch())
        except (SystemExit, Exception) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
                raise  # a signal
            lines = said.getvalue().strip().splitlines()
            reason = [line for line in lines if "error:" in line][-1:] or [str(error)]
            raise BoardError(f"expected arguments for TensorBoard after --, found: {reason[0]}") from None
