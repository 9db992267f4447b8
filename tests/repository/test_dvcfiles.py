import hashlib
import subprocess
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError
from fashionboard.repository import dvcyaml, experiments, lockfile
from fashionboard.repository.cache import Cache
from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import eventually

OUTPUTS = ("outs", "metrics", "plots")


def test_the_lock_names_every_output_and_the_cache_holds_their_bytes(finished: Repository) -> None:
    """Fails when another DVC writes its files in another way."""
    stages = lockfile.stages((finished.path / "dvc.lock").read_text())
    assert list(stages) == ["download", "visualize", "embed", "train", "evaluate"]
    assert stages["train"].inputs["train.lr"] == 0.001
    assert stages["train"].inputs["cmd"] == "python -m stages.train"
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


def test_what_is_not_in_the_cache_is_not_found(finished: Repository) -> None:
    assert Cache(finished.path).files("x", "0" * 32) is None
    assert Cache(finished.path).files("x", "0" * 32 + ".dir") is None


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


VALUES = """
yes no on off y Yes TRUE False true null ~ 1:30 010 0o10 0x1F 1_000 +12 -0 1e-05 1E5 -.5 5. .inf -.INF
1e e5 12e 0b11 2020-01-02 'yes' '1e5' [1,on] {a:1} 1.2.3 <<x
"""


@pytest.mark.parametrize("value", ["", "a b", *VALUES.split()])
def test_values_are_those_that_dvc_reads(value: str) -> None:
    text = f"a: {value}\n"
    # DVC's parser, but not by way of DVC: with ruamel.yaml.clib that refuses some of YAML, such as {a:1}
    assert yamltext.load(text) == YAML(typ="safe", pure=True).load(text)


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


@pytest.mark.parametrize(
    "manifest",
    [
        "{}",
        "[1]",
        '[{"md5": 5, "relpath": "a"}]',
        '[{"md5": "a", "relpath": 5}]',
        '[{"md5": "a"}]',
        DEEP,
        "",
        "\0",
    ],
)
def test_a_damaged_list_of_files_is_refused(tmp_path: Path, manifest: str) -> None:
    with pytest.raises(DataError, match="expected a JSON list of files"):
        Cache(tmp_path).learn("a" * 32 + ".dir", manifest.encode())


@pytest.mark.parametrize(
    "info",
    [
        "",
        "[]",
        "{",
        '{"status": "x"}',
        '{"status": null}',
        '{"status": 2}',
        '{"status": 2, "root_dir": 5, "baseline_rev": "a"}',
    ],
)
def test_a_damaged_note_of_a_run_is_left_out(tmp_path: Path, info: str) -> None:
    folder = tmp_path / "exps" / "run" / "abc"
    folder.mkdir(parents=True)
    (folder / "abc.run").write_text(info)
    (tmp_path / "exps" / "standalone").mkdir()
    (tmp_path / "exps" / "standalone" / "run").touch()
    assert experiments.Runs(tmp_path).read() == []


def test_parameters_of_other_files_bear_their_name() -> None:
    lock = "stages: {a: {cmd: x, params: {params.yaml: {a.b: 1}, other.json: {a: {b: 2}}}}}"
    assert lockfile.stages(lock)["a"].parameters == {"a.b": 1, "other.json:a.b": 2}


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (f"refs/exps/ab/{'c' * 38}/name", (f"ab{'c' * 38}", "name")),
        ("refs/exps/celery/stash", None),
        ("refs/exps/exec/EXEC_HEAD", None),
        (f"refs/exps/ab/{'c' * 38}", None),
        ("refs/heads/main", None),
    ],
)
def test_an_experiments_ref(ref: str, expected: tuple[str, str] | None) -> None:
    assert experiments.experiment(ref) == expected


