import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from fashionboard.base.errors import ModelError
from fashionboard.base.kind import FASHION_MNIST, Kind
from fashionboard.network import checkpoint, nets
from tests.support import rights

ORIGIN = checkpoint.Origin("drawn", ("a", "b", "ü/c"))
OWN_PICTURES = Kind(64, "rgb", "crop")
KNOWN = "Net or Cnn or resnet18 or resnet34 or mobilenet_v3_small or efficientnet_b0"


@pytest.mark.parametrize("kind", [FASHION_MNIST, Kind(32, "rgb", "pad")], ids=str)
@pytest.mark.parametrize("model", nets.MODELS)
def test_the_net_comes_back_whole(tmp_path: Path, model: str, kind: Kind) -> None:
    net, saved = nets.initial(3, 3, model, kind), replace(ORIGIN, kind=kind)
    # as in a training: the statistics of a batch are no longer those at first
    net(torch.ones(2, kind.channels, kind.size, kind.size))
    checkpoint.save(tmp_path / "net.safetensors", net, saved)
    loaded, origin = checkpoint.load(tmp_path / "net.safetensors", saved)
    assert type(loaded) is type(net) and loaded.architecture == net.architecture
    assert origin == saved
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_file_says_of_itself_what_it_is(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(3, classes=3), ORIGIN)
    net, origin = checkpoint.load(tmp_path / "net")
    assert origin == ORIGIN
    expected = nets.initial(3, classes=3).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in net.state_dict().items())


def said(path: Path) -> str:
    """Return what a model's file says of itself, as it stands there."""
    with safetensors.safe_open(path, framework="pt") as file:
        (text,) = file.metadata().values()
        return str(text)


def test_a_file_tells_what_its_images_are_like_only_where_they_are_not_as_in_fashion_mnist(
    tmp_path: Path,
) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(3, classes=3), ORIGIN)
    # as before there were other images
    usual = {"architecture": "Net", "data_set": "drawn", "classes": ["a", "b", "ü/c"]}
    assert said(tmp_path / "net") == json.dumps(usual)
    net = nets.initial(3, 3, "resnet18", OWN_PICTURES)
    checkpoint.save(tmp_path / "net", net, replace(ORIGIN, kind=OWN_PICTURES))
    kind = {"size": 64, "colour": "rgb", "fit": "crop"}
    assert json.loads(said(tmp_path / "net")) == usual | {"architecture": "resnet18", "kind": kind}


@pytest.mark.slow
def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from fashionboard.network import checkpoint, nets;"
        "origin = checkpoint.Origin('x', tuple('abcdefghij'));"
        "checkpoint.save(pathlib.Path(sys.argv[1]), nets.initial(0), origin)"
    )
    written = set()
    for seed in ("1", "2", "3"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
        subprocess.run([sys.executable, "-c", program, tmp_path / seed], check=True, env=environment)
        written.add((tmp_path / seed).read_bytes())
    assert len(written) == 1


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere: the model cannot be read .*dvc repro train"):
        checkpoint.load(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100])
def test_what_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ModelError, match="expected a safetensors file"):
        checkpoint.load(tmp_path / "net")


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(0, 3), ORIGIN)
    (tmp_path / "net").write_bytes((tmp_path / "net").read_bytes()[:-1])
    with pytest.raises(ModelError, match="expected a safetensors file"):
        checkpoint.load(tmp_path / "net")


