import pytest

from fashionboard.base.errors import DataError
from fashionboard.repository import dvcyaml


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
    metrics = dvcyaml.declared(text)
    assert metrics.match("train", "m.json") and metrics.match("train", "n/x.json")
    assert not metrics.match("train", "model") and not metrics.match("other", "m.json")
    assert metrics.match("each@a", "a.json")
    assert metrics.match("other", "live/metrics.json") and metrics.below("other", "live")
    assert not metrics.below("other", "data") and metrics.below("train", "n")
    assert dvcyaml.declared("") == dvcyaml.Declared()
    with pytest.raises(DataError, match=r"^dvc\.yaml: expected stages"):
        dvcyaml.declared("[1]")


@pytest.mark.parametrize("text", ["metrics: [{}]", "params: [{}]", "params: [1]"])
def test_a_damaged_list_of_a_dvc_yaml_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"^dvc\.yaml: expected stages"):
        dvcyaml.declared(text)


def test_files_of_a_whole_dvc_yaml_are_told_from_its_folder() -> None:
    text = "stages: {a: {cmd: x, wdir: w}}\nmetrics: [w/m.json, 'n[1].json', '${x}.toml']\nparams: [./p.yaml]"
    metrics = dvcyaml.declared(text)
    assert metrics.match("a", "m.json") and not metrics.match("a", "w/m.json")
    assert metrics.match("b", "w/m.json") and metrics.below("b", "w")
    assert [dvcyaml.exact(each) for each in metrics.top] == ["w/m.json", "n[1].json", None]
    assert metrics.of_parameters.match("b", "p.yaml") and not metrics.match("c", "p.yaml")
