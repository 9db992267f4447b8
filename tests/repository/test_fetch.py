import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.plain import plain
from tests.support.repository import Repository
from tests.support.servers import board, content, eventually, get, tensorboard
from tests.support.written import SETTINGS, Store, commit, events, lock, pipeline, read, store, written

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))


@pytest.fixture
def team(finished: Repository, tmp_path: Path) -> tuple[Repository, Repository]:
    """A repository with an experiment and a remote that has everything, and a clone with an empty cache."""
    origin = finished.clone(tmp_path / "origin", cache="copy")
    origin.dvc("remote", "add", "-d", "storage", str(tmp_path / "storage"))
    origin.git("commit", "-qam", "remote")
    origin.dvc("exp", "run", "-q", "-n", "wide", "-S", "evaluate.thresholds=40")
    origin.dvc("push", "-q", "--all-commits")
    origin.git("reset", "-q", "--hard")
    origin.dvc("exp", "run", "-q", "-n", "wide", "-f", "-S", "evaluate.thresholds=40")
    origin.dvc("push", "-q")
    clone = origin.clone(tmp_path / "clone", cache="none")
    clone.dvc("exp", "pull", "-q", "--no-cache", "origin", "wide")
    return origin, clone


def call(repository: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "board", "--no-serve", *arguments]
    return subprocess.run(command, cwd=repository.path, capture_output=True, text=True, check=False)


