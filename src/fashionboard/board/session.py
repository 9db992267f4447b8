"""One call of `fashionboard board`, from its first line to its last."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fashionboard.board import board, fetch, server, view
from fashionboard.board.board import Board
from fashionboard.board.git import Git
from fashionboard.board.group import Group
from fashionboard.board.selection import Request, select
from fashionboard.board.table import table
from fashionboard.board.view import View
from fashionboard.dvcfiles import Cache
from fashionboard.errors import BoardError

__all__ = ["Options", "Request", "run"]
# seconds between two looks at git, DVC and the disk
_POLL = 2
_STDOUT = Path("-")


@dataclass(frozen=True)
class Options:
    """What the command line says; the fields bear the names of its options."""

    repo: Path
    request: Request
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
    """
    with contextlib.ExitStack() as stack:
        repo = stack.enter_context(fetch.opened(options.repo))
        tmp = Path(repo.tmp_dir)
        git = Git(Path(repo.root_dir))
        # before anything is written: the last view is better than none
        select(git, options.request)
        folder = _folder(options, tmp)
        _allow(folder, [git.folder, Path(repo.cache.local_cache_dir)])
        shown = stack.enter_context(View(folder, keep=not options.serve and not options.export))
        cache = Cache(Path(repo.cache.local_cache_dir), tmp / "fashionboard" / "lists")
        one = Board(Path(repo.root_dir), cache, tmp, options.request, shown)
        one.update(fetch.Remote(repo) if options.fetch else None)
        _check(one)
        print(table(one.groups.values()), file=sys.stderr if options.export == _STDOUT else sys.stdout)
        advice = _advice(has_remote=fetch.is_configured(repo))
        notes = list(_notes(one, shown, advice))
        print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
        if options.export:
            # TensorBoard's reader takes a while to import
            from fashionboard.board import export

            if options.export == _STDOUT:
                export.write_scalars(one.groups.values(), sys.stdout)
            else:
                count = export.export_scalars(one.groups.values(), options.export)
                print(f"{count} points of curves are in {options.export}")
        elif not options.serve:
            print(folder)
        else:
            _serve(one, shown, options, partial(_notes, one, shown, advice))


def _folder(options: Options, tmp: Path) -> Path:
    if options.view:
        return options.view.absolute()
    parent = tmp / "fashionboard" / "board"
    own = view.own(parent)
    # one that is left behind on purpose always has the same place
    return own if options.serve or options.export else parent / "view"


def _allow(folder: Path, others: list[Path]) -> None:
    for each in others:
        if folder.resolve().is_relative_to(each.resolve()):
            raise BoardError(f"{folder}: expected a folder of your own for the view, found one in {each}")


def _check(one: Board) -> None:
    if not one.running and not any(group.files or group.missing for group in one.groups.values()):
        reason = "; ".join(one.unread) or "run the pipeline, or name another revision"
        names = ", ".join(one.groups) or "this repository"
        what = "an output of DVC's with event files (tfevents in their names)"
        raise BoardError(f"expected {what}, found none in {names}; {reason}")


def _advice(has_remote: bool) -> str:
    if has_remote:
        return "to bring them: fashionboard board --fetch {revision}"
    return "and there is no default remote to bring them from; run the pipeline, or `dvc remote add -d ...`"


def _notes(one: Board, shown: View, advice: str) -> Iterator[str]:
    yield from one.unread
    for group in one.groups.values():
        yield from _missing(group, advice.format(revision=group.revision))
    if one.left_out:
        yield f"{one.left_out} commits are left out: they have no outputs, or those of one that is shown"
    if shown.copied:
        yield f"{shown.copied} files were copied: this system allows no links there"


def _missing(group: Group, advice: str) -> Iterator[str]:
    """Say what of a group is not in the cache; `advice` is for what no remote was asked for."""
    asked = {told: [each for each in group.missing if group.answers.get(each) == told] for told in ("", None)}
    nowhere = "nor on the remote; whoever has them: `dvc push`, `dvc exp push`"
    for outputs, told in ((asked[""], nowhere), (asked[None], advice)):
        if outputs:
            yield f"{group.name}: not in the cache: {', '.join(outputs)}; {told}"
    for output, reason in group.answers.items():
        if reason:
            yield f"{group.name}: {output}: expected to bring it from the remote, found: {reason}; try again"


def _serve(one: Board, shown: View, options: Options, notes: Callable[[], Iterable[str]]) -> None:
    port = server.free_port(options.host, options.port)
    if options.port not in (0, port):
        print(f"port {options.port} is in use, so this is on {port}", file=sys.stderr)
    address = server.serve(shown.folder, options.host, port, options.tensorboard)
    print(f"TensorBoard is at {address} until Ctrl-C", flush=True)
    told = set(notes())
    try:
        while True:
            time.sleep(_POLL)
            before = one.groups
            one.update()
            for line in board.changes(before, one.groups):
                print(line, flush=True)
            for line in [line for line in notes() if line not in told]:
                told.add(line)
                print(line, file=sys.stderr, flush=True)
    except SystemExit:
        # Ctrl-C and SIGTERM are how a server is meant to end
        print("closed")
