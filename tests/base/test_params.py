import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from dvc_data.hashfile.meta import Meta

from fashionboard.base import errors, params
from fashionboard.base.errors import ParameterError
from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.base.yamltext import flat


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
    assert (train.schedule, train.augment, train.validation, train.keep) == ("constant", (), 0, "last")
    assert train.label_smoothing == 0 and params.load(root / "params.yaml").evaluate.augment == "none"


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
        ("none # none | flip-shift", "cutout # ", "train.augment is 'cutout', allowed: none, or flip-shift,"),
        ("none # none | flip-shift", "# ", "train.augment is None, allowed: none, or flip-shift, crop-flip"),
        ("none # none | flip-shift", "[erase, none] # ", "train.augment is ['erase', 'none'], allowed: none"),
        ("none # none | flip-shift", "[erase, erase] # ", "or a list of some of these, each once"),
        ("none # none | flip-shift", "[[erase]] # ", "train.augment is [['erase']], allowed: none, or"),
        ("  augment: none # none | flip-shift", "  # ", "train.augment is missing, allowed: none, or flip-"),
        ("start: models/README.md", "start:", "train.start is None, allowed: a path from the repository's"),
        ("smoothing: 0", "smoothing: 1", "train.label_smoothing is 1, allowed: a number >= 0 and < 1"),
        ("none # none | flip ", "shift # ", "evaluate.augment is 'shift', allowed: none or flip or flip-"),
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
            "data.dataset is 'mnist', allowed: fashion-mnist or drawn, or folder or idx with data.path",
        ),
        ("dataset: fashion-mnist", "dataset: idx:a", "data.dataset is 'idx:a', allowed: fashion-mnist or"),
        ("path: data/README.md", "path: ''", "data.path is '', allowed: a path from the repository's root"),
        ("path: data/README.md", 'path: "a\\0b"', "data.path is 'a\\x00b', allowed: a path from the"),
        ("image_size: 28", "image_size: 27", "data.image_size is 27, allowed: an integer >= 28 and <= 224"),
        ("image_size: 28", "image_size: 225", "data.image_size is 225, allowed: an integer >= 28 and <= 224"),
        (
            "image_size: 28",
            "image_size: 64",
            "data.image_size is 64 and data.colour is 'grey', allowed with data.dataset 'fashion-mnist': 28",
        ),
        (
            "colour: grey",
            "colour: rgb",
            "data.image_size is 28 and data.colour is 'rgb', allowed with data.dataset",
        ),
        ("colour: grey", "colour: color", "data.colour is 'color', allowed: grey or rgb"),
        ("fit: crop", "fit: garment", "data.fit is 'garment', allowed: crop or pad or stretch"),
        ("test_share: 0.2", "test_share: 1", "data.test_share is 1, allowed: a number > 0 and < 1"),
        ("unreadable: refuse", "unreadable: hide", "data.unreadable is 'hide', allowed: refuse or skip"),
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


