"""Trained weights on disk, with everything needed to build their net again."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from fashionboard.base import clock, errors, outputs
from fashionboard.base import kind as kinds
from fashionboard.base.errors import ModelError
from fashionboard.base.kind import FASHION_MNIST, SIZES, Colour, Fit, Kind
from fashionboard.network import nets
from fashionboard.network.nets import Network

_KEY = "fashionboard"
_ADVICE = "run `dvc repro train`, or bring the last commit's back with `fashionboard restore`"


@dataclass(frozen=True)
class Origin:
    """What a model was trained on.

    data_set: its name. classes: their names, in the order of the logits. kind: what its images are like.
    """

    data_set: str
    classes: tuple[str, ...]
    kind: Kind = FASHION_MNIST


@clock.part("outputs")
def save(path: Path, net: Network, origin: Origin) -> None:
    """Write the weights of `net` and `origin` as safetensors, whole or not at all."""
    told = asdict(origin)
    # models of Fashion-MNIST are older than kinds, and keep their bytes
    if origin.kind == FASHION_MNIST:
        del told["kind"]
    about = json.dumps({"architecture": net.architecture, **told})
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    # one key only: safetensors writes several in any order
    outputs.write_bytes(path, safetensors.torch.save(weights, metadata={_KEY: about}))


@clock.part("reading")
def load(path: Path, expected: Origin | None = None, advice: str = _ADVICE) -> tuple[Network, Origin]:
    """Build the net that `path` holds, and tell what it was trained on.

    expected: what the model must have been trained on, if that matters. advice: what to do about a file that
    is missing or damaged, the end of an error.

    Raises:
        ModelError: the file is missing, is not safetensors, holds another network, or was trained
            on something else than expected.
    """
    net, found = _read(path, advice)
    if expected is not None and found != expected:
        wanted, given = (f", {_shown(each.kind)}" for each in (expected, found))
        if wanted == given:
            wanted = given = ""
        raise ModelError(
            f"{path}: expected a model of {expected.data_set} with {len(expected.classes)} classes{wanted}, "
            f"found one of {found.data_set} with {len(found.classes)}{given}; run `dvc repro`"
        )
    return net, found


def _shown(kind: Kind) -> str:
    """Return in words what images are like, such as `64 x 64 rgb (crop)`."""
    return f"{kind.size} x {kind.size} {kind.colour} ({kind.fit})"


def _read(path: Path, advice: str) -> tuple[Network, Origin]:
    file = errors.visible(str(path))
    about, weights = _content(path, file, advice)
    architectures = nets.architectures()
    name = str(about.get("architecture", "")) if isinstance(about, dict) else ""
    if name not in architectures:
        known = " or ".join(architectures)
        if name:
            raise ModelError(
                f"{file}: expected weights of {known}, found those of {name:.100}, which this version's "
                "MODELS does not have; check out the version that trained it"
            )
        raise ModelError(
            f"{file}: expected weights of {known} saved by this project's train stage, found none; {advice}"
        )
    found = _origin(about)
    if found is None:
        expected = "a data set's name and a list of different classes in it"
        raise ModelError(f"{file}: expected {expected}, found others; {advice}")
    try:
        kind = kinds.told(about["kind"]) if "kind" in about else FASHION_MNIST
    except ValueError:
        expected = f"images of {SIZES[0]} to {SIZES[-1]} pixels an edge, {_either(Colour)}, {_either(Fit)}"
        raise ModelError(f"{file}: expected a model of {expected}, found one of others; {advice}") from None
    found = replace(found, kind=kind)
    try:
        return _filled(architectures[name], found, weights), found
    except (KeyError, TypeError, RuntimeError):
        raise ModelError(f"{file}: its tensors are not such as {name} has, and finite; {advice}") from None


def _filled(make: nets.Maker, origin: Origin, weights: dict[str, Tensor]) -> Network:
    """Return a net with `weights`; KeyError, TypeError or RuntimeError where they are not such as it has."""
    # without memory at first: what a file tells may ask for any amount
    with torch.device("meta"):
        expected = make(len(origin.classes), origin.kind).state_dict()
    if any((weights[name].shape, weights[name].dtype) != (e.shape, e.dtype) for name, e in expected.items()):
        raise TypeError
    if not all(weights[name].isfinite().all() for name in expected):
        raise TypeError
    if any((weights[name] < 0).any() for name in expected if name.endswith("running_var")):
        raise TypeError
    net = make(len(origin.classes), origin.kind)
    net.load_state_dict(weights)
    return net


def _content(path: Path, name: str, advice: str) -> tuple[Any, dict[str, Tensor]]:
    """Return what a file says of itself, as JSON has it, and its tensors; `name` is its own in an error."""
    try:
        # safetensors takes a file without permission for one that is not there
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError("a pipe, a device or the like")
        path.open("rb").close()
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            return about, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise ModelError(f"{name}: the model cannot be read ({error.strerror or error}); {advice}") from None
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{name}: expected a safetensors file, found something else ({errors.reason(error)}); {advice}"
        ) from None


def _origin(about: dict[str, object]) -> Origin | None:
    """Return the origin that a model's own description names; None where that is none."""
    data_set, classes = about.get("data_set"), about.get("classes")
    if not isinstance(classes, list) or not classes:
        return None
    if not all(isinstance(name, str) and name for name in [data_set, *classes]):
        return None
    return Origin(str(data_set), tuple(classes)) if len(set(classes)) == len(classes) else None


def _either(choice: object) -> str:
    return " or ".join(get_args(choice))
