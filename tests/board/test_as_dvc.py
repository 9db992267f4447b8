"""A commit is read as DVC reads it: compared with DVC itself wherever it can answer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from fashionboard.base import yamltext
from fashionboard.base.errors import DataError
from fashionboard.board.live import Live
from fashionboard.repository import dvcyaml, lockfile
from tests.support.repository import Repository
from tests.support.servers import board, eventually, rows
from tests.support.written import SETTINGS, commit, events, lock, pipeline, read, store, written


def dvc(repository: Repository, kind: str, revision: str = "HEAD") -> dict[str, Any]:
    """Return the params or metrics that DVC shows of a commit, by file."""
    commit = repository.git("rev-parse", revision).strip()
    with Repo(str(repository.path)) as repo:
        shown = getattr(repo, kind).show(revs=[commit])[commit]["data"]
    return {path: each["data"] for path, each in shown.items() if "data" in each}


def outputs(repository: Repository, revision: str = "HEAD") -> dict[str, str]:
    """Return the md5 of the outputs that DVC sees in a commit, by path from the root of its repository."""
    with Repo(str(repository.path)) as repo, repo.switch(repository.git("rev-parse", revision).strip()):
        root = Path(repo.root_dir)
        return {
            Path(out.fs_path).relative_to(root).as_posix(): out.hash_info.value
            for out in repo.index.outs
            if out.hash_info
        }


def named(by_file: Mapping[str, Any]) -> dict[str, object]:
    """Return parameters by the names that the board gives them."""
    found: dict[str, object] = {}
    for path, data in by_file.items():
        found |= yamltext.flat(data, "" if path == "params.yaml" else f"{path}:")
    return {name: str(value) if isinstance(value, list) else value for name, value in found.items()}


PARAMETERS = {
    "params.yaml": "batch: 4\n",
    "more.yaml": "lr: 0.5\nnet: {width: 3, names: [a, b]}\n",
    "some.json": '{"seed": 7, "on": true}',
    "some.toml": '[optimizer]\nname = "sgd"\nmomentum = 0.5\n',
    "some.py": "DEPTH = 4\nclass Train:\n    decay = 0.25\n",
}


def test_top_level_parameters_are_those_that_dvc_shows(tmp_path: Path) -> None:
    declared = pipeline({}, params=[*PARAMETERS, "gone.yaml", "./more.yaml"])
    repository = written(tmp_path / "r", {**PARAMETERS, "dvc.yaml": declared})
    expected = named(dvc(repository, "params"))
    assert len(expected) == 10
    assert read(repository).parameters == expected
    # a later commit, and the workspace, have their own
    commit(repository, {"some.json": '{"seed": 8, "on": true}'})
    assert read(repository).parameters == expected | {"some.json:seed": 8}
    assert read(repository, "HEAD~1").parameters == expected
    workspace = Live(repository.path)
    workspace.files()
    assert workspace.parameters == expected | {"some.json:seed": 8}
    (repository.path / "some.json").write_text('{"seed": 9}')
    workspace.files()
    assert workspace.parameters["some.json:seed"] == 9


def test_top_level_parameters_of_a_folder_beside_those_of_a_stage(tmp_path: Path) -> None:
    """What a stage has read is what it was run with; the rest of its file is as it lies there."""
    recorded = yaml.safe_load(lock(a={}))
    recorded["stages"]["a"]["params"] = {"params.yaml": {"lr": 1}}
    files = {
        "deep/dvc.yaml": pipeline({"a": {"params": ["lr"]}}, params=["params.yaml", "../up.yaml"]),
        "deep/dvc.lock": yaml.safe_dump(recorded),
        "deep/params.yaml": "lr: 2\nseed: 3\n",
        "up.yaml": "x: 4\n",
    }
    repository = written(tmp_path / "r", files)
    assert {"deep/params.yaml", "up.yaml"} == dvc(repository, "params").keys()
    assert read(repository).parameters == {"deep/lr": 1, "deep/seed": 3, "deep/../up.yaml:x": 4}
    workspace = Live(repository.path)
    workspace.files()
    assert workspace.parameters == read(repository).parameters | {"deep/lr": 2}
    # a dvc.yaml without stages, too, is looked at again when it has changed
    (repository.path / "deep" / "dvc.yaml").write_text(pipeline({}, params=["params.yaml"]))
    workspace.files()
    assert workspace.parameters == {"deep/lr": 2, "deep/seed": 3}
    (repository.path / "deep" / "dvc.yaml").write_text(pipeline({}, params=["../up.yaml"]))
    workspace.files()
    assert workspace.parameters == {"deep/../up.yaml:x": 4}


def test_top_level_parameters_that_are_an_output(tmp_path: Path) -> None:
    repository = written(tmp_path / "r", {})
    inside = store(repository).put_folder({"params.yaml": b"best: 5\n"})
    alone = store(repository).put(b"found: 6\n")
    stages: dict[str, Any] = {"a": {"outs": ["live"]}, "b": {"outs": ["out.yaml"], "wdir": "w"}}
    commit(
        repository,
        {
            "dvc.yaml": pipeline(stages, params=["live/params.yaml", "w/out.yaml"]),
            "dvc.lock": lock(a={"live": inside}, b={"out.yaml": alone}),
        },
    )
    expected = {"live/params.yaml:best": 5, "w/out.yaml:found": 6}
    assert named(dvc(repository, "params")) == read(repository).parameters == expected
    store(repository).place(alone).unlink()
    assert read(repository).missing == {"w/out.yaml": frozenset({alone})}


def test_a_file_of_parameters_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    files = {"dvc.yaml": pipeline({}, params=["a.json", "b.py", "c.yaml", "d.py"]), "c.yaml": "d: 1\n"}
    broken = {"a.json": "{", "b.py": "def (", "d.py": "-" * 100_000}
    repository = written(tmp_path / "r", {**files, **broken})
    record = read(repository)
    assert record.unread == tuple(f"{name} cannot be read" for name in broken)
    assert record.parameters == {"c.yaml:d": 1}


def test_top_level_metrics_are_told_from_their_dvc_yaml_and_not_from_a_stages_folder(tmp_path: Path) -> None:
    repository = written(tmp_path / "r", {})
    own, other = store(repository).put(b'{"v": 1}'), store(repository).put(b'{"v": 2}')
    commit(
        repository,
        {
            "dvc.yaml": pipeline(
                {"a": {"wdir": "w", "outs": ["m.json"]}, "b": {"wdir": "x", "outs": ["m.json"]}},
                metrics=["w/m.json", "m[1].json"],
            ),
            "dvc.lock": lock(a={"m.json": own}, b={"m.json": other}),
            "m[1].json": '{"u": 3}',
        },
    )
    assert dvc(repository, "metrics") == {"w/m.json": {"v": 1}, "m[1].json": {"u": 3}}
    assert read(repository).metrics == {"v": 1, "u": 3}


@pytest.mark.parametrize(
    "text", ["metrics: [{}]", "params: [{}]", "params: [1]", "stages: {a: {cmd: x, metrics: [{}]}}"]
)
def test_a_damaged_list_in_dvc_yaml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.yaml: expected stages"):
        dvcyaml.declared(text)
    repository = written(tmp_path / "r", {"dvc.yaml": text})
    assert read(repository).unread == ("dvc.yaml cannot be read",)


def everywhere(repository: Repository, folders: list[str]) -> dict[str, str]:
    """Return a dvc.yaml and its dvc.lock, and a .dvc file, for each folder, with outputs of one name."""
    md5 = store(repository).put(events(repository.path / ".dvc" / "tmp"))
    files: dict[str, str] = {}
    for folder in folders:
        files |= {
            f"{folder}dvc.yaml": pipeline({"s": {"outs": ["logs.tfevents"]}}),
            f"{folder}dvc.lock": lock(s={"logs.tfevents": md5}),
            f"{folder}own.tfevents.dvc": yaml.safe_dump(
                {"outs": [{"path": "own.tfevents", "md5": md5, "hash": "md5"}]}
            ),
        }
    return files


def shown(repository: Repository, revision: str = "HEAD") -> set[str]:
    """Return the outputs whose event files the board would show."""
    return {Path(path).as_posix() for path in read(repository, revision).files}


def seen_by_dvc(repository: Repository, revision: str = "HEAD") -> set[str]:
    """Return where the board would show the outputs that DVC sees."""
    found = set()
    for path in map(Path, outputs(repository, revision)):
        stage = "own.tfevents" if path.name == "own.tfevents" else "s"
        found.add((path.parent / stage / path.name).as_posix())
    return found


LISTS: list[dict[str, str]] = [
    {".dvcignore": "a\n"},
    {".dvcignore": "# a comment\n/a/b/\n"},
    {".dvcignore": "a/*\n!a/c\n"},
    {"a/.dvcignore": "b/\n"},
    {"a/.dvcignore": "own.tfevents.dvc\ndvc.yaml\n", ".dvcignore": "b\n"},
    {".dvcignore": "a\n", "a/.dvcignore": "!b\n"},
    {".dvcignore": "*.dvc\n"},
    {".dvcignore": "dvc.lock\n"},
    {".dvcignore": "**/c\n d \n"},
]


def test_what_dvcignore_names_is_not_read(tmp_path: Path) -> None:
    """Each commit by its own lists."""
    repository = written(tmp_path / "r", {})
    commit(repository, everywhere(repository, ["", "a/", "a/b/", "a/c/", "d/"]))
    everything = shown(repository)
    assert len(everything) == 10 and everything == seen_by_dvc(repository)
    for lists in LISTS:
        commit(repository, lists)
        expected = seen_by_dvc(repository)
        assert shown(repository) == expected != everything, lists
        assert shown(repository, "HEAD~1") == everything
        repository.git("reset", "-q", "--hard", "HEAD~1")


@pytest.mark.parametrize("damage", [b"\xff", b"!", b"x\\", b"[z-a]"])
def test_a_dvcignore_that_cannot_be_read_is_told(tmp_path: Path, damage: bytes) -> None:
    """What the others name is not read."""
    repository = written(tmp_path / "r", {"a/.dvcignore": damage + b"\n", ".dvcignore": "b\n"})
    commit(repository, everywhere(repository, ["", "a/", "b/"]))
    record = read(repository)
    assert record.unread == ("a/.dvcignore cannot be read",)
    assert len(record.files) == 4


def test_lists_that_cannot_be_put_together_are_told(tmp_path: Path) -> None:
    repository = written(tmp_path / "r", {".dvcignore": "b\n", "a/.dvcignore": "\\\\\n"})
    commit(repository, everywhere(repository, ["", "a/", "b/"]))
    record = read(repository)
    assert record.unread == (".dvcignore cannot be read", "a/.dvcignore cannot be read")
    assert len(record.files) == 6


@pytest.mark.parametrize("top", ["", "part"])
def test_a_dvc_repository_in_another_is_not_read_with_it(tmp_path: Path, top: str) -> None:
    repository = written(tmp_path / "r", {}, top)
    commit(repository, everywhere(repository, ["", "a/", "inner/", "inner/deep/", "a/inner/"]))
    assert len(shown(repository)) == 10
    commit(repository, {"inner/.dvc/config": SETTINGS, "a/inner/.dvc/config": SETTINGS})
    assert shown(repository) == seen_by_dvc(repository)
    assert {path.split("/")[0] for path in shown(repository)} == {"s", "a", "own.tfevents"}
    # the inner one has its own
    inner = Repository(repository.path / "inner")
    store(inner).put(events(tmp_path))
    assert shown(inner) == seen_by_dvc(inner) and len(shown(inner)) == 4


def test_what_a_remote_with_versions_lists_is_shown(tmp_path: Path) -> None:
    """Lists of files in dvc.lock and in a .dvc file in another folder than its output."""
    repository = written(tmp_path / "r", {})
    content = events(tmp_path)
    names = ["events.out.tfevents.1", "sub/b.tfevents", "model.pt"]
    listed: list[dict[str, Any]] = [
        {
            "relpath": name,
            "md5": store(repository).put(name.encode() if name == "model.pt" else content),
            "size": 1,
            "cloud": {"s3": {"etag": "e" * 32, "version_id": "v"}},
        }
        for name in names
    ]
    nowhere = {"relpath": "z.tfevents", "size": 1, "cloud": {"s3": {"etag": "e" * 32, "version_id": "v"}}}
    md5 = store(repository).put(content)
    single = {"md5": md5, "size": 1, "cloud": {"s3": {"etag": "e" * 32, "version_id": "v"}}}
    commit(
        repository,
        {
            "dvc.yaml": pipeline({"train": {"outs": ["logs"]}, "one": {"outs": ["x.tfevents"]}}),
            "dvc.lock": lock(train={"logs": {"files": listed}}, one={"x.tfevents": single}),
            "list/tb.dvc": yaml.safe_dump(
                {"wdir": "..", "outs": [{"path": "tb", "hash": "md5", "files": [*listed, nowhere]}]}
            ),
        },
    )
    record = read(repository)
    expected = {f"{stage}/{name}" for stage in ("train", "list/tb") for name in names}
    assert record.files.keys() == expected | {"one/x.tfevents"}
    assert record.files["train/events.out.tfevents.1"].read_bytes() == content
    assert not record.missing and not record.unread
    (stage,) = [each for each in read_stages(repository) if "logs" in each.outputs]
    assert stage.outputs == {"logs": outputs(repository)["logs"]}
    store(repository).place(listed[0]["md5"]).unlink()
    assert read(repository).missing.keys() == {"logs", "tb", "x.tfevents"}
    assert read(repository).missing["logs"] == {listed[0]["md5"]}


def read_stages(repository: Repository) -> list[lockfile.Stage]:
    return list(lockfile.stages((repository.path / "dvc.lock").read_text()).values())


def test_outputs_that_git_keeps_are_shown(tmp_path: Path) -> None:
    """A folder with a projector and a single file, written and recorded by DVC itself."""
    config = 'embeddings { tensor_name: "t" tensor_path: "deep/points.tsv" metadata_path: "names.tsv" }'
    command = (
        "mkdir -p logs/deep && cp source logs/events.out.tfevents.1 && cp source one.tfevents && "
        "cp config logs/projector_config.pbtxt && echo 1 > logs/deep/points.tsv && "
        "echo a > logs/names.tsv && "
        "echo m > logs/model.pt"
    )
    kept = {"cache": False}
    stage = {"cmd": command, "wdir": "w", "outs": [{"logs": kept}, {"one.tfevents": kept}]}
    content = events(tmp_path)
    files: dict[str, str | bytes] = {"w/source": content, "w/config": config, "w/other.tfevents": content}
    files["dvc.yaml"] = json.dumps({"stages": {"train": stage}})
    repository = written(tmp_path / "r", files)
    repository.dvc("repro", "-q")
    commit(repository, {})
    record = read(repository)
    names = {"events.out.tfevents.1", "projector_config.pbtxt", "deep/points.tsv", "names.tsv"}
    assert record.files.keys() == {f"train/logs/{name}" for name in names} | {"train/one.tfevents"}
    for path, file in record.files.items():
        name = path.removeprefix("train/")
        assert file.read_bytes() == (repository.path / "w" / name).read_bytes()
    # for the commit before, no output of DVC's is known, and the file that is none is not shown
    assert not read(repository, "HEAD~1").files
    assert not record.missing and not record.unread
    # each blob lies there once, and is what git says
    (folder,) = {file.parent for file in record.files.values()}
    assert {path.name for path in folder.iterdir()} == {file.name for file in record.files.values()}
    for blob in folder.iterdir():
        assert repository.git("hash-object", str(blob)).strip() == blob.name
    # the commits that follow have their own
    (repository.path / "w" / "one.tfevents").write_bytes(events(tmp_path, 2.0))
    commit(repository, {})
    assert read(repository).files["train/one.tfevents"].read_bytes() != content
    assert read(repository, "HEAD~1").files == record.files


def test_what_git_keeps_is_shown_by_the_board(tmp_path: Path) -> None:
    stage = {"outs": [{"logs": {"cache": False}}]}
    repository = written(tmp_path / "r", {"logs/a.tfevents": events(tmp_path)})
    commit(
        repository,
        {"dvc.yaml": pipeline({"train": stage}), "dvc.lock": lock(train={"logs": f"{'0' * 32}.dir"})},
    )
    # where they cannot be laid, that is told, and the rest is read
    (tmp_path / "file").touch()
    record = read(repository, kept=tmp_path / "file")
    assert record.unread == (f"{tmp_path / 'file'} cannot be written (File exists)",)
    assert record.missing.keys() == {"logs"}
    done = repository.run("fashionboard", "board", "main", "--no-serve")
    assert "not in the cache" not in done.stdout
    (link,) = Path(done.stdout.splitlines()[-1]).glob("main/train/*")
    assert link.read_bytes() == (repository.path / "logs" / "a.tfevents").read_bytes()
    assert repository.git("status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False])
def test_an_experiment_without_parameters_has_a_row(tmp_path: Path, fast: bool) -> None:
    """With its metrics, beside one that has parameters and alone; so has a commit that is asked for."""
    repository = written(tmp_path / "r", {})
    log, number = store(repository).put(events(tmp_path)), store(repository).put(b'{"accuracy": 0.5}')
    stage = {"outs": ["a.tfevents"], "metrics": ["m.json"]}
    files = {"dvc.yaml": pipeline({"s": stage}), "dvc.lock": lock(s={"a.tfevents": log, "m.json": number})}
    baseline = commit(repository, files)

    def experiment(name: str) -> str:
        made = commit(repository, {**files, "note": name})
        repository.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", made)
        repository.git("reset", "-q", "--hard", baseline)
        return made[:7]

    bare = experiment("bare")
    with board(repository.path, "HEAD", "--experiments", "--", f"--load_fast={str(fast).lower()}") as served:

        def found() -> dict[str, Any]:
            return {name: (each["hparams"], metrics(each)) for name, each in rows(served.address).items()}

        scores = {"accuracy": 0.5}
        only = {"bare": ({"revision": bare}, scores), "main": ({"revision": baseline[:7]}, scores)}
        eventually(found, only)
        files["dvc.yaml"] = pipeline({"s": stage}, params=["params.yaml"])
        files["params.yaml"] = "lr: 0.25\n"
        experiment("tuned")
        eventually(found, only | {"tuned": ({"lr": 0.25}, scores)})


def metrics(row: Mapping[str, Any]) -> dict[str, float]:
    return {each["name"]["tag"]: each["value"] for each in row["metricValues"] if not each["name"]["group"]}
