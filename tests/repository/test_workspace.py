import shutil
from collections.abc import Mapping
from pathlib import Path

from fashionboard.repository.workspace import Stage, Workspace
from tests.support.written import pipeline, written


def _named(folder: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{folder} {name}": value for name, value in values.items()}


def test_dvc_is_asked_again_only_when_something_has_changed(tmp_path: Path) -> None:
    train = {"outs": ["logs"], "params": ["lr", {"more.json": ["seed"]}]}
    files = {
        "dvc.yaml": pipeline({"train": train}),
        "params.yaml": "lr: 1\n",
        "more.json": '{"seed": 2}',
        "deep/dvc.yaml": pipeline({"test": {"outs": ["../out"]}}, params=["params.yaml"]),
        "deep/params.yaml": "net: {width: 3}\n",
    }
    repository = written(tmp_path / "r", files)
    workspace = Workspace(repository.path, _named)
    assert workspace.refresh() and not workspace.refresh()
    stages = (
        Stage("deep/test", {"../out": repository.path / "out"}),
        Stage("train", {"logs": repository.path / "logs"}),
    )
    assert workspace.stages == stages and workspace.problems == ()
    assert workspace.parameters == {". lr": 1, ". more.json:seed": 2, "deep net.width": 3}
    (repository.path / "more.json").write_text('{"seed": 20}')
    assert workspace.refresh() and workspace.parameters[". more.json:seed"] == 20


def test_what_was_known_stays_while_a_file_or_the_repository_cannot_be_read(tmp_path: Path) -> None:
    stage = {"outs": ["logs"], "params": ["lr"]}
    files = {"dvc.yaml": pipeline({"train": stage}), "params.yaml": "lr: 1\n"}
    repository = written(tmp_path / "r", files)
    workspace = Workspace(repository.path, _named)
    workspace.refresh()
    stages = workspace.stages
    (repository.path / "dvc.yaml").write_text("stages: [")
    # it is asked until it can be read
    for _ in range(2):
        assert workspace.refresh() and len(workspace.problems) == 1
        assert workspace.stages == stages and workspace.parameters == {". lr": 1}
    shutil.rmtree(repository.path / ".dvc")
    assert not workspace.refresh() and len(workspace.problems) == 1
    assert workspace.stages == stages and workspace.parameters == {". lr": 1}