def cached(repository: Repository) -> set[str]:
    folder = repository.path / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_fetch_brings_what_event_files_need_and_nothing_else(team: tuple[Repository, Repository]) -> None:
    origin, clone = team
    assert cached(clone) == set()
    poor = call(clone)
    assert poor.returncode == 0, poor.stderr
    for name in ("main", "wide"):
        (line,) = [line for line in poor.stderr.splitlines() if line.startswith(f"{name}: ")]
        assert "runs/train" in line and "fashionboard board --fetch " in line
    rich = call(clone, "--fetch")
    assert rich.returncode == 0, rich.stderr
    assert "not in the cache" not in rich.stderr
    assert "incomplete" not in rich.stdout
    brought = cached(clone)
    assert brought < cached(origin)
    view = clone.path / ".dvc" / "tmp" / "fashionboard" / "board" / "view"
    events = {path.read_bytes() for path in view.rglob("*") if path.is_file()}
    contents = {
        digest: (clone.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes()
        for digest in brought
    }
    # each is in the view, the list of files of an output that is, or metrics for the rows
    others = {
        digest
        for digest, content in contents.items()
        if content not in events and not digest.endswith(".dir")
    }
    metrics = {(origin.path / "metrics" / f"{stage}.json").read_bytes() for stage in ("train", "evaluate")}
    assert {contents[digest] for digest in others} == metrics
    # runs/visualize, runs/embed, runs/train, and the two of runs/evaluate
    assert len([digest for digest in brought if digest.endswith(".dir")]) == 5
    # and there is nothing left to bring
    assert call(clone, "--fetch").stderr == ""
    assert cached(clone) == brought


@pytest.mark.slow
def test_what_the_remote_has_not_is_still_named(team: tuple[Repository, Repository], tmp_path: Path) -> None:
    _, clone = team
    shutil.rmtree(tmp_path / "storage")
    (tmp_path / "storage").mkdir()
    found = call(clone, "--fetch")
    assert found.returncode == 0
    assert "main: not in the cache: " in found.stderr


def test_without_a_remote_fetch_is_refused(finished: Repository, tmp_path: Path) -> None:
    clone = finished.clone(tmp_path / "clone", cache="none")
    found = call(clone, "--fetch")
    assert found.returncode == 1
    assert found.stderr.startswith("error: --fetch: expected a default remote, found: ")
    assert found.stderr.count("\n") == 1


def with_remote(tmp_path: Path) -> tuple[Repository, Store]:
    """Return a repository without any outputs yet, and its remote."""
    remote = Store(tmp_path / "remote")
    settings = f"{SETTINGS}    remote = far\n['remote \"far\"']\n    url = {remote.path}\n"
    return written(tmp_path / "r", {".dvc/config": settings}), remote


def brought(repository: Repository) -> set[str]:
    return {md5 for md5 in cached(repository) if not md5.endswith(".dir")}


def test_outputs_of_one_name_in_two_folders_are_both_brought(tmp_path: Path) -> None:
    repository, remote = with_remote(tmp_path)
    logs = {folder: {"a.tfevents": events(tmp_path, value)} for folder, value in (("", 1.0), ("part/", 2.0))}
    files = {}
    for folder, each in logs.items():
        files[f"{folder}dvc.yaml"] = pipeline({"s": {"outs": ["logs"], "metrics": ["m.json"]}})
        number = remote.put(f'{{"v{len(folder)}": 1}}'.encode())
        files[f"{folder}dvc.lock"] = lock(s={"logs": remote.put_folder(each), "m.json": number})
    commit(repository, files)
    assert read(repository).missing.keys() == {"logs", "m.json", "part/logs", "part/m.json"}
    poor = call(repository, "main")
    assert "main: not in the cache: logs, part/logs, m.json, part/m.json; to bring them" in poor.stderr
    rich = call(repository, "main", "--fetch")
    assert rich.stderr == ""
    record = read(repository)
    assert {path: file.read_bytes() for path, file in record.files.items()} == {
        f"{folder}s/a.tfevents": each["a.tfevents"] for folder, each in logs.items()
    }
    assert record.metrics == {"v0": 1, "v5": 1} and not record.missing


PROJECTOR = """
embeddings { tensor_name: "t" tensor_path: "0/points.tsv" metadata_path: "names.tsv"
             sprite { image_path: "s.png" } }
"""


@pytest.mark.slow
def test_of_a_folder_only_what_is_shown_is_brought(tmp_path: Path) -> None:
    repository, remote = with_remote(tmp_path)
    shown = {
        "run/a.tfevents": events(tmp_path),
        "run/projector_config.pbtxt": PROJECTOR.encode(),
        "run/0/points.tsv": b"1\t2\n3\t4\n",
        "run/names.tsv": b"x\ny\n",
        "run/s.png": b"png",
        "scores/m.json": b'{"accuracy": 0.5}',
    }
    beside = {"run/model.pt": b"a model", "run/0/other.tsv": b"2\n", "points.tsv": b"3\n"}
    md5 = remote.put_folder({**shown, **beside})
    stage = {"outs": ["logs"]}
    declared = pipeline({"train": stage}, metrics=["logs/scores/m.json"])
    commit(repository, {"dvc.yaml": declared, "dvc.lock": lock(train={"logs": md5})})
    done = call(repository, "main", "--fetch")
    assert done.stderr == "" and "incomplete" not in done.stdout
    everything = {
        path.parent.name + path.name for path in (remote.path / "files" / "md5").rglob("*") if path.is_file()
    }
    contents = {(remote.place(each)).read_bytes() for each in brought(repository)}
    assert contents == set(shown.values())
    record = read(repository)
    assert record.files.keys() == {f"train/{path}" for path in shown}
    assert record.metrics == {"accuracy": 0.5} and not record.missing
    with tensorboard(Path(done.stdout.splitlines()[-1]), fast=True) as address:
        ask = partial(get, address, "plugin/projector/info", run="main/train/run")
        eventually(lambda: [each["tensorShape"] for each in (ask() or {}).get("embeddings", [])], [[2, 2]])
        asset = partial(content, address, run="main/train/run", name="t")
        assert asset("plugin/projector/metadata") == b"x\ny\n"
        assert asset("plugin/projector/sprite_image") == b"png"
    # nothing is left to bring for the board, and DVC still brings the rest
    assert call(repository, "main", "--fetch").stderr == "" and contents == {
        remote.place(each).read_bytes() for each in brought(repository)
    }
    repository.dvc("pull", "-q")
    assert cached(repository) == everything
    assert (repository.path / "logs" / "run" / "model.pt").read_bytes() == b"a model"
    # what is in the cache is shown, as it always was
    assert read(repository).files.keys() == {f"train/{path}" for path in {**shown, **beside}}


def test_what_cannot_be_brought_stops_nothing_and_is_told(tmp_path: Path) -> None:
    """Experiments that lack an object or their list, or have damaged ones, or a folder in its place."""
    repository, remote = with_remote(tmp_path)
    baseline = repository.git("rev-parse", "HEAD").strip()
    names = ["fine", "lacks", "unlisted", "damaged", "mislisted", "blocked", "twice", "good"]
    lists, ones = {}, {}
    for number, name in enumerate(names):
        content = events(tmp_path, number)
        ones[name] = remote.put(content)
        lists[name] = remote.put_folder({"a.tfevents": content, "b.tfevents": content + content})
        recorded = lock(
            train={"logs": lists[name]}, other={"more": remote.put_folder({"c.tfevents": content * 3})}
        )
        stages = {"train": {"outs": ["logs"]}, "other": {"outs": ["more"]}}
        made = commit(repository, {"dvc.yaml": pipeline(stages), "dvc.lock": recorded})
        repository.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", made)
        repository.git("reset", "-q", "--hard", baseline)
    remote.place(ones["lacks"]).unlink()
    remote.place(lists["unlisted"]).unlink()
    remote.place(ones["damaged"]).write_bytes(b"something else")
    remote.place(lists["mislisted"]).write_bytes(b"[{")
    remote.place(ones["blocked"]).unlink()
    remote.place(ones["blocked"]).mkdir()
    remote.place(ones["twice"]).unlink()
    remote.place(lists["twice"]).write_bytes(b"[]")
    done = call(repository, "main", "--experiments", "--fetch")
    assert done.returncode == 0
    lines = {line.split(": ")[0]: line for line in done.stderr.splitlines()}
    assert len(lines) == len(done.stderr.splitlines()), done.stderr
    nowhere = "not in the cache: logs; nor on the remote; whoever has them: `dvc push`, `dvc exp push`"
    failed = "logs: expected to bring it from the remote, found: "
    assert lines.pop("lacks") == f"lacks: {nowhere}"
    assert lines.pop("unlisted") == f"unlisted: {nowhere}"
    other = "other bytes than those of its md5; try again"
    for name in ("damaged", "mislisted", "twice"):
        assert lines.pop(name) == f"{name}: {failed}{other}"
    assert lines.pop("blocked").startswith(f"blocked: {failed}")
    assert not lines
    view = Path(done.stdout.splitlines()[-1])
    for name in names:
        found = {path.relative_to(view / name).as_posix() for path in (view / name).glob("[to]*/*.tfevents")}
        expected = {"other/c.tfevents", "train/a.tfevents", "train/b.tfevents"}
        if name in ("lacks", "damaged", "blocked"):
            expected -= {"train/a.tfevents"}
        if name in ("unlisted", "mislisted", "twice"):
            expected = {"other/c.tfevents"}
        assert found == expected, name
    # what arrives on the remote is brought by the next call
    content = events(tmp_path, names.index("lacks"))
    assert remote.put(content) == ones["lacks"]
    assert "lacks: " not in call(repository, "main", "--experiments", "--fetch").stderr


@pytest.mark.slow
def test_what_the_remote_was_not_asked_for_is_not_said_to_be_nowhere(tmp_path: Path) -> None:
    """An experiment that comes while a board is open that has fetched."""
    repository, remote = with_remote(tmp_path)
    first, second = (remote.put(events(tmp_path, value)) for value in (1.0, 2.0))
    yaml = pipeline({"s": {"outs": ["a.tfevents"]}})
    baseline = commit(repository, {"dvc.yaml": yaml, "dvc.lock": lock(s={"a.tfevents": first})})
    with board(repository.path, "--fetch") as served:
        made = commit(repository, {"dvc.lock": lock(s={"a.tfevents": second})})
        repository.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/late", made)
        repository.git("reset", "-q", "--hard", baseline)
        eventually(lambda: "late: not in the cache" in served.said, True)
        assert "nor on the remote" not in served.said
        assert f"; to bring them: fashionboard board --fetch {made[:7]}\n" in served.said


def test_what_is_no_md5_never_becomes_a_path(tmp_path: Path) -> None:
    """DVC removes from a cache what has not its md5, wherever that leads."""
    repository, remote = with_remote(tmp_path)
    victims = [tmp_path / "victim", repository.path / "victim", repository.path / ".dvc" / "victim"]
    for victim in victims:
        victim.write_text("precious")
    # an object's path is <cache>/files/md5/<two digits>/<the rest>
    ways = [f"..{'/..' * depth}/victim" for depth in range(8)]
    ways += [f"{way}.dir" for way in ways]
    outputs = {f"{number}.tfevents": way for number, way in enumerate(ways)}
    commit(repository, {"dvc.yaml": pipeline({"s": {}}), "dvc.lock": lock(s=outputs)})
    remote.put(b"x")
    done = call(repository, "main", "--fetch")
    assert done.returncode == 0
    for output in outputs:
        assert f"main: {output}: expected to bring it from the remote, found: something else" in done.stderr
    for victim in victims:
        assert victim.read_text() == "precious"
    assert not cached(repository)


def test_what_dvc_2_has_pushed_is_brought(tmp_path: Path) -> None:
    """It kept everything a folder higher."""
    repository, remote = with_remote(tmp_path)
    content = events(tmp_path)
    md5 = Store(tmp_path / "other").put(content)
    place = remote.path / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    recorded = lock(s={"a.tfevents": md5}).replace("hash: md5", "size: 1")
    commit(repository, {"dvc.yaml": pipeline({"s": {"outs": ["a.tfevents"]}}), "dvc.lock": recorded})
    assert call(repository, "main", "--fetch").stderr == ""
    (file,) = read(repository).files.values()
    assert file.read_bytes() == content
    assert file.relative_to(store(repository).path).parts == (md5[:2], md5[2:])


@pytest.mark.slow
def test_fetch_brings_nothing_of_a_commit_that_is_left_out(tmp_path: Path) -> None:
    origin = plain(tmp_path / "origin")
    origin.dvc("repro", "-q")
    origin.dvc("remote", "add", "-d", "storage", str(tmp_path / "storage"))
    origin.git("commit", "-qam", "with metrics")
    # the same outputs, of which this one declares none as metrics
    described = origin.path / "dvc.yaml"
    stages = json.loads(described.read_text())
    stages["stages"]["train"]["outs"] += stages["stages"]["train"].pop("metrics")
    described.write_text(json.dumps(stages))
    origin.git("commit", "-qam", "without metrics")
    origin.dvc("push", "-q", "--all-commits")
    clone = origin.clone(tmp_path / "clone", cache="none")
    # the list of the logs and the logs are there, so that the metrics of the older commit alone are missing
    clone.dvc("pull", "-q", "logs")
    before = cached(clone)
    rich = call(clone, "--all-commits", "--fetch")
    assert rich.returncode == 0, rich.stderr
    assert "2 commits are left out" in rich.stderr
    assert cached(clone) == before
