"""What the board says beside its table: what it misses, leaves out, and waits for."""

import shlex
from collections.abc import Iterator

from fashionboard.base.errors import BoardError
from fashionboard.board.board import Board
from fashionboard.board.group import Group
from fashionboard.board.view import View
from fashionboard.board.where import Filter
from fashionboard.repository.names import listed
from fashionboard.repository.revisions import Request

# of as many groups all are told in one line
_NAMED = 3
_EVENTS = "an output of DVC's with event files (tfevents in their names)"


class Notes:
    """The notes of one board, as they are now."""

    def __init__(
        self,
        one: Board,
        shown: View,
        request: Request,
        chosen: Filter,
        *,
        has_remote: bool,
        stays: bool,
    ) -> None:
        """has_remote: whether there is a default remote; stays: whether the board is served."""
        self._board = one
        self._view = shown
        self._request = request
        self._filter = chosen
        self._has_remote = has_remote
        # what was named has what it has, but a run may come in the workspace or in a queue
        self._may_come = stays and (request.workspace or request.running)
        self._waits = False

    def check(self) -> None:
        """See whether there is anything to show, or, on a board that is served, to wait for.

        Raises:
            BoardError: there is neither, or a name after `--where` or `--sort` is nothing's.
        """
        self._waits = not self._files and not self._board.running
        if self._waits and not (self._may_come and self._board.has_outputs):
            reason = "; ".join(self._board.unread) or "run the pipeline, or name another revision"
            raise BoardError(f"expected {_EVENTS}, found none in {self._names}; {reason}")
        # the first run may bring that name
        may_bring = self._may_come and not any(group.metrics for group in self._all)
        if self._unknown and not may_bring:
            raise BoardError(self._unknown)

    def lines(self) -> Iterator[str]:
        """Yield a line each; what has been told once is told again."""
        yield from self._board.unread
        yield from self._absent()
        if self._board.left_out:
            count = self._board.left_out
            yield f"{count} commits are left out: they have no outputs, or those of one that is shown"
        if self._filter.left_out:
            yield f"--where leaves out {listed([group.name for group in self._filter.left_out])}"
        if self._view.copied:
            yield f"{self._view.copied} files were copied: this system allows no links there"
        if self._unknown:
            yield self._unknown
        if self._waits and not self._files:
            yield f"nothing to show yet: waiting for {_EVENTS} in {self._names}; `dvc repro` writes it"
        elif self._waits:
            self._waits = False
            yield f"the first event files are there: {listed(self._files)}"

    @property
    def _all(self) -> list[Group]:
        return [*self._board.groups.values(), *self._filter.left_out]

    @property
    def _files(self) -> list[str]:
        """The names of those that have something to show, or would have."""
        return [group.name for group in self._all if group.files or group.missing]

    @property
    def _names(self) -> str:
        return ", ".join(self._board.groups) or "this repository"

    @property
    def _unknown(self) -> str:
        return self._filter.unknown(self._board.groups.values())

    def _absent(self) -> Iterator[str]:
        """Say whose outputs are not in the cache: of one or two a line each, of more one for all.

        Each that the remote could not give has a line of its own.
        """
        # what is not there may be what --where asks for
        hidden = [group for group in self._filter.left_out if self._filter.lacks(group)]
        lacking = [group for group in [*self._board.groups.values(), *hidden] if group.missing]
        for answer in ("", None):
            missing = {group.name: _unanswered(group, answer) for group in lacking}
            alike = [group for group in lacking if missing[group.name]]
            if len(alike) < _NAMED:
                for group in alike:
                    advice = self._advice(answer, group.revision)
                    yield f"{group.name}: not in the cache: {', '.join(missing[group.name])}; {advice}"
                continue
            kind = "experiments" if all(group.state == "experiment" for group in alike) else "revisions"
            outputs = listed(list(dict.fromkeys(path for group in alike for path in missing[group.name])))
            names = listed([group.name for group in alike])
            advice = self._advice(answer, _words(self._request))
            yield f"{len(alike)} {kind} lack outputs in the cache ({outputs}): {names}; {advice}"
        for group in lacking:
            for output, reason in group.answers.items():
                if reason:
                    expected = f"{group.name}: {output}: expected to bring it from the remote"
                    yield f"{expected}, found: {reason}; try again"

    def _advice(self, answer: str | None, words: str) -> str:
        if answer is not None:
            return "nor on the remote; whoever has them: `dvc push`, `dvc exp push`"
        if self._has_remote:
            return f"to bring them: fashionboard board --fetch {words}".rstrip()
        return (
            "and there is no default remote to bring them from; run the pipeline, or `dvc remote add -d ...`"
        )


def _unanswered(group: Group, answer: str | None) -> list[str]:
    """Return the outputs of a group that the remote has not (""), or was not asked for (None)."""
    return [output for output in group.missing if group.answers.get(output) == answer]


def _words(request: Request) -> str:
    """Return the command line of a request."""
    # without a revision the defaults are others
    alone = not request.revisions
    choices = {"experiments": request.experiments, "running": request.running}
    words = [shlex.quote(each) for each in request.revisions]
    words += ["--all-commits"] if request.all_commits else []
    words += [f"-n {request.last}"] if request.last != 1 else []
    words += [f"--{name}" if given else f"--no-{name}" for name, given in choices.items() if given != alone]
    return " ".join(words)
