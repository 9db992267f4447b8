"""A DVC repository whose experiments are repeats of two settings with several seeds, and others."""

import json
import sys
from pathlib import Path

from tests.support.plain import plain
from tests.support.repository import Repository

# as another project writes them: a curve of `loss`, and metrics of several kinds
_TRAIN = """
import json, random
import yaml
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

train = yaml.safe_load(open("params.yaml"))["train"]
draw = random.Random(f"{train['seed']} {train['lr']}")
records = RecordWriter(open("curve.tfevents", "wb"))
for step in range(0, train["steps"], train["every"]):
    value = Summary.Value(tag="loss", simple_value=draw.random() / (step + 1))
    records.write(Event(step=step, wall_time=step, summary=Summary(value=[value])).SerializeToString())
records.close()
score = {"missing": None, "infinite": float("nan"), "words": "good"}.get(train["score"], draw.random())
numbers = {"data_set": "drawn", "last_step": step, "loss": draw.random(), "score": score}
with open("metrics.json", "w") as file:
    json.dump({**numbers, "by_class": {"a": draw.random(), "b": draw.random()}}, file)
"""
_STAGE = {
    "cmd": f"{sys.executable} train.py",
    "deps": ["train.py"],
    "params": ["train"],
    "outs": ["curve.tfevents"],
    "metrics": ["metrics.json"],
}
_TRAIN_PARAMETERS = {"seed": 0, "split_seed": 0, "lr": 0.5, "steps": 10, "every": 1, "score": "number"}
# two settings; the first with a seed of another name
EXPERIMENTS: dict[str, dict[str, object]] = {
    "a-1": {"seed": 1, "lr": 0.25},
    "a-2": {"seed": 2, "lr": 0.25},
    "a-3": {"split_seed": 3, "lr": 0.25},
    "b-1": {"seed": 1, "lr": 0.125},
    "b-2": {"seed": 2, "lr": 0.125},
}


def repeated(path: Path) -> Repository:
    """Make the repository, run its baseline and `EXPERIMENTS`."""
    files = {
        "train.py": _TRAIN,
        "dvc.yaml": json.dumps({"stages": {"train": _STAGE}}),
        "params.yaml": json.dumps({"train": _TRAIN_PARAMETERS}),
        ".gitignore": "/curve.tfevents\n/metrics.json\n",
    }
    repository = plain(path, files)
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    for name, changes in EXPERIMENTS.items():
        run(repository, name, **changes)
    return repository


def run(repository: Repository, name: str, **changes: object) -> None:
    """Run an experiment with these values of `train`, with the code that is in the workspace, and go back."""
    settings = [part for key, value in changes.items() for part in ("-S", f"train.{key}={value}")]
    repository.dvc("exp", "run", "-q", "-n", name, *settings)
    repository.git("reset", "-q", "--hard")
