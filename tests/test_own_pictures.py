"""The five stages under a real DVC, and predict, on folders of scikit-learn's digits and of colour shapes."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fashionboard.base.kind import Kind
from fashionboard.data import dataset
from fashionboard.network import checkpoint, inference
from tests.support import shapes
from tests.support.repository import Repository, stages_run

pytestmark = pytest.mark.slow

PROGRAM = str(Path(sys.executable).with_name("fashionboard"))
ALL = ["download", "visualize", "embed", "train", "evaluate"]
SHAPES = ("circle", "square", "triangle")
COLOUR = Kind(40, "rgb", "pad")
DIGITS = tuple("0123456789")
GREY = Kind(28, "grey", "stretch")


@pytest.fixture(scope="module")
def coloured(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, str]:
    """A repository after `dvc repro` on `shapes`, a folder that DVC tracks; and what that printed."""
    repository = Repository.create(tmp_path_factory.mktemp("shapes") / "r", root)
    shapes.write(repository.path / "shapes", SHAPES, each=60)
    repository.dvc("add", "-q", "shapes")
    repository.set(
        {
            "data.dataset": "folder",
            "data.path": "shapes",
            "data.image_size": COLOUR.size,
            "data.colour": COLOUR.colour,
            "data.fit": COLOUR.fit,
            "data.test_share": 0.25,
            "train.model": "cnn",
            "train.optimizer": "adamw",
            "train.batch_size": 16,
            "train.epochs": 8,
        }
    )
    printed = repository.dvc("repro")
    repository.git("commit", "-qam", "shapes in colour")
    return repository, printed


@pytest.fixture(scope="module")
def grey(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository after `dvc repro` on digits of 8 x 8 pixels, in folders to train and to test."""
    repository = Repository.create(tmp_path_factory.mktemp("digits") / "r", root)
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = repository.path / "digits" / ("test" if number % 4 == 3 else "train") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(folder / f"{number:04}.png")
    repository.set(
        {
            "data.dataset": "folder",
            "data.path": "digits",
            "data.fit": GREY.fit,
            "train.lr": 0.01,
            "train.epochs": 2,
        }
    )
    repository.dvc("repro")
    return repository


def events(repository: Repository, stage: str) -> EventAccumulator:
    return EventAccumulator(str(repository.path / "runs" / stage), size_guidance={"tensors": 0}).Reload()


def numbers(repository: Repository) -> dict[str, float]:
    found: dict[str, float] = json.loads((repository.path / "metrics" / "evaluate.json").read_text())
    return found


def predicted(repository: Repository, *pictures: Path) -> list[str]:
    """Return the likeliest class of each picture, as `fashionboard predict` tells it."""
    printed = repository.run(PROGRAM, "predict", *map(str, pictures), "--json").stdout
    told = [json.loads(line) for line in printed.splitlines()]
    return [each["predictions"][0]["class"] for each in told]


def test_shapes_in_colour_go_through_all_stages(coloured: tuple[Repository, str]) -> None:
    repository, printed = coloured
    assert stages_run(printed) == ALL
    about = dataset.describe(repository.path / "data/raw")
    assert (about.name, about.classes, about.kind) == ("folder:shapes", SHAPES, COLOUR)
    test = dataset.load(repository.path / "data/raw", "test")
    assert test.pixels.shape == (45, 40, 40, 3) and np.bincount(test.labels).tolist() == [15] * 3
    net, origin = checkpoint.load(repository.path / "models/net.safetensors")
    assert origin == checkpoint.Origin("folder:shapes", SHAPES, COLOUR)
    assert numbers(repository)["accuracy"] >= 0.8
    likeliest = inference.log_probabilities(net, test.pixels, 45).argmax(axis=1)
    (balanced,) = events(repository, "evaluate").Scalars("balanced accuracy")
    assert balanced.value == pytest.approx(balanced_accuracy_score(test.labels, likeliest))
    assert repository.git("status", "--porcelain") == ""
    assert stages_run(repository.dvc("repro")) == []


def test_what_tensorboard_shows_of_them_is_in_colour(coloured: tuple[Repository, str]) -> None:
    repository, _ = coloured
    (four,) = events(repository, "visualize").Images("four_images")
    picture = Image.open(io.BytesIO(four.encoded_image_string))
    assert (picture.mode, picture.size) == ("RGB", (4 * 42 + 2, 44))
    with Image.open(repository.path / "runs/embed/images/sprite.png") as sprite:
        assert (sprite.mode, sprite.size) == ("RGB", (400, 400))
        first = np.asarray(sprite)[:40, :40]
    pixels = dataset.load(repository.path / "data/raw", "train").pixels
    assert any((first == each).all() for each in pixels)


