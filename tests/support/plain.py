"""A small DVC repository that is not this project's: its event files bear a clock in their names."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.repository import Repository

# tensorboard's own writer, as others use it: its file's name and times are those of the run
_TRAIN = """
import json, os, sys, time
import yaml
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

params = yaml.safe_load(open("params.yaml"))
train = params["train"]
lr = float(train["lr"])
writer = EventFileWriter("logs")
for step in range(train["steps"]):
    value = Summary.Value(tag="loss", simple_value=lr / (step + 1))
    writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=[value])))
    writer.flush()
    time.sleep(train["pause"])
    if train["fails"] and step == 2:
        # as long as a test has this file, so that what fails was seen before
        while os.path.exists(os.environ.get("HOLD", "")):
            time.sleep(0.05)
        os._exit(3)
writer.close()
with open("metrics.json", "w") as file:
    json.dump({"final": {"loss": lr}, "name": "plain"}, file)
"""
_PIPELINE = {
    "stages": {
        "train": {
            "cmd": f"{sys.executable} train.py",
            "deps": ["train.py"],
            "params": ["train"],
            "outs": ["logs"],
            "metrics": ["metrics.json"],
        }
    }
}
_PARAMS = {"train": {"lr": 0.5, "steps": 5, "pause": 0.0, "fails": False, "sizes": [1, 2], "note": None}}


def plain(path: Path, files: dict[str, str] | None = None, subdir: bool = False) -> Repository:
    """Make a repository with a first commit of its pipeline, not run yet.

    files: others to commit. subdir: make the DVC repository the folder `part` of the git repository.
    """
    repository = Repository(path)
    path.mkdir(parents=True)
    repository.git("init", "-q", "-b", "main")
    repository.git("config", "user.name", "Test")
    repository.git("config", "user.email", "test@localhost")
    inner = Repository(path / "part") if subdir else repository
    inner.path.mkdir(exist_ok=True)
    inner.dvc("init", "-q", *(["--subdir"] if subdir else []))
    for setting in ("core.analytics", "core.check_update"):
        inner.dvc("config", setting, "false")
    inner.dvc("config", "core.autostage", "true")
    contents: dict[str, Any] = {
        "train.py": _TRAIN,
        "dvc.yaml": json.dumps(_PIPELINE),
        "params.yaml": json.dumps(_PARAMS),
        ".gitignore": "/logs\n/metrics.json\n__pycache__/\n",
    }
    for name, content in {**contents, **(files or {})}.items():
        (inner.path / name).parent.mkdir(parents=True, exist_ok=True)
        (inner.path / name).write_text(content)
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "pipeline")
    return inner


# one file of a fixed name and with fixed times, as a writer without a clock makes it
_CURVE = """
import json
import yaml
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

GAIN = 1
train = yaml.safe_load(open("params.yaml"))["train"]
records = RecordWriter(open("curve.tfevents", "wb"))
for step in range(train["steps"]):
    value = Summary.Value(tag="loss", simple_value=GAIN + step)
    records.write(Event(step=step, wall_time=step, summary=Summary(value=[value])).SerializeToString())
records.close()
with open("metrics.json", "w") as file:
    json.dump({"accuracy": GAIN, "last": 16_777_205 + step}, file)
"""
_CURVE_STAGE = {
    "cmd": f"{sys.executable} train.py",
    "deps": ["train.py"],
    "params": ["train"],
    "outs": ["curve.tfevents"],
    "metrics": ["metrics.json"],
}


def fixed(path: Path) -> Repository:
    """Make a repository whose stage writes one event file of a fixed name, not run yet."""
    files = {
        "train.py": _CURVE,
        "dvc.yaml": json.dumps({"stages": {"train": _CURVE_STAGE}}),
        "params.yaml": json.dumps({"train": {"steps": 10}}),
        ".gitignore": "/curve.tfevents\n/metrics.json\n",
    }
    return plain(path, files)
