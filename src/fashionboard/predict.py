"""What a trained net takes pictures for: one call of `fashionboard predict`."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashionboard import arithmetic, errors, photo, picture
from fashionboard.errors import ModelError, PictureError
from fashionboard.picture import Converted

_SHOWN = 3  # classes

_Classify = Callable[[npt.NDArray[np.uint8]], dict[str, float]]


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

    size: width and height of the picture. probabilities: of the likeliest classes, 0 to 1, the
    likeliest first.
    """

    path: Path
    size: tuple[int, int]
    converted: Converted
    probabilities: dict[str, float]


def run(options: Options) -> bool:
    """Print a line for each picture, on stderr where it cannot be read; return whether all could.

    Raises:
        FashionboardError: there is no such model.
    """
    model = _model(options)
    show = as_json if options.json else as_text
    classify: _Classify | None = None
    complete = True
    for path in options.images:
        try:
            size, converted = _convert(path)
        except PictureError as error:
            print(errors.line(error), file=sys.stderr)
            complete = False
            continue
        classify = classify or _classifier(model, options.revision)
        print(show(Prediction(path, size, converted, classify(converted.pixels))), flush=True)
    return complete


def as_text(prediction: Prediction) -> str:
    """Return a line for a person."""
    likeliest = ", ".join(f"{name} {share:.1%}" for name, share in prediction.probabilities.items())
    background = "light background, negated" if prediction.converted.light else "dark background"
    left, upper, right, lower = prediction.converted.box
    width, height = prediction.size
    used = f"{right - left} x {lower - upper} of {width} x {height} pixels"
    return f"{prediction.path}: {likeliest} ({background}; {used})"


def as_json(prediction: Prediction) -> str:
    """Return a line with one JSON object, in ASCII."""
    return json.dumps(
        {
            "path": str(prediction.path),
            "predictions": [
                {"class": name, "probability": share} for name, share in prediction.probabilities.items()
            ],
            "background": "light" if prediction.converted.light else "dark",
            "size": prediction.size,
            "box": prediction.converted.box,
        }
    )


def _model(options: Options) -> Path:
    if options.revision is not None:
        # DVC takes a while to import
        from fashionboard import revision

        return revision.find(options.revision, options.model, Path())
    if not options.model.is_file():
        raise ModelError(
            f"{options.model}: expected a model, found no such file; name one with --model, or have this "
            "repository's with `dvc repro train` or `dvc checkout`, and call from its root"
        )
    return options.model


def _convert(path: Path) -> tuple[tuple[int, int], Converted]:
    opened = photo.read(path)
    try:
        return opened.size, picture.convert(opened)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None


def _classifier(model: Path, revision: str | None) -> _Classify:
    """Return a function from an image, uint8 (28, 28), to the probabilities of its likeliest classes."""
    arithmetic.choose("portable", quiet=True)
    # torch takes seconds to import: not before there is a picture
    from fashionboard import checkpoint, compute, inference

    compute.configure("cpu", threads=1)
    try:
        net, origin = checkpoint.load_with_origin(model)
    except ModelError as error:
        raise ModelError(f"{revision}: {error}" if revision else str(error)) from None

    def classify(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
        (logs,) = inference.log_probabilities(net, pixels[np.newaxis], batch_size=1)
        likeliest = np.argsort(-logs, kind="stable")[:_SHOWN]
        return {origin.classes[index]: float(np.exp(logs[index])) for index in likeliest}

    return classify