def test_experiments_refs_and_runs_are_where_this_dvc_keeps_them(tmp_path: Path) -> None:
    """Fails when another DVC keeps experiments or what it knows of running ones elsewhere."""
    repository = plain(tmp_path / "r")
    repository.set({"train.pause": 0.4})
    repository.git("commit", "-qam", "slow")
    head = repository.git("rev-parse", "HEAD").strip()
    runs = experiments.Runs(repository.path / ".dvc" / "tmp")
    assert runs.read() == []
    states: dict[str, list[str]] = {}
    for name, fails in (("good", "false"), ("bad", "true")):
        repository.dvc("exp", "run", "-q", "--queue", "-n", name, "-S", f"train.fails={fails}")
    repository.start_queue(1)
    temporary = subprocess.Popen(
        ["dvc", "exp", "run", "-q", "--temp", "-n", "temporary", "-S", "train.lr=0.1"],
        cwd=repository.path,
        env=repository.environment(),
    )
    roots = {}
    end = time.monotonic() + 60
    while not {("good", "finished"), ("bad", "failed")} <= {(k, v[-1]) for k, v in states.items()}:
        assert time.monotonic() < end, states
        for run in runs.read():
            assert run.baseline == head
            if run.state == "running":
                roots[run.name] = run.root
            seen = states.setdefault(run.name, [])
            if seen[-1:] != [run.state]:
                seen.append(run.state)
        time.sleep(0.05)
    assert temporary.wait(30) == 0
    assert states["good"] == ["running", "finished"]
    assert states["bad"] == ["running", "failed"]
    assert states["temporary"][0] == "running"
    assert set(roots) == {"good", "bad", "temporary"}
    eventually(lambda: [root for root in roots.values() if root.exists()], [])
    listed = repository.git("for-each-ref", "--format=%(refname)", "refs/exps").split()
    names = {told[1] for ref in listed if (told := experiments.experiment(ref))}
    assert names == {"good", "temporary"}


def test_metrics_are_known_by_their_declaration() -> None:
    text = """
stages:
  train:
    cmd: x
    metrics: [m.json, {"n/${name}.json": {cache: false}}]
  each:
    foreach: [a, b]
    do: {cmd: x, metrics: ["${item}.json"]}
metrics: [live/metrics.json]
"""
    metrics = dvcyaml.metrics(text)
    assert metrics.match("train", "m.json") and metrics.match("train", "n/x.json")
    assert not metrics.match("train", "model") and not metrics.match("other", "m.json")
    assert metrics.match("each@a", "a.json")
    assert metrics.match("other", "live/metrics.json") and metrics.below("other", "live")
    assert not metrics.below("other", "data") and metrics.below("train", "n")
    assert dvcyaml.metrics("") == dvcyaml.Metrics()
    with pytest.raises(DataError, match=r"^dvc\.yaml: expected stages"):
        dvcyaml.metrics("[1]")


def test_the_cache_of_dvc_2_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / ("c" * 30)).touch()
    assert Cache(tmp_path).find("ab" + "c" * 30) == tmp_path / "ab" / ("c" * 30)
    assert Cache(tmp_path).find("ab" + "d" * 30) is None
    # no name of an object
    assert Cache(tmp_path / "ab").find("../ab/" + "c" * 30) is None


def test_an_object_is_a_regular_file_or_a_link_to_another_object(tmp_path: Path) -> None:
    outside, cache = tmp_path / "outside", tmp_path / "cache"
    file, *others = (digit * 30 for digit in "012345")
    for folder in (outside / "ef", cache / "ab"):
        folder.mkdir(parents=True)
        (folder / file).touch()
    (cache / "notes").touch()
    # another object; and what is none: a file elsewhere, the link itself, nothing, a file beside the objects
    targets: tuple[Path | str, ...] = (file, outside / "ef" / file, others[2], "gone", "../notes")
    for name, target in zip(others, targets, strict=True):
        (cache / "ab" / name).symlink_to(target)
    (cache / "cd").symlink_to("ab")
    (cache / "ef").symlink_to(outside / "ef")
    find = Cache(cache).find
    assert find(f"ab{file}") == find(f"ab{others[0]}") == cache / "ab" / file
    assert find(f"cd{file}") == cache / "cd" / file
    assert [find(f"ab{name}") for name in others[1:]] == [None] * 4
    assert find(f"ef{file}") is None
    # the cache itself may lie elsewhere
    (tmp_path / "link").symlink_to(cache)
    assert Cache(tmp_path / "link").find(f"ab{file}")


