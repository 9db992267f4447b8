"""Many files of pictures, decoded and fitted by several processes.

A worker is this Python started anew, with a pipe to it and one from it. It does not import the stage's
package, which would take over signals there, too; and it ends by itself when its stage is killed, since its
pipes end.
"""

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fashionboard.base.errors import DataError, PictureError, visible
from fashionboard.base.kind import Kind
from fashionboard.pictures import decode, fit

# files for a worker, below which starting one takes longer than it saves
_WORTH = 32
# files that a worker is asked for ahead: their names, of up to 4,096 bytes, fit into a pipe
_AHEAD = 8
_QUESTION = struct.Struct(">I")  # the length of a path
# the picture's width and height, or 0 and one of the two below; the length of what follows
_ANSWER = struct.Struct(">III")
_REFUSED, _ENDED = 0, 1  # a file that is no picture; a machine that cannot read it


class Fitted(NamedTuple):
    """An image, and the picture that it was made of.

    pixels: uint8 of the kind's shape, read-only. size: width and height of the picture, in pixels.
    """

    pixels: npt.NDArray[np.uint8]
    size: tuple[int, int]


Results = Generator[Fitted | str, None, None]


def read(paths: Sequence[Path], kind: Kind, processes: int | None = None) -> Results:
    """Yield for each path, in order, its image or, in one line, why there is none; a bar shows how far it is.

    Close what is returned, if it is not used up: that ends the workers.

    processes: how many workers decode, which changes nothing in the result; 0 is this process itself, whose
    stderr is closed meanwhile, see `decode.read`. By default there is one for each processor that this
    process may use, and no more than are worth it.

    Raises:
        DataError: a worker cannot be started, or was killed, as by a system that is short of memory; or
            what `decode.read` raises it for.
    """
    if processes is None:
        processes = min(_processors(), len(paths) // _WORTH)
    results = _share(paths, kind, processes) if processes else (_fitted(path, kind) for path in paths)
    with contextlib.closing(results):
        # disable=None: no bar where nobody watches
        yield from tqdm(results, total=len(paths), desc="decode", unit="picture", disable=None)


def _processors() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fitted(path: Path, kind: Kind) -> Fitted | str:
    try:
        picture = decode.read(path)
    except PictureError as error:
        return visible(str(error))
    try:
        pixels = fit.fit(picture, kind)
    except PictureError as error:
        return visible(f"{path}: {error}")
    except DataError as error:
        raise DataError(visible(f"{path}: {error}")) from None
    pixels.flags.writeable = False
    return Fitted(pixels, picture.size)


def _share(paths: Sequence[Path], kind: Kind, processes: int) -> Results:
    """Deal the paths out to workers in turn, and yield their answers in the same turns."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_worker(kind)) for _ in range(processes)]
        ahead = processes * _AHEAD
        for number, path in enumerate(paths[:ahead]):
            _ask(workers[number % processes], path)
        for number, path in enumerate(paths):
            worker = workers[number % processes]
            answer = _answer(worker, path, kind)
            for following in paths[number + ahead : number + ahead + 1]:
                _ask(worker, following)
            yield answer


@contextlib.contextmanager
def _worker(kind: Kind) -> Iterator[subprocess.Popen[bytes]]:
    start = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import Kind, work; work({kind!r})"
    try:
        worker = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C and a terminal that is closed are the stage's to answer
            start_new_session=True,
        )
    except OSError as error:
        raise DataError(
            f"expected to start a process that decodes pictures, found: {error.strerror}; end others"
        ) from None
    try:
        yield worker
    finally:
        worker.kill()
        for pipe in (worker.stdin, worker.stdout):
            if pipe:
                pipe.close()
        worker.wait()


def _ask(worker: subprocess.Popen[bytes], path: Path) -> None:
    assert worker.stdin  # noqa: S101 - for mypy
    name = os.fsencode(path)
    # of one that is gone, its answer's end tells
    with contextlib.suppress(BrokenPipeError):
        _write(worker.stdin.fileno(), _QUESTION.pack(len(name)) + name)


def _answer(worker: subprocess.Popen[bytes], path: Path, kind: Kind) -> Fitted | str:
    assert worker.stdout  # noqa: S101 - for mypy
    head = worker.stdout.read(_ANSWER.size)
    if len(head) == _ANSWER.size:
        width, height, length = _ANSWER.unpack(head)
        content = worker.stdout.read(length)
        if len(content) == length:
            if not width and height == _ENDED:
                raise DataError(content.decode())
            if not width:
                return content.decode()
            return Fitted(np.frombuffer(content, np.uint8).reshape(kind.shape), (width, height))
    code = worker.wait()
    how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
    raise DataError(
        f"{visible(str(path))}: expected a process to decode it, found that ended ({how}), as by a system "
        "that is short of memory; make room, or the picture smaller"
    )


def work(kind: Kind) -> None:
    """Be a worker: answer each path on stdin with an image on stdout; end the process when stdin ends."""
    questions, answers = sys.stdin.buffer, os.dup(1)
    # whatever prints would break an answer
    os.dup2(2, 1)
    # the stage that asked may be gone
    with contextlib.suppress(BrokenPipeError):
        while path := _asked(questions):
            try:
                found, bad = _fitted(path, kind), _REFUSED
            except DataError as error:
                found, bad = str(error), _ENDED
            if isinstance(found, str):
                content, width, height = found.encode(), 0, bad
            else:
                content, (width, height) = found.pixels.tobytes(), found.size
            _write(answers, _ANSWER.pack(width, height, len(content)) + content)
    os._exit(0)


def _asked(questions: BinaryIO) -> Path | None:
    head = questions.read(_QUESTION.size)
    if len(head) < _QUESTION.size:
        return None
    (length,) = _QUESTION.unpack(head)
    name = questions.read(length)
    return Path(os.fsdecode(name)) if len(name) == length else None


def _write(pipe: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(pipe, rest) :]
