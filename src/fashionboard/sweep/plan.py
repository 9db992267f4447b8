"""Which experiments a sweep has: DVC's own grammar for `-S`, multiplied out, and a name for each."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashionboard.base import yamltext
from fashionboard.base.errors import reason
from fashionboard.sweep.job import SweepError

# experiments of a sweep: each takes some milliseconds to plan
_MOST = 10_000
# letters of the readable part of a name, digits of the digest after it
_LONGEST, _DIGITS = 60, 7
# what can stand in the name of a git ref, a folder and a shell's word
_OTHER = re.compile(r"[^A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Setting:
    """An experiment of a sweep.

    overrides: as `dvc exp run -S` takes them, a choice each. parameters: their values by dotted name, in each
    file.
    """

    name: str
    overrides: tuple[str, ...]
    parameters: Mapping[str, Mapping[str, object]]


def settings(root: Path, baseline: str, given: Sequence[str]) -> list[Setting]:
    """Return the experiments that `given`, the values of `-S`, stand for, in DVC's order.

    root: the folder of the DVC repository, in which the files of parameters are those of `baseline`.

    Raises:
        SweepError: a value cannot be read, or names a parameter that there is not.
    """
    swept = _varied(given)
    found = []
    for overrides in _multiplied(given):
        name = _name(baseline, overrides, swept)
        found.append(Setting(name, overrides, _applied(root, overrides)))
    if len({setting.name for setting in found}) < len(found):
        raise SweepError("-S: expected different experiments, found the same one twice; name each value once")
    return found


def _multiplied(given: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the overrides of each experiment; one of another file than params.yaml begins with its name."""
    # hydra takes a while to import
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import get_hydra_sweeps

    try:
        for by_path in get_hydra_sweeps(to_path_overrides(given)):
            yield tuple(
                f"{path}:{each}" if path != "params.yaml" else each
                for path, overrides in by_path.items()
                for each in overrides
            )
    except Exception as error:  # hydra's own, and those of its parser
        raise _unreadable(error) from None


def _varied(given: Sequence[str]) -> list[str]:
    """Name the parameters that have several values, or all if none has: what tells the experiments apart."""
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import to_hydra_overrides

    names, varied, count = [], [], 1.0
    try:
        for overrides in to_path_overrides(given).values():
            for each in to_hydra_overrides(overrides):
                names.append(each.key_or_group)
                if each.is_sweep_override():
                    varied.append(each.key_or_group)
                    count *= _choices(each.value())
    except Exception as error:
        raise _unreadable(error) from None
    if count > _MOST:
        raise SweepError(f"-S: expected at most {_MOST:,} experiments, found {count:,.0f}; sweep in parts")
    return varied or names


def _choices(several: Any) -> float:
    """Return how many values one of hydra's `range(...)` or lists of choices has."""
    if hasattr(several, "step"):
        return float((several.stop - several.start) / several.step)
    return float(len(several.list))


def _name(baseline: str, overrides: Iterable[str], swept: Sequence[str]) -> str:
    """Return a name that is the same for the same baseline and overrides: `lr-0.01-seed-1-3f2a91c`."""
    ordered = sorted(overrides)
    digest = hashlib.sha256(json.dumps([baseline, ordered]).encode()).hexdigest()[:_DIGITS]
    told = []
    for each in ordered:
        key, _, value = each.rpartition(":")[2].partition("=")
        if key.lstrip("+~") in swept:
            told.append(f"{key.rpartition('.')[2]}-{value}")
    plain = _OTHER.sub("-", "-".join(told))[:_LONGEST].replace("..", ".").strip("-.+")
    return f"{plain}-{digest}" if plain else digest


def _applied(root: Path, overrides: Iterable[str]) -> dict[str, dict[str, object]]:
    """Return what each file of parameters holds with `overrides`, made by DVC in a copy."""
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import apply_overrides

    found = {}
    for path, values in to_path_overrides(overrides).items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, Path(path).name)
            if not (root / path).is_file():
                raise SweepError(
                    f"-S: expected {path}, a file of parameters, found no such file; name another"
                )
            shutil.copyfile(root / path, copy)
            try:
                apply_overrides(copy, values)
            except Exception as error:
                cause = _cause(error)
                # what hydra says of a name that is not there
                unknown = re.search(r"is not in struct full_key: (\S+)", cause)
                told = f"no {unknown[1]} there" if unknown else cause
                raise SweepError(
                    f"-S {' '.join(values)}: expected parameters of {path}, found: {told}"
                ) from None
            found[path] = (
                yamltext.flat(yamltext.load(copy.read_text(encoding="utf-8")) or {}, "")
                if _is_yaml(copy)
                else {}
            )
    return found


def _is_yaml(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml")


def _unreadable(error: Exception) -> SweepError:
    if type(error.__cause__ or error).__name__ == "OverrideParseException":
        # what hydra's parser says names its own rules
        found = str(error).splitlines()[0].rpartition(": ")[2]
        return SweepError(
            f"-S: expected NAME=VALUE or NAME=VALUE,VALUE, found {found!r}; "
            "a value with other than plain letters goes in quotes: -S \"name='é'\""
        )
    return SweepError(
        f"-S: expected NAME=VALUE or NAME=VALUE,VALUE as `dvc exp run -S` takes them, found: {_cause(error)}"
    )


def _cause(error: BaseException) -> str:
    """Return the first reason: DVC's own words are only that a value is invalid."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason(error)
