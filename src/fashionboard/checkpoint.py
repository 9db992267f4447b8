"""Trained weights on disk, with everything needed to build their net again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from fashionboard import outputs
from fashionboard.errors import ModelError
from fashionboard.network import Net

_KEY = "fashionboard"
_ARCHITECTURE = "Net"


@dataclass(frozen=True)
class Origin:
    """What a model was trained on: the data set's name and its classes, in the order of the logits."""

    data_set: str
    classes: tuple[str, ...]


def save(path: Path, net: nn.Module, origin: Origin) -> None:
    """Write the weights of `net` and `origin` as safetensors, whole or not at all."""
    about = json.dumps({"architecture": _ARCHITECTURE, **asdict(origin)})
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    # one key only: safetensors writes several in any order
    outputs.write_bytes(path, safetensors.torch.save(weights, metadata={_KEY: about}))


def load(path: Path, expected: Origin | None = None) -> Net:
    """Build the net that `path` holds.

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
    return net


def load_with_origin(path: Path) -> tuple[Net, Origin]:
    """Build the net that `path` holds, by what the file says of itself; raises ModelError as `load` does."""
    return _read(path)


def origin(path: Path) -> Origin:
    """Return what the model at `path` was trained on; raises ModelError as `load` does."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Net, Origin]:
    advice = "run `dvc repro train`, or bring it back with `dvc checkout`"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be read ({error.strerror or error}); {advice}") from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise ModelError(
            f"{path}: expected a safetensors file, found something else ({error}); {advice}"
        ) from None
    if not isinstance(about, dict) or about.get("architecture") != _ARCHITECTURE:
        raise ModelError(
            f"{path}: expected weights of {_ARCHITECTURE} saved by this project's train stage; {advice}"
        )
    try:
        found = Origin(about["data_set"], tuple(about["classes"]))
        net = Net(len(found.classes))
        if not all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in weights.values()):
            raise TypeError
        net.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError):
        raise ModelError(
            f"{path}: its tensors are not the finite float32 weights of {_ARCHITECTURE}; {advice}"
        ) from None
    return net, found