def test_predict_prepares_a_picture_as_the_folder_was(coloured: tuple[Repository, str]) -> None:
    repository, _ = coloured
    pictures = sorted((repository.path / "shapes").glob("*/*"))
    right = np.mean(
        [
            path.parent.name == name
            for path, name in zip(pictures, predicted(repository, *pictures), strict=True)
        ]
    )
    assert right >= 0.8
    printed = repository.run(PROGRAM, "predict", str(pictures[0])).stdout
    with Image.open(pictures[0]) as picture:
        width, height = picture.size
    assert printed.endswith(f"({width} x {height} pixels padded to 40 x 40, in colour)\n")


def test_a_picture_that_is_changed_added_or_removed_is_noticed(
    coloured: tuple[Repository, str], tmp_path: Path
) -> None:
    repository = coloured[0].clone(tmp_path / "clone")
    repository.dvc("checkout", "-q")
    assert stages_run(repository.dvc("repro")) == []
    folder = repository.path / "shapes" / "circle"
    shutil.copy(repository.path / "shapes" / "square" / "0000.png", folder / "0000.png")
    assert "download" in stages_run(repository.dvc("repro", "download"))
    (folder / "0001.png").unlink()
    assert stages_run(repository.dvc("repro", "download")) == ["download"]
    shutil.copy(repository.path / "shapes" / "square" / "0001.png", folder / "new.png")
    assert stages_run(repository.dvc("repro", "download")) == ["download"]
    assert stages_run(repository.dvc("repro", "download")) == []


def test_the_same_folder_gives_the_same_bytes_elsewhere(
    coloured: tuple[Repository, str], tmp_path: Path
) -> None:
    repository = coloured[0].clone(tmp_path / "clone", cache="copy")
    repository.dvc("checkout", "-q", "shapes.dvc")
    repository.dvc("repro", "-f", "-s", "download")
    assert repository.git("status", "--porcelain") == ""


def test_a_folder_that_dvc_tracks_can_be_verified(coloured: tuple[Repository, str]) -> None:
    done = coloured[0].run(PROGRAM, "verify", check=False)
    assert done.returncode == 0, done.stdout


def test_an_experiment_in_a_copy_takes_a_net_of_torchvision_and_goes_on_from_a_model(
    coloured: tuple[Repository, str], tmp_path: Path
) -> None:
    repository = coloured[0].clone(tmp_path / "clone")
    repository.dvc("checkout", "-q")
    changes = [
        "train.model=mobilenet_v3_small",
        "train.epochs=1",
        "train.augment=[crop-flip,randaugment,erase]",
    ]
    options = [each for change in changes for each in ("-S", change)]
    printed = repository.dvc("exp", "run", "--temp", "-n", "first", *options)
    assert stages_run(printed) == ["train", "evaluate"]
    repository.dvc("exp", "apply", "-q", "first")
    net, _ = checkpoint.load(repository.path / "models/net.safetensors")
    assert net.architecture == "mobilenet_v3_small"
    shutil.copy(repository.path / "models/net.safetensors", repository.path / "models/start.safetensors")
    repository.dvc("add", "-q", "models/start.safetensors")
    printed = repository.dvc(
        "exp", "run", "--temp", "-n", "second", "-S", "train.start=models/start.safetensors"
    )
    assert stages_run(printed) == ["train", "evaluate"]


def test_digits_of_eight_pixels_go_through_all_stages(grey: Repository) -> None:
    about = dataset.describe(grey.path / "data/raw")
    assert (about.name, about.classes, about.kind) == ("folder:digits", DIGITS, GREY)
    assert about.originals == "all of 8 x 8 pixels"
    test = dataset.load(grey.path / "data/raw", "test")
    assert test.pixels.shape == (len(load_digits().target) // 4, 28, 28)
    assert numbers(grey)["accuracy"] >= 0.85
    pictures = sorted((grey.path / "digits" / "test").glob("*/*.png"))[::10]
    right = [
        path.parent.name == name for path, name in zip(pictures, predicted(grey, *pictures), strict=True)
    ]
    assert np.mean(right) >= 0.8


def test_files_that_are_no_pictures_are_a_line_each_and_leave_nothing(
    grey: Repository, tmp_path: Path
) -> None:
    repository = grey.clone(tmp_path / "clone")
    shapes.write(repository.path / "some", ("a", "b"), each=4)
    for number in range(3):
        (repository.path / "some" / "a" / f"{number}.txt").write_text("no picture")
    repository.set({"data.dataset": "folder", "data.path": "some"})
    done = repository.run("dvc", "repro", "download", check=False)
    assert done.returncode != 0 and "Traceback" not in done.stdout
    for number in range(3):
        assert done.stdout.count(f"some/a/{number}.txt: expected a picture that Pillow opens") == 1
    (found,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "3 of 11 files" in found and "data.unreadable: skip" in found
    assert not list((repository.path / "data").rglob("*-ubyte"))
    repository.set({"data.unreadable": "skip"})
    repository.dvc("repro", "download")
    assert len(dataset.load(repository.path / "data/raw", "train")) == 6
