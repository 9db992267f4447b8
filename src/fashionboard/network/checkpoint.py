"""Trained weights on disk, with everything needed to build their net again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from fashionboard.base import clock, errors, outputs
from fashionboard.base.errors import ModelError
from fashionboard.network.nets import MODELS, Network

_KEY = "fashionboard"
_ADVICE = "run `dvc repro train`, or bring the last commit's back with `fashionboard restore`"


@dataclass(frozen=True)
class Origin:
    """What a model was trained on: the data set's name and its classes, in the order of the logits."""

    data_set: str
    classes: tuple[str, ...]


@clock.part("outputs")
def save(path: Path, net: Network, origin: Origin) -> None:
    """Write the weights of `net` and `origin` as safetensors, whole or not at all."""
    about = json.dumps({"architecture": type(net).__name__, **asdict(origin)})
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    # one key only: safetensors writes several in any order
    outputs.write_bytes(path, safetensors.torch.save(weights, metadata={_KEY: about}))


@clock.part("reading")
def load(path: Path, expected: Origin | None = None) -> tuple[Network, Origin]:
    """Build the net that `path` holds, and tell what it was trained on.

    expected: what the model must have been trained on, if that matters.

    Raises:
        ModelError: the file is missing, is not safetensors, holds another network, or was trained
            on something else than expected.
    """
    net, found = _read(path)
    if expected is not None and found != expected:
        raise ModelError(
            f"{path}: expected a model of {expected.data_set} with {len(expected.classes)} classes, "
            f"found one of {found.data_set} with {len(found.classes)}; run `dvc repro`"
        )
    return net, found


def _read(path: Path) -> tuple[Network, Origin]:
    shown = errors.visible(str(path))
    about, weights = _content(path, shown)
    architectures = {kind.__name__: kind for kind in MODELS.values()}
    name = str(about.get("architecture", "")) if isinstance(about, dict) else ""
    if name not in architectures:
        known = " or ".join(architectures)
        if name:
            raise ModelError(
                f"{shown}: expected weights of {known}, found those of {name:.100}, which this version's "
                "MODELS does not have; check out the version that trained it"
            )
        raise ModelError(
            f"{shown}: expected weights of {known} saved by this project's train stage, found none; {_ADVICE}"
        )
    found = _origin(about)
    if found is None:
        expected = "a data set's name and a list of different classes in it"
        raise ModelError(f"{shown}: expected {expected}, found others; {_ADVICE}")
    try:
        net = architectures[name](len(found.classes))
        own = net.state_dict()
        if not all(weights[key].dtype == own[key].dtype and weights[key].isfinite().all() for key in own):
            raise TypeError
        if any((weights[key] < 0).any() for key in own if key.endswith("running_var")):
            raise TypeError
        net.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError):
        raise ModelError(f"{shown}: its tensors are not such as {name} has, and finite; {_ADVICE}") from None
    return net, found


def _content(path: Path, shown: str) -> tuple[Any, dict[str, Tensor]]:
    """Return what a file says of itself, as JSON has it, and its tensors; `shown` is its name in an error."""
    try:
        # safetensors takes a file without permission for one that is not there
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError("a pipe, a device or the like")
        path.open("rb").close()
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise ModelError(
            f"{shown}: the model cannot be read ({error.strerror or error}); {_ADVICE}"
        ) from None
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{shown}: expected a safetensors file, found something else ({errors.reason(error)}); {_ADVICE}"
        ) from None


def _origin(about: dict[str, object]) -> Origin | None:
    """Return the origin that a model's own description names; None where that is none."""
    data_set, classes = about.get("data_set"), about.get("classes")
    if not isinstance(classes, list) or not classes:
        return None
    if not all(isinstance(name, str) and name for name in [data_set, *classes]):
        return None
    return Origin(str(data_set), tuple(classes)) if len(set(classes)) == len(classes) else None
