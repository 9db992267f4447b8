"""Weights to begin a training with: those of a model that was trained before."""

from pathlib import Path

from fashionboard.base.errors import TrainingError
from fashionboard.network import checkpoint
from fashionboard.network.checkpoint import Origin
from fashionboard.network.nets import Network

# of train.start: a page, which does not change, since DVC wants each dependency to be there
_NONE = "README.md"
_ADVICE = f"set train.start to a model of this project, or to models/{_NONE} to begin with new weights"


def begin(net: Network, path: Path, origin: Origin) -> Origin | None:
    """Give `net`, with its initial weights, those of the model that `path` holds.

    The statistics of batch normalisation are among them. Where the model has other classes, or has them in
    another order, the last layer keeps its initial weights.

    path: a model that the train stage has written; one named README.md means none, and changes nothing.
    origin: what `net` is to be trained on.

    Returns what the model was trained on; None where there is none.

    Raises:
        ModelError: the file is missing, damaged or no model of this project.
        TrainingError: the model is of another network, or for images of another size or in another colour.
    """
    if path.name == _NONE and path.is_file():
        return None
    model, found = checkpoint.load(path, advice=_ADVICE)
    expected, given = _shown(net, origin), _shown(model, found)
    if expected != given:
        raise TrainingError(
            f"train.start is {path}: expected a model of {expected}, found one of {given}; {_ADVICE}"
        )
    weights = model.state_dict()
    if found.classes != origin.classes:
        own = net.state_dict()
        weights |= {name: own[name] for name in own if name.startswith(f"{net.last}.")}
    net.load_state_dict(weights)
    return found


def _shown(net: Network, origin: Origin) -> str:
    """Return in words what must be the same."""
    return f"{net.architecture} for {origin.kind.size} x {origin.kind.size} {origin.kind.colour} images"
