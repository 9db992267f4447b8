"""DVC's rows and columns stand, whatever the runs have logged with `add_hparams` of their own."""

import json
import sys

import pytest
from google.protobuf.struct_pb2 import Value
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

from fashionboard.board.hparams import with_own, with_repeats
from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import board, eventually, post, rows

_TRAIN = """
import json, yaml
from torch.utils.tensorboard import SummaryWriter

lr = yaml.safe_load(open("params.yaml"))["lr"]
with SummaryWriter("logs") as writer:
    writer.add_scalar("loss", 1 - lr, 1)
    writer.add_hparams({"lr": lr + 1, "layers": 3, "optimizer": "sgd"}, {"own/score": 5.0})
with open("metrics.json", "w") as file:
    json.dump({"accuracy": lr}, file)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    stage = {
        "cmd": f"{sys.executable} train.py",
        "deps": ["train.py"],
        "params": ["lr", "workers"],
        "outs": ["logs"],
        "metrics": ["metrics.json"],
    }
    files = {
        "train.py": _TRAIN,
        "dvc.yaml": json.dumps({"stages": {"train": stage}}),
        "params.yaml": json.dumps({"lr": 0.5, "workers": 2}),
    }
    repository = plain(tmp_path_factory.mktemp("own") / "r", files)
    repository.dvc("repro", "-q")
    repository.git("commit", "-qam", "run")
    for lr in ("0.25", "0.125"):
        repository.dvc("exp", "run", "-q", "-n", f"lr-{lr}", "-S", f"lr={lr}")
    return repository


@pytest.mark.slow
@pytest.mark.parametrize("fast", ["true", "false"])
def test_the_rows_are_dvcs_and_hold_what_runs_have_logged(repository: Repository, fast: str) -> None:
    with board(repository.path, "--", f"--load_fast={fast}") as served:
        expected = {
            f"lr-{lr}": {"lr": lr, "workers": 2, "own lr": lr + 1, "layers": 3, "optimizer": "sgd"}
            for lr in (0.25, 0.125)
        }
        eventually(
            lambda: {name: row["hparams"] for name, row in rows(served.address).items()},
            expected,
        )
        found = post(served.address, "plugin/hparams/experiment", experimentName="")
        assert {each["name"] for each in found["hparamInfos"]} == set(expected["lr-0.25"])
        columns = {(each["name"].get("group", ""), each["name"]["tag"]) for each in found["metricInfos"]}
        assert {("", "accuracy"), ("train", "loss")} <= columns
        assert {tag for _, tag in columns} == {"accuracy", "loss", "own/score"}


@pytest.mark.slow
def test_without_a_row_of_dvcs_all_is_as_it_was_logged(repository: Repository) -> None:
    with board(repository.path, "main") as served:
        # one that was asked for has a row
        eventually(lambda: set(rows(served.address)), {"main"})
    with board(repository.path, "workspace") as served:
        eventually(lambda: [row["hparams"]["layers"] for row in rows(served.address).values()], [3])
        (name,) = rows(served.address)
        assert name.startswith("workspace/train/")


def tags(**values: float | str | bool) -> dict[str, bytes]:
    start = SessionStartInfo()
    for name, value in values.items():
        kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
        start.hparams[name].CopyFrom(Value(**{kind: value}))
    data = HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, session_start_info=start)
    return {metadata.SESSION_START_INFO_TAG: data.SerializeToString()}


def hparams(found: dict[str, bytes]) -> dict[str, object]:
    start = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def test_several_runs_of_a_group_and_what_is_no_hparams_at_all() -> None:
    found = with_own(
        {
            "a": tags(lr=0.5),
            "a/train/1": tags(lr=0.5, depth=1, on=True),
            "a/train/2": tags(lr=0.25, depth=2, on=True),
            "a/train/3": {metadata.SESSION_START_INFO_TAG: b"\xff"},
            "b": {**tags(lr=1.0), metadata.EXPERIMENT_TAG: b"\xff"},
            "c/train": tags(other=1.0),
        }
    )
    assert hparams(found["a"]) == {"lr": 0.5, "own lr": "0.5, 0.25", "depth": "1, 2", "on": True}
    assert found.keys() == {"a", "b"} and metadata.EXPERIMENT_TAG not in found["b"]


def test_repeats_are_one_row_without_seeds() -> None:
    found = with_repeats(
        {
            "a": tags(lr=0.5, **{"train.seed": 1.0, "own split_seed": 1.0, "depth": 1.0}),
            "b": tags(lr=0.5, **{"train.seed": 2.0, "depth": 2.0}),
            "c": tags(lr=1.0, **{"train.seed": 1.0}),
        },
        {"lr=0.5": ["a", "b", "not loaded yet"]},
    )
    assert found.keys() == {"a", "b", "c"}
    # what runs have logged of their own may differ
    assert hparams(found["a"]) == hparams(found["b"]) == {"lr": 0.5, "depth": "1, 2"}
    assert hparams(found["c"]) == {"lr": 1.0, "train.seed": 1.0}
    assert [name(found[run]) for run in "abc"] == ["lr=0.5", "lr=0.5", ""]


def name(found: dict[str, bytes]) -> str:
    start = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    return str(start.group_name)
