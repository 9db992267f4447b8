"""What experiments share that differ in seeds alone: parameters, commands, code and data."""

import hashlib
import posixpath
from collections.abc import Mapping
from functools import lru_cache

from fashionboard.board import lookup
from fashionboard.board.group import Value
from fashionboard.repository.tree import Recorded, Tree


@lru_cache(4096)
def is_seed(name: str) -> bool:
    """Tell by its last part whether a parameter is a seed: `train.seed`, `split_seed`."""
    last = lookup.last(name).lower()
    return last == "seed" or last.endswith("_seed")


def setting(parameters: Mapping[str, Value], started_from: str) -> str:
    """Return a digest of what repeats share; "" where there is no seed in which they could differ.

    started_from: what `inputs` returns.
    """
    others = sorted((name, ascii(value)) for name, value in parameters.items() if not is_seed(name))
    if len(others) == len(parameters):
        return ""
    return hashlib.sha256(ascii((started_from, others)).encode()).hexdigest()


def of(parameters: Mapping[str, Value]) -> frozenset[tuple[str, Value]]:
    """Return the seeds among parameters."""
    return frozenset((name, value) for name, value in parameters.items() if is_seed(name))


def inputs(tree: Tree) -> str:
    """Return a digest of all that a commit's stages started from but parameters: commands, code and data.

    What one stage writes for another is left out: it depends on seeds.
    """
    ran = [each for each in tree.stages if each.stage.command]
    outputs = tuple(each.root(output) for each in ran for output in each.stage.outputs)
    told = [(each.folder, each.name, each.stage.command, _foreign(each, outputs)) for each in ran]
    return hashlib.sha256(ascii(sorted(told)).encode()).hexdigest()


def _foreign(each: Recorded, outputs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the dependencies of a stage that no stage has written, with their md5s."""
    # without a call for each where they are told from the root: there are thousands
    is_top = posixpath.normpath(each.works_in) == "."
    within = tuple(f"{output}/" for output in outputs)
    found = []
    for dependency, md5 in each.stage.dependencies.items():
        path = dependency if is_top else each.root(dependency)
        if path not in outputs and not path.startswith(within):
            found.append((path, md5))
    return found
