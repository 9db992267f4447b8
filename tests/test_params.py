from pathlib import Path
from typing import Any

import pytest
import yaml

from fashionboard import params
from fashionboard.errors import ParameterError


def changed(tmp_path: Path, root: Path, old: str, new: str) -> Path:
    text = (root / "params.yaml").read_text()
    assert text.count(old) == 1
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_the_committed_defaults_are_the_tutorials(root: Path) -> None:
    train = params.load(root / "params.yaml").train
    assert (train.epochs, train.batch_size, train.lr, train.momentum, train.log_every) == (
        1,
        4,
        0.001,
        0.9,
        1000,
    )
    assert (train.model, train.optimizer, train.weight_decay) == ("net", "sgd", 0)
    assert (train.schedule, train.augment, train.validation, train.keep) == ("constant", "none", 0, "last")


@pytest.mark.parametrize("written", ["1e-5", "1e-05", "0.00001", "1.0e-5", "+1E-5", ".00001"])
def test_every_way_to_write_a_float_is_the_same_float(tmp_path: Path, root: Path, written: str) -> None:
    path = changed(tmp_path, root, "lr: 0.001", f"lr: {written}")
    assert params.load(path).train.lr == 1e-5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr: 0.001", "lr: abc", "train.lr is 'abc', allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: '0.001'", "train.lr is '0.001', allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: -1", "train.lr is -1, allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: 0", "train.lr is 0, allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: .nan", "train.lr is nan, allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: .inf", "train.lr is inf, allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr: true", "train.lr is True, allowed: a number > 0 and <= 10"),
        ("lr: 0.001", "lr:", "train.lr is None, allowed: a number > 0 and <= 10"),
        ("momentum: 0.9", "momentum: 1", "train.momentum is 1, allowed: a number >= 0 and < 1"),
        ("epochs: 1", "epochs: 1.5", "train.epochs is 1.5, allowed: an integer >= 1 and <= 1,000"),
        ("device: cpu", "device: gpu", "train.device is 'gpu', allowed: cpu or cuda"),
        ("points: 100 #", "points: 1 #", "embed.points is 1, allowed: an integer >= 2 and <= 10,000"),
        ("points: 100 #", "dots: 100 #", "embed.points is missing, allowed: an integer >= 2 and <= 10,000"),
        ("points: 1000", "points: -1", "evaluate.points is -1, allowed: an integer >= 0 and <= 10,000"),
        ("points: 1000", "points: 1", "evaluate.points is 1, allowed: 0 for none, or 2 to 10,000"),
        ("points: 1000", "points: 10001", "evaluate.points is 10001, allowed: an integer >= 0 and <= 10,000"),
        ("model: net", "model: Net(3)", "train.model is 'Net(3)', allowed: a network's name, such as net"),
        ("model: net", "model: 3", "train.model is 3, allowed: a network's name, such as net"),
        ("optimizer: sgd", "optimizer: adam", "train.optimizer is 'adam', allowed: sgd or adamw"),
        ("weight_decay: 0", "weight_decay: 2", "train.weight_decay is 2, allowed: a number >= 0 and <= 1"),
        (
            "schedule: constant",
            "schedule: step",
            "train.schedule is 'step', allowed: constant or cosine or one-cycle",
        ),
        ("augment: none", "augment: cutout", "train.augment is 'cutout', allowed: none or flip-shift"),
        ("augment: none", "augment:", "train.augment is None, allowed: none or flip-shift"),
        ("validation: 0", "validation: 0.1", "train.validation is 0.1, allowed: an integer >= 0 and <="),
        ("keep: last", "keep: first", "train.keep is 'first', allowed: last or best"),
        (
            "keep: last",
            "keep: best",
            "train.keep is 'best', allowed: last, or best with train.validation > 0",
        ),
        ("lr: 0.001", "lrr: 0.001", "train.lrr is not a parameter, allowed: the keys seed, epochs"),
        ("train_images: 12000", "train_images: 9", "data.drawn.train_images is 9, allowed: an integer >= 10"),
        (
            "dataset: fashion-mnist",
            "dataset: mnist",
            "data.dataset is 'mnist', allowed: fashion-mnist or drawn or idx:PATH, a folder",
        ),
        ("dataset: fashion-mnist", "dataset: 'idx:'", "data.dataset is 'idx:', allowed: fashion-mnist or"),
        ("dataset: fashion-mnist", 'dataset: "idx:a\\0b"', "data.dataset is 'idx:a\\x00b', allowed: fashion"),
        ("- http://fashion", "- ftp://fashion", "allowed: a list of one or more http(s) URLs"),
        ("embed:", "embedd:", "embedd is not a parameter, allowed: the keys data, visualize, embed"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_by_name(
    tmp_path: Path, root: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        params.load(changed(tmp_path, root, old, new))
    assert str(caught.value).startswith("params.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1, 2]",
        "train",
        "a: [",
        "\x00",
        "a: 1\na: 2",
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "a: &x [*x]",
        "a: !!int x",
        "null: 1",
        "2020-01-01: 1",
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(ParameterError, match=r"^params\.yaml: [^\n]+$"):
        params.load(path)


def test_many_faults_are_counted_and_long_values_cut(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("".join(f"k{n}: [{'1, ' * 1000}]\n" for n in range(100)))
    with pytest.raises(
        ParameterError, match=r"and 100 more$"
    ) as caught:  # of these 100 and 5 missing, 5 shown
        params.load(path)
    assert len(str(caught.value)) < 1000


def test_more_points_than_drawn_images_are_refused_before_anything_runs(tmp_path: Path, root: Path) -> None:
    text = (root / "params.yaml").read_text().replace("dataset: fashion-mnist", "dataset: drawn")
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("train_images: 12000", "train_images: 99"))
    with pytest.raises(ParameterError, match=r"embed\.points is 100, allowed: at most .* which is 99"):
        params.load(path)


@pytest.mark.parametrize("path", ["letters", "/a b/größe", "~/x", "../x:y"])
def test_a_folder_of_ones_own_is_a_data_set(tmp_path: Path, root: Path, path: str) -> None:
    written = changed(tmp_path, root, "dataset: fashion-mnist", f"dataset: idx:{path}")
    assert params.load(written).data.dataset == f"idx:{path}"


def test_no_image_left_to_train_on_is_refused_before_anything_runs(tmp_path: Path, root: Path) -> None:
    text = (root / "params.yaml").read_text().replace("dataset: fashion-mnist", "dataset: drawn")
    path = tmp_path / "params.yaml"
    for count in (1, 9, 11_991, 12_000):
        path.write_text(text.replace("validation: 0 ", f"validation: {count} "))
        with pytest.raises(
            ParameterError, match=rf"validation is {count}, allowed: 0, or 10 to 11990, which"
        ):
            params.load(path)
    for count in (10, 11_990):
        path.write_text(text.replace("validation: 0 ", f"validation: {count} "))
        assert params.load(path).train.validation == count


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"params\.yaml: cannot be read \(No such file"):
        params.load(tmp_path / "params.yaml")


def test_seed_zero_is_a_seed_and_the_largest_too(tmp_path: Path, root: Path) -> None:
    values: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text())
    for seed in (0, 2**32 - 1):
        values["train"]["seed"] = seed
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
        assert params.load(tmp_path / "params.yaml").train.seed == seed


def test_every_parameter_has_a_comment(root: Path) -> None:
    for line in (root / "params.yaml").read_text().splitlines():
        if line.startswith("  ") and not line.strip().startswith("- ") and not line.rstrip().endswith(":"):
            assert "#" in line, line


def test_no_points_and_two_are_allowed(tmp_path: Path, root: Path) -> None:
    for points in (0, 2):
        assert (
            params.load(changed(tmp_path, root, "points: 1000", f"points: {points}")).evaluate.points
            == points
        )
