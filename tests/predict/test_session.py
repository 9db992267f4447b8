"""`fashionboard predict` as a real process, with a net that was trained for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fashionboard.base import params
from fashionboard.data.dataset import CLASSES, Images
from fashionboard.network import checkpoint, compute, inference, nets
from fashionboard.predict import image
from fashionboard.sources import drawn
from fashionboard.training import loop
from tests.predict.test_image import on_page
from tests.support import rights

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))


@pytest.fixture(scope="module")
def net(root: Path) -> nets.Network:
    compute.configure("cpu", threads=1)
    trainer = loop.Trainer(nets.initial(0), params.load(root / "params.yaml").train)
    for _ in trainer.train(drawn.draw(6_000, seed=0, split="train")):
        pass
    return trainer.kept()


@pytest.fixture(scope="module")
def model(net: nets.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.safetensors"
    checkpoint.save(path, net, checkpoint.Origin("drawn", CLASSES))
    return path


@pytest.fixture(scope="module")
def garments() -> Images:
    return drawn.draw(100, seed=0, split="test")


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "predict", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )


def test_garments_on_a_light_page_come_back_with_the_right_class(net: nets.Network, garments: Images) -> None:
    converted = np.stack([image.convert(on_page(each, 40, scale=10)).pixels for each in garments.pixels])
    right = inference.log_probabilities(net, converted, 100).argmax(axis=1) == garments.labels
    # of 300 it is 0.81, of which 100 deviate by 0.04; as they are drawn, smaller and not sharpened, 0.90
    assert right.mean() >= 0.7


def test_a_line_a_picture_with_the_same_numbers_as_json(
    tmp_path: Path, model: Path, net: nets.Network, garments: Images
) -> None:
    page = on_page(garments.pixels[garments.labels == CLASSES.index("Trouser")][0], 40, scale=10)
    page.save(tmp_path / "größe.png")
    Image.fromarray(255 - np.asarray(page)).save(tmp_path / "dark.png")
    lines = [call(tmp_path, "größe.png", "dark.png", "--model", model, *also) for also in ([], ["--json"])]
    assert [(done.returncode, done.stderr) for done in lines] == [(0, "")] * 2
    light, dark = (json.loads(line) for line in lines[1].stdout.splitlines())
    converted = image.convert(page)
    probabilities = np.exp(inference.log_probabilities(net, converted.pixels[None], 1)[0])
    likeliest = np.argsort(-probabilities)[:3]
    assert CLASSES[likeliest[0]] == "Trouser"
    assert light == {
        "path": "größe.png",
        "predictions": [
            # the same net, in another process
            {"class": CLASSES[k], "probability": pytest.approx(probabilities[k], rel=1e-5)}
            for k in likeliest
        ],
        "background": "light",
        "size": [360, 360],
        "box": list(converted.box),
    }
    assert dark == {**light, "path": "dark.png", "background": "dark"}
    shown = ", ".join(f"{each['class']} {each['probability']:.1%}" for each in light["predictions"])
    left, upper, right, lower = converted.box
    size = f"{right - left} x {lower - upper} of 360 x 360 pixels"
    assert lines[0].stdout.splitlines() == [
        f"größe.png: {shown} (light background, negated; {size})",
        f"dark.png: {shown} (dark background; {size})",
    ]


def test_what_cannot_be_read_is_a_line_each_and_the_others_are_done(
    tmp_path: Path, model: Path, garments: Images
) -> None:
    on_page(garments.pixels[0], 40, scale=10).save(tmp_path / "good.png")
    Image.new("RGB", (9, 9), "white").save(tmp_path / "blank.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:-200])
    names = ["blank.png", "empty.png", "good.png", "cut.png", ".", "gone.png", "good.png"]
    done = call(tmp_path, *names, "--model", model)
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["good.png", "good.png"]
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["error", name] for name in names if name != "good.png"
    ]
    assert "blank.png: expected something on a plain background, found one colour alone" in done.stderr


@pytest.mark.slow
@rights.needed
@pytest.mark.parametrize("also", [[], ["--json"]])
def test_a_path_that_cannot_be_followed_is_a_line_and_the_others_are_done(
    tmp_path: Path, model: Path, garments: Images, also: list[str]
) -> None:
    (tmp_path / "closed").mkdir()
    for name in ("good.png", "closed/a.png", "mine.png"):
        on_page(garments.pixels[0], 40, scale=10).save(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "mine.png").chmod(0)
    (tmp_path / "closed").chmod(0)
    long = "a" * 300
    wrong = {
        long: "File name too long",
        "closed/a.png": "Permission denied",
        "mine.png": "Permission denied",
        "loop": "Too many levels of symbolic links",
        "good.png/a.png": "Not a directory",
    }
    names = ["good.png", *wrong, "good.png"]
    command = rights.without(PROGRAM, "predict", *names, "--model", str(model), *also)
    try:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2 and done.stdout.count("good.png") == 2
    assert done.stderr.splitlines() == [
        f"error: {name}: cannot be read ({reason})" for name, reason in wrong.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("also", [[], ["--json"]])
def test_a_damaged_tiff_is_one_line(tmp_path: Path, model: Path, garments: Images, also: list[str]) -> None:
    page = on_page(garments.pixels[0], 40, scale=10)
    page.save(tmp_path / "good.tif", compression="tiff_lzw")
    whole = (tmp_path / "good.tif").read_bytes()
    noise = np.random.default_rng(0).bytes(40)
    (tmp_path / "bad.tif").write_bytes(whole[:20] + noise + whole[60:])
    done = call(tmp_path, "bad.tif", "good.tif", "--model", model, *also)
    assert done.returncode == 1 and "good.tif" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line == "error: bad.tif: expected a whole picture, found a damaged one (decoder error -2)"


@pytest.mark.slow
def test_a_name_is_one_line_and_nothing_of_it_acts_on_a_terminal(tmp_path: Path, garments: Images) -> None:
    names = ["two\nlines.png", "\x1b[31mred.png", "\u202efdp.png", "می\u200cخواهم.png", "gone\n\x1b[2J"]
    for name in names[:-1]:
        on_page(garments.pixels[0], 40, scale=10).save(tmp_path / name)
    classes = ("cat\x1b]0;title\x07", "dog\nerror: fox")
    checkpoint.save(tmp_path / "model", nets.initial(0, classes=2), checkpoint.Origin("mine", classes))
    (tmp_path / "two\nlines").write_bytes(b"something else")
    (line,) = call(tmp_path, names[0], "--model", "two\nlines").stderr.splitlines()
    assert line.startswith(r"error: two\nlines: expected a safetensors file")
    text, lines = (call(tmp_path, *names, "--model", "model", *also) for also in ([], ["--json"]))
    # JSON has every name as it is
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [each["path"] for each in found] == names[:-1]
    assert {each["class"] for each in found[0]["predictions"]} == set(classes)
    shown = [r"two\nlines.png", r"\x1b[31mred.png", r"\u202efdp.png", "می\u200cخواهم.png"]
    assert [line.split(": ")[0] for line in text.stdout.splitlines()] == shown
    assert r"dog\nerror: fox" in text.stdout and r"cat\x1b]0;title\x07" in text.stdout
    for done in (text, lines):
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            r"error: gone\n\x1b[2J: expected a picture, found no such file; see where it is"
        ]


@pytest.mark.slow
def test_a_net_of_two_classes_has_two(tmp_path: Path, garments: Images) -> None:
    on_page(garments.pixels[0], 40, scale=10).save(tmp_path / "a.png")
    path = tmp_path / "models" / "net.safetensors"  # where it is looked for
    checkpoint.save(path, nets.initial(0, classes=2), checkpoint.Origin("mine", ("cat", "dog")))
    (line,) = call(tmp_path, "a.png", "--json").stdout.splitlines()
    predictions = json.loads(line)["predictions"]
    assert {each["class"] for each in predictions} == {"cat", "dog"}
    assert sum(each["probability"] for each in predictions) == pytest.approx(1, abs=1e-12)


@pytest.mark.slow
def test_a_missing_or_foreign_model_is_one_line(tmp_path: Path, garments: Images) -> None:
    on_page(garments.pixels[0], 40, scale=10).save(tmp_path / "a.png")
    (tmp_path / "foreign").write_bytes(b"something else")
    for name, reason in (
        ("models/net.safetensors", "expected a model, found no such file; name one with --model, or have "),
        ("foreign", "expected a safetensors file"),
        (".", "expected a model, found no ordinary file"),
    ):
        done = call(tmp_path, "a.png", "--model", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {name}: {reason}") and done.stderr.count("\n") == 1


@pytest.mark.slow
@rights.needed
def test_a_model_that_cannot_be_reached_is_one_line(tmp_path: Path, garments: Images) -> None:
    on_page(garments.pixels[0], 40, scale=10).save(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    for name in ("closed/model", "mine"):
        checkpoint.save(tmp_path / name, nets.initial(0), checkpoint.Origin("drawn", CLASSES))
        (tmp_path / name).chmod(0)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed").chmod(0)
    os.mkfifo(tmp_path / "pipe")
    try:
        for name, reason in (
            ("a" * 300, "the model cannot be read (File name too long)"),
            ("closed/model", "the model cannot be read (Permission denied)"),
            ("mine", "the model cannot be read (Permission denied)"),
            ("loop", "the model cannot be read (Too many levels of symbolic links)"),
            ("a.png/model", "expected a model, found no such file"),
            ("pipe", "expected a model, found no ordinary file"),
            ("a\nb", "expected a model, found no such file"),
        ):
            command = rights.without(PROGRAM, "predict", "a.png", "--model", name)
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (1, "")
            (line,) = done.stderr.splitlines()
            assert line.startswith(f"error: {name}: {reason}".replace("\n", r"\n"))
    finally:
        (tmp_path / "closed").chmod(0o755)


@pytest.mark.slow
@pytest.mark.parametrize("also", [[], ["--json"]])
def test_weights_too_large_for_a_picture_are_a_line_with_its_name_and_the_models(
    tmp_path: Path, net: nets.Network, garments: Images, also: list[str]
) -> None:
    on_page(garments.pixels[0], 40, scale=10).save(tmp_path / "a.png")
    large = nets.initial(0)
    large.load_state_dict(net.state_dict())
    torch.nn.init.constant_(large.get_parameter("fc2.bias"), 1e3)
    torch.nn.init.constant_(large.get_parameter("fc3.weight"), 1e38)
    checkpoint.save(tmp_path / "large", large, checkpoint.Origin("drawn", CLASSES))
    done = call(tmp_path, "a.png", "gone.png", "a.png", "--model", "large", *also)
    assert (done.returncode, done.stdout) == (1, "")
    first, gone, second = done.stderr.splitlines()
    assert first == second and gone.startswith("error: gone.png: expected a picture, found no such file")
    assert first.startswith("error: a.png: large: expected finite logits, found inf; ")


@pytest.mark.parametrize("arguments", [[], ["--model"], ["a.png", "--nonsense"], ["a.png", "--model", ""]])
def test_a_wrong_command_line_tells_the_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = call(tmp_path, *arguments)
    assert done.returncode == 2 and done.stderr.startswith("usage: fashionboard")


@pytest.mark.parametrize("arguments", [["a.png", "--model", "gone"], ["gone.png", "--model", "model"]])
def test_nothing_slow_is_imported_before_there_is_a_model_and_a_picture(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "model").touch()
    program = (
        "import sys\nfrom fashionboard import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code\n"
        "print(sorted({'torch', 'dvc', 'tensorboard', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, "predict", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n"
