"""What was measured, as tables and as JSON."""

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.figure import Figure
from fashionboard.base import processor

_PARTS = ("imports", "reading", "computing", "figures", "events", "outputs")
_PACKAGES = ("torch", "torchvision", "tensorboard", "dvc", "matplotlib", "numpy", "scikit-learn")


def write(folder: Path, figures: Sequence[Figure], stages: Mapping[str, Mapping[str, float]]) -> None:
    """Print the tables, put them into `folder`/README.md, and write `folder`/results.json.

    stages: seconds by part, of each stage.
    """
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor.name(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }
    measured = [{**asdict(figure), "median": figure.median()} for figure in figures]
    results = {"about": about, "figures": measured, "stages": stages}
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    table = _figures(figures)
    if not torch.cuda.is_available():
        table += "\n\nOn CUDA nothing was measured: there was no GPU."
    print(table)
    said = ", ".join(f"{name} {value}" for name, value in list(about.items())[2:])
    heading = f"Measured on {about['date']} on {_cores()} of {about['processor']}; {said}."
    readme = folder / "README.md"
    text = readme.read_text()
    for name, content in (("figures", f"{heading}\n\n{table}"), ("stages", _stages(stages))):
        text = put(text, name, content)
    readme.write_text(text)


def put(text: str, section: str, content: str) -> str:
    """Return `text` with `content` between `<!-- section -->` and the next `<!-- end -->`.

    Raises:
        ValueError: there is no such section.
    """
    before, begin, rest = text.partition(f"<!-- {section} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"expected <!-- {section} --> and <!-- end -->")
    return f"{before}{begin}{content}\n{end}{after}"


def _figures(figures: Sequence[Figure]) -> str:
    rows = ["| what | ours | other | comes to | to reach | goal |", "| --- | --- | --- | --- | --- | --- |"]
    for figure in figures:
        unit = " s" if figure.difference else ""
        values = figure.values()
        spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
        cells = (
            figure.name,
            f"{statistics.median(figure.ours):,.4g} {figure.unit}",
            f"{statistics.median(figure.other):,.4g} {figure.unit}",
            f"**{figure.median():.2f}**{unit}{spread}",
            _bound(figure, figure.reach),
            _bound(figure, figure.goal),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _bound(figure: Figure, bound: float | None) -> str:
    if bound is None:
        return ""
    unit = " s" if figure.difference else ""
    return f"{'≥' if figure.at_least else '≤'} {bound:g}{unit} {'✓' if figure.reached(bound) else '✗'}"


def _stages(stages: Mapping[str, Mapping[str, float]]) -> str:
    rows = [f"| seconds | {' | '.join(_PARTS)} | whole |", "| --- |" + " --- |" * (len(_PARTS) + 1)]
    for name, seconds in stages.items():
        cells = [f"{seconds.get(part, 0):.2f}" for part in (*_PARTS, "wall")]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cores() -> str:
    count = len(os.sched_getaffinity(0))
    return f"{count} core{'s' if count > 1 else ''}"
