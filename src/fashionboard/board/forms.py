"""A summary of settings as a table for a terminal or a README, as CSV, and as JSON objects."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from fashionboard.base.errors import visible
from fashionboard.board import better, where
from fashionboard.board.group import Value
from fashionboard.board.message import escaped
from fashionboard.board.settings import Setting
from fashionboard.board.table import Column, laid_out

_UNKNOWN = "-"
# what a spreadsheet takes for a formula at the beginning of a cell
_FORMULA = ("=", "+", "-", "@")
# what no Markdown gives a meaning to, but for `www.`, which becomes a link
_PLAIN = re.compile(r"-?[A-Za-z0-9]+([ ._/+-][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Summary:
    """Settings, and the names of the parameters and metrics that are told of each.

    The first metric tells which of a setting's experiments is the best and which the worst.
    """

    settings: Sequence[Setting]
    parameters: Sequence[str]
    metrics: Sequence[str]

    def extremes(self, setting: Setting) -> tuple[str | None, str | None]:
        """Return the names of the best and the worst experiment; None: none has the metric."""
        for metric in self.metrics[:1]:
            if ranked := setting.ranked(metric, better.is_smaller(metric)):
                return ranked[0].name, ranked[-1].name
        return None, None


@dataclass(frozen=True)
class _Values:
    """A column: a name from the repository, what is told of it, a value a setting, and how numbers look."""

    name: str
    what: str
    values: list[Value | None]
    form: str = ".6g"

    @property
    def title(self) -> str:
        return f"{self.name} {self.what}".strip()

    @property
    def is_numbers(self) -> bool:
        return all(each is None or not isinstance(each, bool | str) for each in self.values)

    def cells(self) -> list[str]:
        """Return what a person is shown."""
        return [
            where.said(each) if each is None or isinstance(each, bool | str) else format(each, self.form)
            for each in self.values
        ]


def text(summary: Summary) -> str:
    """Return a table for a terminal."""
    return laid_out(
        Column.of(each.title, each.cells(), right=each.is_numbers) for each in _columns(summary, full=False)
    )


def markdown(summary: Summary) -> str:
    """Return a table of Markdown; nothing of the repository is Markdown or HTML in it."""
    columns = list(_columns(summary, full=False))
    rows = [
        [_literal(each.title) for each in columns],
        ["---:" if each.is_numbers else "---" for each in columns],
        *zip(*(map(_literal, each.cells()) for each in columns), strict=True),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_csv(summary: Summary, stream: TextIO) -> None:
    """Write numbers in full; of texts what is not seen as its code, and an apostrophe before a formula."""
    columns = list(_columns(summary, full=True))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_inert(each.title) for each in columns)
    for row in zip(*(each.values for each in columns), strict=True):
        writer.writerow(map(_exact, row))


def objects(summary: Summary) -> Iterator[str]:
    """Yield a JSON object a setting, in ASCII; what is not known is null."""
    for setting in summary.settings:
        best, worst = summary.extremes(setting)
        yield json.dumps(
            {
                "parameters": dict(setting.parameters),
                "n": len(setting.experiments),
                "metrics": {metric: asdict(setting.spread(metric)) for metric in summary.metrics},
                "seconds": setting.seconds,
                "best": best,
                "worst": worst,
                "experiments": [each.name for each in setting.experiments],
            }
        )


def _columns(summary: Summary, full: bool) -> Iterator[_Values]:
    """Yield the columns; full: those as well that say nothing new here."""
    settings = summary.settings
    for name in summary.parameters:
        yield _Values(name, "", [each.parameters[name] for each in settings])
    counts: list[Value | None] = [len(each.experiments) for each in settings]
    yield _Values("", "n", counts)
    for metric in summary.metrics:
        spreads = [each.spread(metric) for each in settings]
        known: list[Value | None] = [each.n for each in spreads]
        if full or known != counts:
            yield _Values(metric, "n", known)
        yield _Values(metric, "mean", [each.mean for each in spreads])
        yield _Values(metric, "std", [each.std for each in spreads], ".2g")
    seconds: list[Value | None] = [each.seconds for each in settings]
    if full or any(each is not None for each in seconds):
        yield _Values("", "seconds", seconds, ".1f")
    extremes = [summary.extremes(each) for each in settings]
    yield _Values("", "best", [best for best, _ in extremes])
    yield _Values("", "worst", [worst for _, worst in extremes])


def _literal(text: str) -> str:
    """Return Markdown that is shown as `text`, and reads like it where it can."""
    if text == _UNKNOWN or (_PLAIN.fullmatch(text) and "www." not in text.lower()):
        return text
    return escaped(visible(text))


def _exact(value: Value | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return where.said(value)
    if isinstance(value, str):
        return _inert(value)
    # a whole number as one: parameters are float64 here
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _inert(text: str) -> str:
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
