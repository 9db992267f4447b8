"""An unfinished training on disk, so that a killed one goes on where it was.

Its name holds `key`, the digest of the run's inputs, so that no other run takes it up.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Annotated

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from torch import Tensor

from fashionboard.base import clock, errors
from fashionboard.base.errors import PathError
from fashionboard.repository import keeping
from fashionboard.training.progress import Report
from fashionboard.training.validation import Score

# of another platform, in an error
_SHOWN = 200


@dataclass(frozen=True)
class Expected:
    """What the reports of a training are held against: its steps, so many images and classes."""

    steps: Sequence[int]
    images: int
    classes: int


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Score(_Strict):
    loss: float
    accuracy: float


class _Report(_Strict):
    """A report as it is saved, see `Report`."""

    step: Annotated[int, Field(ge=0, lt=2**63)]
    loss: float
    positions: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1, max_length=4)]
    predicted: list[Annotated[int, Field(ge=0, lt=2**8)]]
    confidence: list[Annotated[float, Field(ge=0, le=1)]]
    validation: _Score | None


class _About(_Strict):
    """What stands before the tensors."""

    platform: str
    reports: Annotated[list[_Report], Field(min_length=1)]


@clock.part("outputs")
def save(key: str, state: Mapping[str, Tensor], reports: Sequence[Report]) -> None:
    """Write the state of a training and all its reports so far, whole or not at all.

    Raises:
        PathError: a link lies on the way, or something else than a file in its place.
    """
    about = json.dumps({"platform": _platform(), "reports": [_encode(report) for report in reports]})
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    content = about.encode() + b"\n" + safetensors.torch.save(on_cpu)
    # a disk that lost its power may keep a name without all of its bytes
    keeping.write(_name(key), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


@clock.part("reading")
def load(key: str, state: Mapping[str, Tensor], expected: Expected) -> list[Report]:
    """Bring `state` to where the training was, say so, and return its reports.

    Returns an empty list, and changes nothing, if there is none. Likewise, and says so, if it is
    damaged or reached through a link, or if it was made by other software or on another instruction
    set, whose last bits would differ.
    """
    path = keeping.place(_name(key))
    try:
        saved = keeping.read(_name(key))
        if saved is None:
            return []
        reports = _restore(saved, state, expected)
        _say(f"an earlier run was stopped; going on after step {reports[-1].step}")
        return reports
    except PathError as error:
        why = str(error)
    except OSError as error:
        why = f"{path}: cannot be read ({error.strerror})"
    except _UnusableError as error:
        why = f"{path}: {error}"
    _say(f"{why}; training starts from the beginning")
    return []


@clock.part("outputs")
def discard(key: str) -> None:
    """Remove what was saved, once the training's outputs are all written."""
    keeping.remove(_name(key))


class _UnusableError(Exception):
    """What was saved cannot be used; the message says why."""


def _restore(saved: bytes, state: Mapping[str, Tensor], expected: Expected) -> list[Report]:
    """Bring `state` to what was saved and return the reports; change nothing if that cannot be.

    Raises:
        _UnusableError: it is damaged, or of another platform.
    """
    digest, _, content = saved.partition(b"\n")
    header, _, tensors = content.partition(b"\n")
    damaged = _UnusableError("expected a saved training, found a damaged one")
    if digest != hashlib.sha256(content).hexdigest().encode():
        raise damaged
    try:
        about = _About.model_validate(json.loads(header))
        if about.platform != _platform():
            raise _UnusableError(f"expected one of {_platform()}, found one of {about.platform[:_SHOWN]}")
        reports = [_decode(report) for report in about.reports]
        restored = safetensors.torch.load(tensors)
    except (ValueError, LookupError, TypeError, RuntimeError, SafetensorError, MemoryError):
        raise damaged from None
    if [report.step for report in reports] != list(expected.steps[: len(reports)]):
        raise damaged
    if any(max(report.positions) >= expected.images for report in reports):
        raise damaged
    if any(max(report.predicted) >= expected.classes for report in reports):
        raise damaged
    for name, tensor in state.items():
        found = restored.get(name)
        if found is None or (found.shape, found.dtype) != (tensor.shape, tensor.dtype):
            raise _UnusableError("expected a saved training, found that of another net")
        if found.isnan().any():
            raise damaged
    for name, tensor in state.items():
        tensor.copy_(restored[name])
    return reports


def _say(text: str) -> None:
    print(errors.visible(f"train: {text}"), file=sys.stderr)


def _name(key: str) -> str:
    return f"train-{key}.safetensors"


def _platform() -> str:
    # what computes, and what chooses, orders and changes the images
    names = ("torch", "torchvision", "numpy", "scikit-learn")
    software = [f"{name} {metadata.version(name)}" for name in names]
    return ", ".join([*software, torch.backends.cpu.get_cpu_capability()])


def _encode(report: Report) -> dict[str, object]:
    arrays = {name: value.tolist() for name, value in vars(report).items() if isinstance(value, np.ndarray)}
    return {**asdict(report), **arrays}


def _decode(saved: _Report) -> Report:
    if not len(saved.positions) == len(saved.predicted) == len(saved.confidence):
        raise ValueError("expected as many of each")
    with np.errstate(over="ignore"):  # what was saved as float32 is one again
        confidence = np.array(saved.confidence, np.float32)
    return Report(
        step=saved.step,
        loss=saved.loss,
        positions=np.array(saved.positions, np.int64),
        predicted=np.array(saved.predicted, np.int64),
        confidence=confidence,
        validation=Score(**saved.validation.model_dump()) if saved.validation else None,
    )
