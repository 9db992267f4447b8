"""The schema of params.yaml: every parameter, its type and its range; of what stages run, its only reader."""

import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from fashionboard.base import clock, yamltext
from fashionboard.base.arithmetic import Arithmetic
from fashionboard.base.errors import DataError, ParameterError
from fashionboard.base.kind import FASHION_MNIST, SIZES, Colour, Kind

_SHOWN = 5  # problems in one message

# torch and numpy both take seeds of 32 bits everywhere
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Threads = Annotated[int, Field(ge=1, le=256)]
Schedule = Literal["constant", "cosine", "one-cycle"]
Keep = Literal["last", "best"]
# what may be done to training images, in the order in which params.yaml lists it
Augmentation = Literal["flip-shift", "crop-flip", "randaugment", "erase"]
_AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
_LISTED = f"none, or {', '.join(_AUGMENTATIONS)}, or a list of some of these, each once"
# data sets whose images are as they are
_AS_THEY_ARE = ("fashion-mnist", "drawn")
# DVC takes it from params.yaml for a dependency
Place = Annotated[
    str, Field(pattern=r"^[^\x00\n]+$", description="a path from the repository's root, or an absolute one")
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Drawn(_Section):
    """The data set that is drawn instead of downloaded."""

    seed: Seed
    train_images: Annotated[int, Field(ge=10, le=1_000_000)]
    test_images: Annotated[int, Field(ge=10, le=1_000_000)]


class Data(_Section):
    """Where the images come from."""

    dataset: Annotated[
        Literal["fashion-mnist", "drawn", "folder", "idx"],
        Field(description="fashion-mnist or drawn, or folder or idx with data.path"),
    ]
    path: Place
    # not `size`: the key of DVC's run cache leaves out all of that name, and all named `nfiles`
    image_size: Annotated[int, Field(ge=SIZES[0], le=SIZES[-1])]
    colour: Colour
    fit: Literal["crop", "pad", "stretch"]
    test_share: Annotated[float, Field(gt=0, lt=1)]
    split_seed: Seed
    unreadable: Literal["refuse", "skip"]
    mirrors: Annotated[list[Annotated[str, Field(pattern=r"^https?://.+")]], Field(min_length=1)]
    timeout: Annotated[float, Field(gt=0, le=600)]
    retries: Annotated[int, Field(ge=0, le=10)]
    drawn: Drawn

    @property
    def kind(self) -> Kind:
        """What the images are like; grey ones of 28 x 28 pixels in IDX files are such as MNIST's."""
        plain = (self.image_size, self.colour) == (FASHION_MNIST.size, FASHION_MNIST.colour)
        fit = FASHION_MNIST.fit if plain and self.dataset != "folder" else self.fit
        return Kind(self.image_size, self.colour, fit)

    @model_validator(mode="after")
    def _as_they_are(self) -> Self:
        found = f"data.image_size is {self.image_size} and data.colour is '{self.colour}'"
        if self.dataset in _AS_THEY_ARE and self.kind != FASHION_MNIST:
            raise ValueError(
                f"{found}, allowed with data.dataset '{self.dataset}': {FASHION_MNIST.size} and "
                f"{FASHION_MNIST.colour}, which its images are; others with folder or idx"
            )
        return self


class Visualize(_Section):
    """The pictures of the data set."""

    seed: Seed
    images_per_class: Annotated[int, Field(ge=1, le=50)]


class Embed(_Section):
    """The points of the projector."""

    seed: Seed
    # a sprite of more than 8,192 pixels a side breaks TensorBoard's page; 10,000 points give 2,800
    points: Annotated[int, Field(ge=2, le=10_000)]


def _augmentations(value: object) -> tuple[str, ...]:
    """Return the names that params.yaml lists: none, a name, or a list of different names."""
    names = [] if value == "none" else value if isinstance(value, list) else [value]
    if not all(name in _AUGMENTATIONS for name in names) or len(set(names)) < len(names):
        raise ValueError(f"train.augment is {_shown(value)}, allowed: {_LISTED}")
    return tuple(names)


class Train(_Section):
    """The training loop."""

    seed: Seed
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    # nets.MODELS has the names, which takes torch to tell: the train stage refuses others
    model: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", description="a network's name, such as net")]
    optimizer: Literal["sgd", "adamw"]
    lr: Annotated[float, Field(gt=0, le=10)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    schedule: Schedule
    augment: Annotated[tuple[Augmentation, ...], BeforeValidator(_augmentations), Field(description=_LISTED)]
    start: Place
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    validation: Annotated[int, Field(ge=0, le=1_000_000)]
    keep: Keep
    log_every: Annotated[int, Field(ge=1, le=1_000_000)]
    device: Literal["cpu", "cuda"]
    threads: Threads
    arithmetic: Arithmetic

    @model_validator(mode="after")
    def _validation_to_keep_the_best(self) -> Self:
        if self.keep == "best" and self.validation == 0:
            raise ValueError(
                "train.keep is 'best', allowed: last, or best with train.validation > 0, images to tell by"
            )
        return self


class Evaluate(_Section):
    """The look at the test images."""

    seed: Seed
    points: Annotated[int, Field(ge=0, le=10_000)]  # the sprite bounds them, as in `Embed`
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    augment: Literal["none", "flip", "flip-shift"]
    thresholds: Annotated[int, Field(ge=2, le=10_000)]
    threads: Threads
    arithmetic: Arithmetic

    @model_validator(mode="after")
    def _more_than_one_point(self) -> Self:
        if self.points == 1:  # TensorBoard's page stays empty
            raise ValueError("evaluate.points is 1, allowed: 0 for none, or 2 to 10,000")
        return self


class Params(_Section):
    """All of params.yaml, one section a stage (`data` is download's)."""

    data: Data
    visualize: Visualize
    embed: Embed
    train: Train
    evaluate: Evaluate

    @model_validator(mode="after")
    def _enough_to_train(self) -> Self:
        most = self.data.drawn.train_images - 10  # one of each class
        if self.data.dataset == "drawn" and self.train.validation and not 10 <= self.train.validation <= most:
            raise ValueError(
                f"train.validation is {self.train.validation}, allowed: 0, or 10 to {most}, which is "
                "data.drawn.train_images less one of each class"
            )
        return self


def read(path: Path) -> Any:
    """Return what params.yaml at `path` holds, just as DVC reads it.

    Raises:
        ParameterError: the file is missing, is not YAML, or stands for too much.
    """
    try:
        # what DVC refuses on libyaml, with which it is installed here, never gets as far as a stage
        return yamltext.load(path.read_text(encoding="utf-8"), fall_back=False) or {}
    except OSError as error:
        raise ParameterError(f"{path.name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path.name}: not valid YAML: {error}") from None
    except DataError as error:
        raise ParameterError(f"{path.name}: {error}") from None


@clock.part("reading")
def load(path: Path) -> Params:
    """Read and check the whole of params.yaml at `path`.

    A stage uses its own section, but refuses to start while any section is wrong: otherwise the
    first stages would work for nothing.

    Raises:
        ParameterError: the file is missing or is not YAML, or a key is unknown, missing, of
            another type or out of range.
    """
    try:
        return Params.model_validate(read(path))
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_explain(each["loc"], each) for each in details[:_SHOWN]]
        if len(details) > _SHOWN:
            problems.append(f"and {len(details) - _SHOWN} more")
        raise ParameterError(f"{path.name}: {'; '.join(problems)}") from None


class _Shown(reprlib.Repr):
    """A value as code, cut to about a line, whatever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxother = 2, 3, 2, 40

    def repr_int(self, value: int, level: int) -> str:
        """Show an integer in base 16 where Python refuses to show so many digits."""
        try:
            return super().repr_int(value, level)
        except ValueError:
            return f"{hex(value)[:20]}..."


_shown = _Shown().repr


def _explain(location: tuple[int | str, ...], details: Any) -> str:
    key = ".".join(map(_step, location))
    if details["type"] == "missing":
        return f"{key} is missing, allowed: {_allowed(location)}"
    if details["type"] in ("extra_forbidden", "invalid_key"):
        return f"{key} is not a parameter, allowed: {_allowed(location[:-1])}"
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    return f"{key or 'the file'} is {_shown(details['input'])}, allowed: {_allowed(location)}"


def _step(key: int | str) -> str:
    """Return a key as it is, or as code if it is long or may hold what cannot be seen."""
    text = str(key)
    return text if re.fullmatch(r"[\w-]{1,40}", text, re.ASCII) else _shown(text)


def _allowed(location: tuple[int | str, ...]) -> str:
    """Say in words what the schema allows at `location`."""
    kind: Any = Params
    field: FieldInfo | None = None
    for step in location:
        if step not in getattr(kind, "model_fields", {}):
            break
        field = kind.model_fields[step]
        kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "the keys " + ", ".join(kind.model_fields)
    if field and field.description:
        return field.description
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if get_origin(kind) is list:
        return "a list of one or more http(s) URLs"
    bounds = [
        f"{sign} {getattr(limit, name):,}"
        for limit in (field.metadata if field else ())
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
        if hasattr(limit, name)
    ]
    return f"{ {int: 'an integer', float: 'a number'}[kind] } {' and '.join(bounds)}"