@pytest.mark.slow
def test_many_faults_are_counted_and_long_values_cut(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("".join(f"k{n}: [{'1, ' * 1000}]\n" for n in range(100)))
    with pytest.raises(
        ParameterError, match=r"and 100 more$"
    ) as caught:  # of these 100 and 5 missing, 5 shown
        params.load(path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("path", ["letters", "/a b/größe", "../x:y"])
@pytest.mark.parametrize(
    ("dataset", "size", "colour", "kind"),
    [
        ("idx", 28, "grey", FASHION_MNIST),
        ("idx", 28, "rgb", Kind(28, "rgb", "crop")),
        ("folder", 28, "grey", Kind(28, "grey", "crop")),
        ("folder", 224, "rgb", Kind(224, "rgb", "crop")),
    ],
)
def test_a_folder_of_ones_own_is_a_data_set(
    tmp_path: Path, root: Path, path: str, dataset: str, size: int, colour: str, kind: Kind
) -> None:
    text = (root / "params.yaml").read_text().replace("dataset: fashion-mnist", f"dataset: {dataset}")
    text = text.replace("path: data/README.md", f"path: {path}")
    text = text.replace("image_size: 28", f"image_size: {size}")
    (tmp_path / "params.yaml").write_text(text.replace("colour: grey", f"colour: {colour}"))
    data = params.load(tmp_path / "params.yaml").data
    assert (data.dataset, data.path, data.kind) == (dataset, path, kind)


def test_no_parameter_has_a_name_that_the_key_of_dvcs_run_cache_leaves_out(root: Path) -> None:
    # else another value would bring back the outputs of the first one
    names = flat(yaml.safe_load((root / "params.yaml").read_text()))
    assert names and not {part for name in names for part in name.split(".")} & {
        Meta.PARAM_SIZE,
        Meta.PARAM_NFILES,
    }


@pytest.mark.parametrize(
    ("written", "names"),
    [("none", ()), ("erase", ("erase",)), ("[]", ()), ("[randaugment, erase]", ("randaugment", "erase"))],
)
def test_what_is_done_to_images_is_a_name_or_a_list(
    tmp_path: Path, root: Path, written: str, names: tuple[str, ...]
) -> None:
    path = changed(tmp_path, root, "augment: none # none | flip-shift", f"augment: {written} #")
    assert params.load(path).train.augment == names


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


# what one YAML may read and another one refuse, or read otherwise
TEXTS = [
    *("a:\t1\n", "a: 1\t# x\n", "a: 1\x85b: 2\n", "a: 1\u2028b: 2\n", "a: 1\u2029b: 2\n", "a: 1\rb: 2\n"),
    *("\ufeffa: 1\n", "\ufeff\ufeffa: 1\n", "a: [x:1, b]\n", 'a: "\\ud800"\n', "a: \x07\n", "\0"),
    *("%YAML 1.1\n---\na: yes\nb: 010\nc: 1:30\n", "%YAML 1.2\n---\na: yes\n", "%YAML 1.3\n---\na: 1\n"),
    *("a: 1e-05\nb: 1e5\nc: 0o10\nd: 010\ne: 1_000\nf: 1:30\ng: on\nh: .5\ni: ~\nj: .inf\nk: 0b1\n",),
    *("a: 0x" + "f" * 5000, "a: " + "9" * 5000, "a: 1e999", "a: 2001-01-01", "a: 2001-99-99", "a: !!int x"),
    *("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", "a: 1\na: 2\n", "a: {<<: 1}\n", "a: &x [*x]\n", "a: *x\n"),
    *("a: !!set {x, y}\n", "a: !!omap [b: 1]\n", "a: !!binary aGk=\n", "a: !b 1\n", "a: 1\n---\nb: 2\n"),
    *(
        "",
        "false",
        "0",
        "''",
        "[1]",
        "null: 1",
        "[1, 2]: 3\n",
        "{a: 1}: 3\n",
        "a: !!bool x",
        "%YAML 1\n---\na: 1\n",
    ),
]
PIECES = [
    *(
        "\t",
        "\n",
        " ",
        "  ",
        "\x85",
        "\u2028",
        "\ufeff",
        "\xa0",
        "\u200b",
        "ü",
        "\0",
        "\r",
        "\\",
        "'",
        '"',
        "#",
        " #",
    ),
    *(
        ":",
        ": ",
        "-",
        "- ",
        "?",
        ",",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "!!str ",
        "!!float ",
        "|",
        ">",
    ),
    *(
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "~",
        "yes",
        "0x1f",
        "0o17",
        "1e-05",
        "1_0",
        ".5",
        ".nan",
        "2001-01-01",
        "=",
        "@",
    ),
]


def told(read: Callable[[Path], Any], path: Path) -> str:
    """Return what a reader makes of a file: its values as code, so that nan is equal to nan."""
    try:
        return repr(read(path))
    except Exception as error:
        # 5,000 digits are read where they are hexadecimal, but not shown
        return "too long to show" if "integer string conversion" in str(error) else "refused"


def mutated(text: str, number: int) -> str:
    """Return a text with one to four pieces inserted, taken out or overwritten, drawn from `number`."""
    chance = random.Random(number)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = start + chance.choice([0, 0, 1, 3, chance.randrange(40)])
        text = text[:start] + chance.choice(["", *PIECES]) + text[end:]
    return text


def test_params_yaml_is_read_as_dvc_reads_it(tmp_path: Path, root: Path) -> None:
    path, whole = tmp_path / "params.yaml", (root / "params.yaml").read_text()
    verdicts = []
    for text in [*TEXTS, whole, *(mutated(whole, number) for number in range(300))]:
        path.write_bytes(text.encode())
        verdicts.append(told(load_yaml, path))
        assert told(params.read, path) == verdicts[-1], text
    # neither is all refused nor is all read
    assert 100 < verdicts.count("refused") < 300


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_in_params_yaml_it_is_read_or_refused_in_a_line_of_readable_length(
    tmp_path: Path, root: Path, seed: int
) -> None:
    path, whole = tmp_path / "params.yaml", (root / "params.yaml").read_text()
    lines = []
    for number in range(100):
        path.write_bytes(mutated(whole, 1000 + 100 * seed + number).encode())
        try:
            params.load(path)
        except ParameterError as error:
            lines.append(errors.line(error))
    assert 50 < len(lines) < 100
    assert max(map(len, lines)) < 1500


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr: 0.001", "lr:\t0.001"),
        ("lr: 0.001", "lr: 0.001\t"),
        (" # CPU threads, 1 to 256\n", "\x85"),
        (" # CPU threads, 1 to 256\n", "\u2028"),
        ("# Every parameter", "\ufeff\ufeff# Every parameter"),
    ],
)
def test_what_dvc_reads_is_no_fault(tmp_path: Path, root: Path, old: str, new: str) -> None:
    assert params.load(changed(tmp_path, root, old, new)) == params.load(root / "params.yaml")


