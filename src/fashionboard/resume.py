"""An unfinished training on disk, so that a killed one goes on where it was.

It is kept in DVC's temporary folder, which neither git nor DVC tracks, of the main repository: the
copies that DVC makes for experiments vanish when they fail. Its name holds `key`, the digest of the
run's inputs, so that no other run takes it up.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from fashionboard import outputs, private
from fashionboard.errors import PathError
from fashionboard.progress import Report
from fashionboard.validation import Score

_FOLDER = (".dvc", "tmp", "fashionboard")


def save(key: str, state: Mapping[str, Tensor], reports: Sequence[Report]) -> None:
    """Write the state of a training and all its reports so far, whole or not at all.

    Raises:
        PathError: a link lies on the way.
    """
    about = json.dumps({"platform": _platform(), "reports": [_encode(report) for report in reports]})
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    content = about.encode() + b"\n" + safetensors.torch.save(on_cpu)
    private.folder(_root(), *_FOLDER)
    # a disk that lost its power may keep a name without all of its bytes
    outputs.write_bytes(_path(key), hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def load(key: str, state: Mapping[str, Tensor]) -> list[Report]:
    """Bring `state` to where the training was, say so, and return its reports.

    Returns an empty list, and changes nothing, if there is none, if it is damaged or reached through
    a link, or if it was made by other software or on another instruction set, whose last bits would
    differ.
    """
    try:
        private.check(_root(), _path(key))
        digest, _, content = _path(key).read_bytes().partition(b"\n")
    except (OSError, PathError):
        return []
    if digest != hashlib.sha256(content).hexdigest().encode():
        return []
    header, _, tensors = content.partition(b"\n")
    about = json.loads(header)
    if about["platform"] != _platform():
        return []
    restored = safetensors.torch.load(tensors)
    for name, tensor in state.items():
        tensor.copy_(restored[name])
    reports = [_decode(report) for report in about["reports"]]
    print(f"train: an earlier run was stopped; going on after step {reports[-1].step}", file=sys.stderr)
    return reports


def discard(key: str) -> None:
    """Remove what was saved, once the training's outputs are all written."""
    path = _path(key)
    try:
        private.check(_root(), path.parent)
    except PathError:
        return  # it leads to somebody else's files
    path.unlink(missing_ok=True)
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        partial.unlink(missing_ok=True)


def _root() -> Path:
    return Path(os.environ.get("DVC_ROOT", "")).resolve()


def _path(key: str) -> Path:
    return _root().joinpath(*_FOLDER, f"train-{key}.safetensors")


def _platform() -> str:
    # what computes, and what chooses and orders the images
    software = [f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scikit-learn")]
    return ", ".join([*software, torch.backends.cpu.get_cpu_capability()])


def _encode(report: Report) -> dict[str, object]:
    arrays = {name: value.tolist() for name, value in vars(report).items() if isinstance(value, np.ndarray)}
    return {**asdict(report), **arrays}


def _decode(fields: dict[str, Any]) -> Report:
    validation = fields["validation"]
    return Report(
        step=fields["step"],
        loss=fields["loss"],
        positions=np.array(fields["positions"], np.int64),
        predicted=np.array(fields["predicted"], np.int64),
        confidence=np.array(fields["confidence"], np.float32),
        validation=validation and Score(**validation),
    )
