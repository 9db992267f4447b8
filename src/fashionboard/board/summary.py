"""What the repeats of each setting come to: one call of `fashionboard summary`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fashionboard.base.errors import BoardError, visible
from fashionboard.board import better, forms, lookup, settings, timed
from fashionboard.board.forms import Summary
from fashionboard.board.results import Reader, Record
from fashionboard.board.settings import Experiment, Setting
from fashionboard.repository import fetch, revisions
from fashionboard.repository.cache import Cache
from fashionboard.repository.git import Git
from fashionboard.repository.names import listed
from fashionboard.repository.revisions import Request, Target
from fashionboard.repository.times import Kept

Form = Literal["text", "markdown", "csv", "json"]


@dataclass(frozen=True)
class Options:
    """What the command line says; the fields bear the names of its options."""

    repo: Path
    revisions: tuple[str, ...]
    by: tuple[str, ...]
    metric: tuple[str, ...]
    form: Form


def run(options: Options) -> None:
    """Print a line a setting, and on stderr what is left out or not known.

    Raises:
        BoardError: there is no such repository, revision, parameter or metric, or nothing to tell of.
        PathError: a link in the repository is in the way.
    """
    with fetch.opened(options.repo) as repo:
        root, cache = Path(repo.root_dir), Cache(Path(repo.cache.local_cache_dir))
    notes: list[str] = []
    experiments = list(_read(root, cache, _targets(Git(root), options.revisions), notes))
    if not experiments:
        reasons = "; ".join(notes)
        raise BoardError(
            f"expected parameters or metrics, found none: {reasons}; run the pipeline, or name others"
        )
    summary = _summary(experiments, options.by, options.metric)
    _print(summary, options.form)
    notes += _about(summary, experiments, chosen=bool(options.metric))
    for note in notes:
        print(visible(note), file=sys.stderr)


def _targets(git: Git, named: tuple[str, ...]) -> list[Target]:
    """Return what was named; if nothing was, every experiment that starts from HEAD.

    Raises:
        BoardError: there is no such revision or no experiment, or the workspace was named.
    """
    if revisions.WORKSPACE in named:
        raise BoardError(
            "expected experiments or commits, found workspace; `dvc metrics show` and "
            "`fashionboard summary --times` tell of it"
        )
    if named:
        return revisions.select(git, Request(named, experiments=False, running=False))
    found = [each for each in revisions.select(git, Request(running=False)) if each.kind == "experiment"]
    if not found:
        raise BoardError(
            "expected experiments that start from HEAD, found none; run some (dvc exp run -S train.seed=1), "
            "or name others: fashionboard summary main 'best-*'"
        )
    return found


def _read(root: Path, cache: Cache, targets: Sequence[Target], notes: list[str]) -> Iterator[Experiment]:
    """Yield what each target holds; notes: is told what could not be looked at, a line each."""
    kept, names = Kept(root), revisions.distinct(targets)
    records = Reader(Git(root), cache).read(target.commit for target in targets)
    for target in targets:
        record, name = records[target.commit], names[target.key]
        notes += [f"{name}: {problem}; skipped" for problem in record.unread]
        if record.missing:
            notes.append(f"{name}: not in DVC's cache: {', '.join(record.missing)}")
        if record.parameters or record.metrics:
            seconds = _seconds(record, kept)
            yield Experiment(name, record.parameters, record.metrics, seconds, record.inputs)
        else:
            notes.append(f"{name}: no run is recorded there; left out")


def _seconds(record: Record, kept: Kept) -> float | None:
    """Return what all stages took together that keep their times; None if one of these is not known."""
    times = [kept.find(key) for key in set(timed.keys(record.files).values())]
    known = [each.seconds for each in times if each]
    return sum(known) if known and len(known) == len(times) else None


def _summary(experiments: Sequence[Experiment], by: Sequence[str], metrics: Sequence[str]) -> Summary:
    """Put experiments together; the best setting comes first.

    Raises:
        BoardError: a parameter or a metric is unknown, or its name is short for several.
    """
    parameters = sorted({name for each in experiments for name in each.parameters})
    known = sorted({name for each in experiments for name in each.metrics})
    groups = [lookup.named(each, parameters, "parameter") for each in by] or _differing(experiments)
    told = [lookup.named(each, known, "metric") for each in metrics] or better.usual(experiments)
    groups, told = list(dict.fromkeys(groups)), list(dict.fromkeys(told))
    found = settings.together(experiments, groups)
    for metric in told[:1]:
        found = settings.by_mean(found, metric, better.is_smaller(metric))
    return Summary(found, groups, told)


def _differing(experiments: Sequence[Experiment]) -> list[str]:
    return settings.differing([each.parameters for each in experiments])


def _print(summary: Summary, form: Form) -> None:
    if form == "csv":
        forms.write_csv(summary, sys.stdout)
    elif form == "json":
        for line in forms.objects(summary):
            print(line)
    else:
        print(forms.markdown(summary) if form == "markdown" else forms.text(summary))


def _about(summary: Summary, experiments: Sequence[Experiment], chosen: bool) -> Iterator[str]:
    """Yield what a reader of the table has to know beside it, a line each.

    chosen: whether metrics were asked for by name.
    """
    if not summary.metrics:
        yield "no metric with a finite number is known of these"
    for metric in summary.metrics[:1]:
        way = "smaller" if better.is_smaller(metric) else "larger"
        yield f"best and worst are told by {metric}: {way} is better"
    for metric in summary.metrics:
        if without := [each.name for each in experiments if metric not in each.metrics]:
            yield f"{metric}: no finite number in {listed(without)}; the others count"
    known = dict.fromkeys(name for each in experiments for name in each.metrics)
    if others := [each for each in known if each not in summary.metrics and not chosen]:
        yield f"not shown: {listed(others)}; --metric NAME shows one"
    for setting in summary.settings:
        yield from _doubts(setting)


def _doubts(setting: Setting) -> Iterator[str]:
    """Yield why the spread of a setting may be another than that of its seeds, a line each."""
    if same := settings.copies(setting):
        names = listed([each.name for each in same])
        yield f"{names} ran with the same parameters, seeds included, and count as often"
    if len({each.inputs for each in setting.experiments}) > 1:
        names = listed([each.name for each in setting.experiments])
        yield f"{names} are one setting by their parameters, but ran other code, commands or data"