def test_an_integer_of_thousands_of_digits_is_refused_by_name(tmp_path: Path, root: Path) -> None:
    digits = "f" * 5000
    path = changed(tmp_path, root, "lr: 0.001", f"lr: 0x{digits}")
    with pytest.raises(ParameterError, match=r"^params\.yaml: train\.lr is 0xf{18}\.\.\., allowed: a number"):
        params.load(path)
    path = changed(
        tmp_path, root, "dataset: fashion-mnist", f"dataset: [0x{digits}, [1, {{a: -0x{digits}}}]]"
    )
    with pytest.raises(
        ParameterError, match=r"data\.dataset is \[0xf{18}\.\.\., \[1, \{\.\.\.\}\]\], allowed: fashion"
    ):
        params.load(path)


@pytest.mark.parametrize("directive", ["%YAML 1.3", "%YAML 1.10", "%YAML 2.0", "%YAML 1", "%FOO"])
def test_another_yaml_is_refused_as_dvc_does(tmp_path: Path, root: Path, directive: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"{directive}\n---\n{(root / 'params.yaml').read_text()}")
    if told(load_yaml, path) != "refused":
        assert params.load(path) == params.load(root / "params.yaml")
    else:
        with pytest.raises(ParameterError, match=r"^params\.yaml: not valid YAML: "):
            params.load(path)


def grown(levels: int) -> str:
    """Return lists of lists, each of six aliases to the one before: 6 to the power of `levels` values."""
    lists = ["&a0 [x, x, x, x, x, x]"]
    lists += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 6)}]" for n in range(1, levels)]
    return f"[{', '.join(lists)}]"


def test_aliases_make_no_long_line(tmp_path: Path, root: Path) -> None:
    path = changed(tmp_path, root, "lr: 0.001", f"lr: {grown(7)}")
    with pytest.raises(ParameterError, match=r"train\.lr is \[\[.*\.\.\.\], allowed: a number") as caught:
        params.load(path)
    assert len(str(caught.value)) < 200
    with pytest.raises(
        ParameterError, match=r"200 levels and 1,000,000 values, found more; write it plainer$"
    ):
        params.load(changed(tmp_path, root, "lr: 0.001", f"lr: {grown(20)}"))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("l\u200br", r"train.'l\u200br' is not"),
        ("lr\u200d", r"train.'lr\u200d' is not"),
        ("lr\xa0", r"train.'lr\xa0' is not"),
        ("lr ", "train.'lr ' is not"),
        ("größe", "train.'größe' is not"),
        ("k" * 100_000, "train.'kkkkkkkkkkkk...kkkkkkkkkkkkk' is not"),
        ("k" * 40, "train." + "k" * 40 + " is not"),
    ],
)
def test_a_key_is_shown_with_what_is_not_seen_and_not_whole_if_it_is_long(
    tmp_path: Path, root: Path, key: str, shown: str
) -> None:
    text = (root / "params.yaml").read_text().replace("  lr: 0.001", f'  ? "{key}"\n  : 0.001')
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError) as caught:
        params.load(path)
    assert f"{shown} a parameter, allowed: the keys seed" in errors.line(caught.value)
    assert len(str(caught.value)) < 400


def test_yamls_own_words_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"a: !!bool {'x' * 100_000}")
    with pytest.raises(ParameterError, match=r"^params\.yaml: not valid YAML: 'x{299} \.\.\.$"):
        params.load(path)
