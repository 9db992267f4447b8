"""One call of `fashionboard board`, from its first line to its last."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from fashionboard.base import errors
from fashionboard.base.errors import BoardError, visible
from fashionboard.board import board, marks, server
from fashionboard.board.board import Board
from fashionboard.board.means import Means
from fashionboard.board.notes import Notes
from fashionboard.board.table import table
from fashionboard.board.view import View
from fashionboard.board.where import Filter
from fashionboard.repository import ending, fetch, no_links
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.revisions import Request, select

__all__ = ["Options", "Request", "run"]
# seconds between two looks at git, DVC and the disk
_POLL = 2
# and for which, of each, curves of repeats are read; TensorBoard serves at the same time
_READING = 0.5
_STDOUT = Path("-")


@dataclass(frozen=True)
class Options:
    """What the command line says; the fields bear the names of its options."""

    repo: Path
    request: Request
    chosen: Filter
    fetch: bool
    host: str
    port: int
    view: Path | None
    serve: bool
    export: Path | None
    tensorboard: tuple[str, ...]


def run(options: Options) -> None:
    """Build the view, print what is in it, and serve it until the process is told to end.

    Raises:
        BoardError: there is nothing to show, or no way to show it.
        PathError: a link in the repository is in the way.
    """
    with contextlib.ExitStack() as stack:
        repo = stack.enter_context(fetch.opened(options.repo))
        tmp = Path(repo.tmp_dir)
        git = Git(Path(repo.root_dir))
        lists = tmp / "fashionboard" / "lists"
        _follow_no_link(git, [lists, tmp / "fashionboard" / "committed", *_places(options, tmp)])
        # before anything is written: the last view is better than none
        select(git, options.request)
        folder = _folder(options, tmp)
        _allow(folder, [git.folder, Path(repo.cache.local_cache_dir)])
        shown = stack.enter_context(View(folder, keep=not options.serve and not options.export))
        cache = Cache(Path(repo.cache.local_cache_dir), lists)
        means = Means(shown)
        one = Board(Path(repo.root_dir), cache, tmp, options.request, shown, options.chosen)
        one.update(fetch.Remote(repo) if options.fetch else None)
        told = Notes(
            one,
            shown,
            options.request,
            options.chosen,
            has_remote=fetch.is_configured(repo),
            stays=options.serve and not options.export,
        )
        told.check()
        stream = sys.stderr if options.export == _STDOUT else sys.stdout
        groups = options.chosen.ordered(one.groups.values())
        print(table(groups, options.chosen.columns, _room(stream)), file=stream)
        notes = list(told.lines())
        for note in notes:
            print(visible(note), file=sys.stderr)
        if options.export:
            # TensorBoard's reader takes a while to import
            from fashionboard.board import export

            fast = server.loads_fast(options.tensorboard)
            if options.export == _STDOUT:
                export.write_scalars(one.groups.values(), sys.stdout, fast)
            else:
                count = export.export_scalars(one.groups.values(), options.export, fast)
                print(visible(f"{count} points of curves are in {options.export}"))
        elif not options.serve:
            means.show(one.repeats.names, one.groups)
            for line in means.unread:
                print(visible(line), file=sys.stderr)
            print(visible(str(folder)))
        else:
            title = _title(git, Path(repo.root_dir), options.request)
            _serve(one, shown, means, options, lambda: [*told.lines(), *means.unread], title)


def _places(options: Options, tmp: Path) -> Iterator[Path]:
    """Yield where files will be written."""
    # the folder of views itself is looked through, and so is what lies in it
    yield options.view.absolute() if options.view else tmp / "fashionboard" / "board" / "view"
    if options.export and options.export != _STDOUT:
        yield options.export


def _follow_no_link(git: Git, paths: Iterable[Path]) -> None:
    for path in paths:
        no_links.check(git.top, path)


def _folder(options: Options, tmp: Path) -> Path:
    if options.view:
        return options.view.absolute()
    parent = tmp / "fashionboard" / "board"
    own = marks.own(parent)
    # one that is left behind on purpose always has the same place
    return own if options.serve or options.export else parent / "view"


def _allow(folder: Path, others: list[Path]) -> None:
    for each in others:
        if folder.resolve().is_relative_to(each.resolve()):
            raise BoardError(f"{folder}: expected a folder of your own for the view, found one in {each}")


def _room(stream: TextIO) -> int | None:
    """Return the width of the terminal that `stream` writes to, None if it is none."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except OSError:
        return None


def _title(git: Git, root: Path, request: Request) -> str:
    """Return a title that tells two boards apart: the repository's name and what was asked for."""
    inner = [part for part in git.prefix.split("/") if part]
    parts = root.parts[-1 - len(inner) :]
    return " ".join(["/".join(parts), *request.revisions])


def _serve(
    one: Board, shown: View, means: Means, options: Options, notes: Callable[[], Iterable[str]], title: str
) -> None:
    served = server.serve(
        shown.folder,
        options.host,
        options.port,
        options.tensorboard,
        title,
        lambda: one.groups,
        lambda: one.repeats.names,
    )
    if options.port not in (0, served.port):
        print(f"port {options.port} is in use, so this is on {served.port}", file=sys.stderr)
    shown.served = served.runs
    told = set(notes())
    try:
        # from here on Ctrl-C is how it ends
        print(f"TensorBoard is at {served.address} until Ctrl-C", flush=True)
        while True:
            ending.check()
            time.sleep(_POLL)
            before = one.groups
            try:
                one.update()
                means.show(one.repeats.names, one.groups, _READING)
            except Exception as error:
                # nothing that one look finds ends the board
                line = f"this look failed: {errors.reason(error)}; trying again"
                print(visible(line), file=sys.stderr, flush=True)
            for line in board.changes(before, one.groups):
                print(visible(line), flush=True)
            for line in [line for line in notes() if line not in told]:
                told.add(line)
                print(visible(line), file=sys.stderr, flush=True)
    except SystemExit:
        # Ctrl-C and SIGTERM are how a server is meant to end
        print("closed")