def test_a_link_in_the_place_of_a_list_is_not_read_and_not_written_to(tmp_path: Path) -> None:
    name = "a" * 32 + ".dir"
    (tmp_path / "mine").write_text('[{"relpath": "x", "md5": "y"}]')
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / name).symlink_to("../mine")
    assert Cache(tmp_path, tmp_path / "lists").entries("out", name) is None
    Cache(tmp_path, tmp_path / "lists").learn(name, b"[]")
    assert (tmp_path / "mine").read_text() == '[{"relpath": "x", "md5": "y"}]'
    assert Cache(tmp_path, tmp_path / "lists").entries("out", name) == {}


def test_a_run_is_one_in_dvcs_folder_for_copies(tmp_path: Path) -> None:
    tmp, elsewhere = tmp_path / "tmp", tmp_path / "elsewhere"
    (elsewhere / "copy").mkdir(parents=True)
    (tmp / "exps" / "copy").mkdir(parents=True)
    (tmp / "exps" / "link").symlink_to(elsewhere / "copy")
    roots = [tmp / "exps" / "copy", tmp / "exps" / "gone", tmp / "exps" / "link", elsewhere / "copy", tmp]
    for number, root in enumerate([*roots, tmp / "exps" / ".." / ".." / "elsewhere"]):
        folder = tmp / "exps" / "run" / f"{number}"
        folder.mkdir(parents=True)
        text = f'{{"status": 2, "root_dir": "{root}", "baseline_rev": "a"}}'
        (folder / f"{number}.run").write_text(text)
    assert [run.root for run in experiments.Runs(tmp).read()] == roots[:2]


def test_outputs_whose_files_are_told_in_the_lock_have_the_md5_of_their_list() -> None:
    files = "[{relpath: b, md5: '2', cloud: {s3: {version_id: v}}}, {relpath: a/c, md5: '1'}, {relpath: d}]"
    (stage,) = lockfile.stages(f"stages: {{a: {{cmd: x, outs: [{{path: o, files: {files}}}]}}}}").values()
    assert stage.listed == {"o": {"b": "2", "a/c": "1"}}
    manifest = b'[{"md5": "1", "relpath": "a/c"}, {"md5": "2", "relpath": "b"}]'
    assert stage.outputs == {"o": f"{hashlib.md5(manifest).hexdigest()}.dir"}
    tracked = lockfile.tracked(f"wdir: ..\nouts: [{{path: o, files: {files}}}]\n")
    assert (tracked.outputs, tracked.listed, tracked.folder) == (stage.outputs, stage.listed, "..")


@pytest.mark.parametrize("text", ["metrics: [{}]", "params: [{}]", "params: [1]"])
def test_a_damaged_list_of_a_dvc_yaml_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.yaml: expected stages"):
        dvcyaml.metrics(text)


@pytest.mark.parametrize("files", ["5", "[5]", "[{relpath: 5, md5: a}]", "[{md5: a}]", "{a: b}"])
def test_a_damaged_list_of_files_in_a_lock_is_refused(files: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.lock: expected stages"):
        lockfile.stages(f"stages: {{a: {{cmd: x, outs: [{{path: o, files: {files}}}]}}}}")


def test_files_of_a_whole_dvc_yaml_are_told_from_its_folder() -> None:
    text = "stages: {a: {cmd: x, wdir: w}}\nmetrics: [w/m.json, 'n[1].json', '${x}.toml']\nparams: [./p.yaml]"
    metrics = dvcyaml.metrics(text)
    assert metrics.match("a", "m.json") and not metrics.match("a", "w/m.json")
    assert metrics.match("b", "w/m.json") and metrics.below("b", "w")
    assert [dvcyaml.exact(each) for each in metrics.top] == ["w/m.json", "n[1].json", None]
    assert metrics.of_parameters.match("b", "p.yaml") and not metrics.match("c", "p.yaml")