def test_a_model_of_another_data_set_is_refused_where_that_matters(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(0, 3), ORIGIN)
    with pytest.raises(
        ModelError, match="expected a model of real with 3 classes, found one of drawn with 3; run"
    ):
        checkpoint.load(tmp_path / "net", checkpoint.Origin("real", ORIGIN.classes))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (Kind(64, "rgb", "crop"), "64 x 64 rgb (crop)"),
        (Kind(28, "grey", "pad"), "28 x 28 grey (pad)"),
    ],
)
def test_a_model_for_other_images_is_refused_where_that_matters(
    tmp_path: Path, kind: Kind, shown: str
) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(0, 3), ORIGIN)
    expected = (
        f"expected a model of drawn with 3 classes, {shown}, found one of drawn with 3, "
        "28 x 28 grey (garment); run `dvc repro`"
    )
    with pytest.raises(ModelError, match=re.escape(expected)):
        checkpoint.load(tmp_path / "net", replace(ORIGIN, kind=kind))


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "net")
    with pytest.raises(ModelError, match=rf"expected weights of {KNOWN} saved by .*, found none;"):
        checkpoint.load(tmp_path / "net")


@pytest.mark.parametrize("name", ["Transformer", "two\nlines", 7, ["Net"]])
def test_a_network_that_is_not_known_is_refused(tmp_path: Path, name: object) -> None:
    about = json.dumps({"architecture": name, "data_set": "drawn", "classes": ["a"]})
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "net", {"fashionboard": about})
    expected = f"expected weights of {KNOWN}, found those of {name}, which this version's MODELS"
    with pytest.raises(ModelError, match=re.escape(expected)):
        checkpoint.load(tmp_path / "net")


TEN = [f"class {number}" for number in range(10)]
NESTED = "[" * 100_000 + "]" * 100_000


def described(path: Path, about: object) -> Path:
    """Write the weights of a net of ten classes, with something said of them; a text is taken as it is."""
    text = about if isinstance(about, str) else json.dumps(about)
    safetensors.torch.save_file(nets.initial(0).state_dict(), path, {"fashionboard": text})
    return path


def about(**changes: object) -> dict[str, object]:
    return {"architecture": "Net", "data_set": "drawn", "classes": TEN, **changes}


@pytest.mark.parametrize(
    "wrong",
    [
        *([], [{}], ["a"] * 10, list(range(10)), [[]] * 10, [None] * 10, [*TEN[:9], 1], [*TEN[:9], ""]),
        *({}, dict.fromkeys(TEN, 0), "abcdefghij", None, 10, True),
    ],
)
def test_classes_that_are_no_list_of_different_names_are_refused(tmp_path: Path, wrong: object) -> None:
    path = described(tmp_path / "net", about(classes=wrong))
    expected = r"net: expected a data set's name and a list of different classes in it, found others; run "
    with pytest.raises(ModelError, match=expected) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 1, "", ["drawn"], {"name": "drawn"}])
def test_a_data_set_that_is_no_name_is_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ModelError, match="net: expected a data set's name and a list of different classes"):
        checkpoint.load(described(tmp_path / "net", about(data_set=wrong)))


KIND: dict[str, object] = {"size": 28, "colour": "grey", "fit": "garment"}


@pytest.mark.parametrize(
    "wrong",
    [
        *(None, [], {}, "28", 28, [28, "grey", "garment"], {**KIND, "more": 1}, {"size": 28}),
        *({**KIND, "size": size} for size in (27, 225, -28, 0, 10**9, 28.0, "28", True, None, [28])),
        *({**KIND, "colour": colour} for colour in ("", "RGB", "cmyk", 3, None, ["rgb"], {"rgb": 1})),
        *({**KIND, "fit": fit} for fit in ("", "none", 0, None, ["crop"], {"crop": 1})),
        # predict makes garments of 28 x 28 grey pixels alone
        *({**KIND, **other} for other in ({"size": 32}, {"colour": "rgb"})),
    ],
)
def test_images_that_there_are_not_are_refused(tmp_path: Path, wrong: object) -> None:
    path = described(tmp_path / "net", about(kind=wrong))
    expected = (
        "net: expected a model of images of 28 to 224 pixels an edge, grey or rgb, garment or crop or pad or "
        "stretch, found one of others; run "
    )
    with pytest.raises(ModelError, match=re.escape(expected)) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changed", [{"size": 224}, {"colour": "rgb"}])
