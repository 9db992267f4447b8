"""What a trained net takes pictures for: one call of `fashionboard predict`."""

import functools
import json
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from fashionboard.base import arithmetic, errors
from fashionboard.base.errors import ModelError, PictureError
from fashionboard.base.kind import Kind
from fashionboard.pictures import decode, fit
from fashionboard.predict import image
from fashionboard.predict.image import Converted

if TYPE_CHECKING:
    from fashionboard.network.checkpoint import Origin
    from fashionboard.network.nets import Network

_SHOWN = 3  # classes

_Pixels = npt.NDArray[np.uint8]
# from a picture and its path
_Predict = Callable[[Image.Image, Path], "Prediction"]
# what `data.fit` did
_FITTED = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}


@dataclass(frozen=True)
class Options:
    """What the command line says; the fields bear the names of its options."""

    images: tuple[Path, ...]
    model: Path
    revision: str | None
    json: bool


@dataclass(frozen=True)
class Prediction:
    """What a picture is taken for.

    size: width and height of the picture. kind: of the images that the net takes. garment: how the picture
    became one, where these are such as Fashion-MNIST's. probabilities: of the likeliest classes, 0 to 1, the
    likeliest first.
    """

    path: Path
    size: tuple[int, int]
    kind: Kind
    garment: Converted | None
    probabilities: dict[str, float]


def run(options: Options) -> bool:
    """Print a line for each picture, on stderr where it fails; return whether none has.

    Raises:
        FashionboardError: there is no such model.
    """
    predict = _predictor(_model(options), options.revision)
    show = as_json if options.json else as_text
    complete = True
    for path in options.images:
        try:
            prediction = predict(decode.read(path), path)
        except PictureError as error:
            print(errors.line(error), file=sys.stderr)
            complete = False
            continue
        print(show(prediction), flush=True)
    return complete


def as_text(prediction: Prediction) -> str:
    """Return a line for a person."""
    likeliest = ", ".join(f"{name} {share:.1%}" for name, share in prediction.probabilities.items())
    # a file and a class may have any name
    return errors.visible(f"{prediction.path}: {likeliest} ({_prepared(prediction)})")


def _prepared(prediction: Prediction) -> str:
    """Say what was done to a picture before the net saw it."""
    width, height = prediction.size
    if garment := prediction.garment:
        background = "light background, negated" if garment.light else "dark background"
        left, upper, right, lower = garment.box
        return f"{background}; {right - left} x {lower - upper} of {width} x {height} pixels"
    kind = prediction.kind
    colour = "grey" if kind.colour == "grey" else "colour"
    return f"{width} x {height} pixels {_FITTED[kind.fit]} to {kind.size} x {kind.size}, in {colour}"


def as_json(prediction: Prediction) -> str:
    """Return a line with one JSON object, in ASCII."""
    told: dict[str, object] = {
        "path": str(prediction.path),
        "predictions": [
            {"class": name, "probability": share} for name, share in prediction.probabilities.items()
        ],
    }
    if garment := prediction.garment:
        told |= {"background": "light" if garment.light else "dark"}
    told |= {"size": prediction.size}
    told |= {"box": garment.box} if garment else {"fit": prediction.kind.fit}
    return json.dumps(told)


def _model(options: Options) -> Path:
    if options.revision is not None:
        # DVC takes a while to import
        from fashionboard.predict import stored

        return stored.find(options.revision, options.model, Path())
    name = errors.visible(str(options.model))
    advice = (
        "name one with --model, or have this repository's with `dvc repro train` or `fashionboard restore`"
    )
    try:
        mode = options.model.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{name}: expected a model, found no such file; {advice}, and call from its root"
        ) from None
    except OSError as error:
        raise ModelError(f"{name}: the model cannot be read ({error.strerror}); {advice}") from None
    if not stat.S_ISREG(mode):
        raise ModelError(f"{name}: expected a model, found no ordinary file; {advice}")
    return options.model


def _predictor(model: Path, revision: str | None) -> _Predict:
    """Return a function from a picture, of mode RGB, and its path to what the net takes it for.

    It loads the model when it is first called, and raises ModelError then; PictureError where nothing is on
    the picture, or the net gives no finite number for it.
    """
    name = revision or errors.visible(str(model))

    @functools.cache
    def load() -> tuple["Network", "Origin"]:
        arithmetic.choose("portable", quiet=True)
        # torch takes seconds to import: not before there is a picture
        from fashionboard.network import checkpoint, compute

        compute.configure("cpu", threads=1)
        try:
            return checkpoint.load(model)
        except ModelError as error:
            raise ModelError(f"{revision}: {error}" if revision else str(error)) from None

    def predict(picture: Image.Image, path: Path) -> Prediction:
        _, origin = load()
        try:
            garment = image.convert(picture) if origin.kind.fit == "garment" else None
            probabilities = classify(garment.pixels if garment else fit.fit(picture, origin.kind))
        except PictureError as error:
            raise PictureError(f"{errors.visible(str(path))}: {error}") from None
        return Prediction(path, picture.size, origin.kind, garment, probabilities)

    def classify(pixels: _Pixels) -> dict[str, float]:
        net, origin = load()
        from fashionboard.network import inference

        try:
            (logs,) = inference.log_probabilities(net, pixels[np.newaxis], batch_size=1)
        except ModelError as error:
            raise PictureError(f"{name}: {error}") from None
        likeliest = np.argsort(-logs, kind="stable")[:_SHOWN]
        return {origin.classes[index]: float(np.exp(logs[index])) for index in likeliest}

    return predict
