import hashlib

import pytest
from ruamel.yaml import YAML

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError
from fashionboard.repository import lockfile
from fashionboard.repository.cache import Cache
from tests.support.repository import Repository

OUTPUTS = ("outs", "metrics", "plots")


def test_the_lock_names_every_output_and_the_cache_holds_their_bytes(finished: Repository) -> None:
    """Fails when another DVC writes its files in another way."""
    stages = lockfile.stages((finished.path / "dvc.lock").read_text())
    assert list(stages) == ["download", "visualize", "embed", "train", "evaluate"]
    assert stages["train"].inputs["train.lr"] == 0.001
    assert stages["train"].inputs["cmd"] == "sh stages/run train"
    outputs = {path: md5 for stage in stages.values() for path, md5 in stage.outputs.items()}
    pipeline = YAML(typ="safe", pure=True).load(finished.path / "dvc.yaml")["stages"].values()
    entries = [each for stage in pipeline for kind in OUTPUTS for each in stage.get(kind, [])]
    assert sorted(outputs) == sorted(
        path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)
    )
    for path, md5 in outputs.items():
        files = Cache(finished.path / ".dvc" / "cache").files(path, md5)
        assert files
        for name, cached in files.items():
            assert cached.read_bytes() == (finished.path / name).read_bytes()
    model = (finished.path / "models" / "net.safetensors").read_bytes()
    assert outputs["models/net.safetensors"] == hashlib.md5(model).hexdigest()


@pytest.mark.parametrize(
    "lock", ["", "stages: [", "[]", "stages: {a: {}}", "stages: {a: {cmd: x, outs: [1]}}"]
)
def test_what_is_no_lock_is_refused(lock: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.lock: expected stages"):
        lockfile.stages(lock)


def test_blocks_hold_what_the_whole_does(finished: Repository) -> None:
    """A lock read by blocks, against ruamel.yaml's reading of the whole."""
    lock = (finished.path / "dvc.lock").read_text()
    whole = YAML(typ="safe", pure=True).load(lock)["stages"]
    assert {name: stage.inputs["cmd"] for name, stage in lockfile.stages(lock).items()} == {
        name: stage["cmd"] for name, stage in whole.items()
    }
    for name, stage in lockfile.stages(lock).items():
        assert stage.dependencies == {each["path"]: each["md5"] for each in whole[name].get("deps", [])}
        assert stage.outputs == {each["path"]: each["md5"] for each in whole[name]["outs"]}
        parameters = whole[name].get("params", {}).get("params.yaml", {})
        assert stage.parameters == yamltext.flat(parameters)


@pytest.mark.parametrize(
    "stage",
    [
        'a: {cmd: x, params: {params.yaml: {lr: 1e-05, on: off}}, outs: [{path: "a b", md5: "1"}]}',
        "a:\n    cmd: x\n    params:\n      params.yaml:\n        lr: 1e-05\n        'on': 'off'\n"
        "    outs:\n    - path: a b\n      md5: '1'",
        "a:\n    cmd:\n    - x\n    outs:\n    -   path: a b\n        md5: '1'\n"
        "    params:\n        params.yaml:\n            lr: 1.0e-05\n            on: 'off'",
    ],
)
def test_every_way_to_write_a_lock_is_read(stage: str) -> None:
    (found,) = lockfile.stages(f"schema: '2.0'\nstages:\n  {stage}\n").values()
    assert found.command == "x"
    assert found.outputs == {"a b": "1"}
    assert found.parameters["lr"] == 1e-5


def test_numbers_are_those_of_yaml_1_2() -> None:
    values = "[1e-05, 1E5, -.5, 5., 1_0, .inf, 0.1, 1e, e5, 12]"
    lock = f"stages: {{a: {{cmd: x, params: {{params.yaml: {{v: {values}}}}}}}}}"
    found = lockfile.stages(lock)["a"].parameters["v"]
    assert found == [1e-5, 1e5, -0.5, 5.0, 10, float("inf"), 0.1, "1e", "e5", 12]


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "damage",
    [
        "outs: [{path: 123, md5: x}]",
        "outs: [{path: x, md5: }]",
        "outs: [{path: x, md5: 123}]",
        "outs: {a: 1}",
        'outs: [{path: "a\\0b", md5: x}]',
        f"outs: {DEEP}",
    ],
)
def test_a_damaged_lock_is_refused(damage: str) -> None:
    for lock in (f"stages: {{a: {{cmd: x, {damage}}}}}", f"stages:\n  a:\n    cmd: x\n    {damage}\n"):
        with pytest.raises(DataError, match=r"^dvc\.lock: expected stages"):
            lockfile.stages(lock)


def test_parameters_of_other_files_bear_their_name() -> None:
    lock = "stages: {a: {cmd: x, params: {params.yaml: {a.b: 1}, other.json: {a: {b: 2}}}}}"
    assert lockfile.stages(lock)["a"].parameters == {"a.b": 1, "other.json:a.b": 2}


def test_outputs_whose_files_are_told_in_the_lock_have_the_md5_of_their_list() -> None:
    files = "[{relpath: b, md5: '2', cloud: {s3: {version_id: v}}}, {relpath: a/c, md5: '1'}, {relpath: d}]"
    (stage,) = lockfile.stages(f"stages: {{a: {{cmd: x, outs: [{{path: o, files: {files}}}]}}}}").values()
    assert stage.listed == {"o": {"b": "2", "a/c": "1"}}
    manifest = b'[{"md5": "1", "relpath": "a/c"}, {"md5": "2", "relpath": "b"}]'
    assert stage.outputs == {"o": f"{hashlib.md5(manifest).hexdigest()}.dir"}
    tracked = lockfile.tracked(f"wdir: ..\nouts: [{{path: o, files: {files}}}]\n")
    assert (tracked.outputs, tracked.listed, tracked.folder) == (stage.outputs, stage.listed, "..")


@pytest.mark.parametrize("files", ["5", "[5]", "[{relpath: 5, md5: a}]", "[{md5: a}]", "{a: b}"])
def test_a_damaged_list_of_files_in_a_lock_is_refused(files: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.lock: expected stages"):
        lockfile.stages(f"stages: {{a: {{cmd: x, outs: [{{path: o, files: {files}}}]}}}}")