def test_images_that_the_weights_are_not_for_are_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    path = described(tmp_path / "net", about(kind=KIND | {"fit": "crop"} | changed))
    with pytest.raises(ModelError, match="its tensors are not such as Net has"):
        checkpoint.load(path)


def test_how_its_pictures_were_made_square_is_part_of_a_model(tmp_path: Path) -> None:
    _, origin = checkpoint.load(described(tmp_path / "net", about(kind=KIND | {"fit": "pad"})))
    assert origin.kind == Kind(28, "grey", "pad")


def test_the_advice_in_an_error_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"garbage")
    wrong = [described(tmp_path / str(each), about(**{each: 7})) for each in ("data_set", "classes", "kind")]
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "foreign")
    (tmp_path / "short").mkdir()
    missing = described(tmp_path / "missing", about(classes=["a"]))
    for path in (
        tmp_path / "no",
        tmp_path / "garbage",
        tmp_path / "foreign",
        tmp_path / "short",
        missing,
        *wrong,
    ):
        with pytest.raises(ModelError, match=r"; do this$"):
            checkpoint.load(path, advice="do this")


@pytest.mark.parametrize("missing", ["data_set", "classes"])
def test_what_is_not_said_is_refused(tmp_path: Path, missing: str) -> None:
    wrong = {key: value for key, value in about().items() if key != missing}
    with pytest.raises(ModelError, match="net: expected a data set's name and a list of different classes"):
        checkpoint.load(described(tmp_path / "net", wrong))


@pytest.mark.parametrize(
    "wrong", [NESTED, json.dumps(about(classes=0)).replace("0", NESTED), "", "nonsense", "NaN", "9" * 5000]
)
def test_what_is_no_description_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ModelError, match=r"net: expected .*; run `dvc repro train`") as caught:
        checkpoint.load(described(tmp_path / "net", wrong))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("name", [NESTED, '"' + "x" * 100_000 + '"'])
def test_a_long_name_of_a_network_is_shortened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"net: expected") as caught:
        checkpoint.load(described(tmp_path / "net", json.dumps(about(architecture=0)).replace("0", name, 1)))
    assert len(str(caught.value)) < 600


def test_a_count_of_classes_that_the_weights_do_not_have_is_refused(tmp_path: Path) -> None:
    for count in (1, 9, 11, 100_000):
        path = described(tmp_path / "net", about(classes=[str(each) for each in range(count)]))
        with pytest.raises(ModelError, match="its tensors are not such as Net has"):
            checkpoint.load(path)


@pytest.mark.slow
@rights.needed
def test_a_model_without_permission_is_said_to_be_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(0, 3), ORIGIN)
    (tmp_path / "net").chmod(0)
    program = (
        "import sys, pathlib; from fashionboard.base import errors;"
        "from fashionboard.network import checkpoint;"
        "errors.run(lambda: checkpoint.load(pathlib.Path(sys.argv[1])))"
    )
    command = rights.without(sys.executable, "-c", program, str(tmp_path / "net"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/net: the model cannot be read (Permission denied); ")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    net = nets.initial(0, 3)
    torch.nn.init.constant_(net.get_parameter("fc1.bias"), float("nan"))
    checkpoint.save(tmp_path / "net", net, ORIGIN)
    with pytest.raises(ModelError, match="finite"):
        checkpoint.load(tmp_path / "net")


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    net = nets.initial(0, 3, model="cnn")
    net.get_buffer("block2.norm.running_var")[5] = -1
    checkpoint.save(tmp_path / "net", net, ORIGIN)
    with pytest.raises(ModelError, match="its tensors are not such as Cnn has"):
        checkpoint.load(tmp_path / "net")


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", nets.initial(0, 4), ORIGIN)
    with pytest.raises(ModelError, match="its tensors are not such as Net has"):
        checkpoint.load(tmp_path / "net")
