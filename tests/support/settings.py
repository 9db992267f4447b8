"""Parameters of the train stage for small trainings: the tutorial's but for how often they report."""

from fashionboard.base.params import Train

_DEFAULTS = {
    "seed": 0,
    "epochs": 1,
    "batch_size": 4,
    "model": "net",
    "optimizer": "sgd",
    "lr": 0.001,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "augment": "none",
    "start": "models/README.md",
    "label_smoothing": 0.0,
    "validation": 0,
    "keep": "last",
    "log_every": 20,
    "device": "cpu",
    "threads": 1,
    "arithmetic": "portable",
}

# others than the tutorial's, wherever there are any
MODERN = {
    "model": "cnn",
    "epochs": 3,
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 0.01,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "augment": "flip-shift",
}


def settings(**changes: object) -> Train:
    return Train.model_validate({**_DEFAULTS, **changes})
