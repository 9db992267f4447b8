import gzip
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fashionboard.base.errors import DataError
from fashionboard.base.kind import FASHION_MNIST, Colour, Kind
from fashionboard.data import idx
from fashionboard.sources import idx_files
from tests.support import folders

NAMES = ("cat", "dog/wolf", "Größe, 2")
TRAIN, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return folders.write(tmp_path / "pets", NAMES)


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_is_read(tmp_path: Path, packed: bool) -> None:
    about, splits = idx_files.read(folders.write(tmp_path / "pets", NAMES, packed=packed), FASHION_MNIST)
    assert about.classes == NAMES
    assert about.name == "idx:pets"
    assert "pets" in about.title
    assert all("user's own" in text for text in (about.title, about.source, about.licence))
    assert str(tmp_path) not in repr(about)
    for split, each, seed in (("train", 10, 1), ("test", 5, 2)):
        expected = folders.images(3, each, seed)
        assert np.array_equal(splits[split].pixels, expected.pixels)  # type: ignore[index]
        assert np.array_equal(splits[split].labels, expected.labels)  # type: ignore[index]


@pytest.mark.parametrize("name", ["classes.txt", TRAIN])
def test_files_that_are_changed_meanwhile_are_refused(
    pets: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = idx.read

    def read_and_change(path: Path, advice: str) -> npt.NDArray[np.uint8]:
        (pets / name).touch()
        return read(path, advice)

    monkeypatch.setattr(idx, "read", read_and_change)
    with pytest.raises(DataError, match="expected files that stay as they are while they are read"):
        idx_files.read(pets, FASHION_MNIST)


@pytest.mark.parametrize("count", [2, 100])
def test_two_to_a_hundred_classes(tmp_path: Path, count: int) -> None:
    about, _ = idx_files.read(
        folders.write(tmp_path / "some", [f"class {k}" for k in range(count)], each=2), FASHION_MNIST
    )
    assert len(about.classes) == count


@pytest.mark.parametrize("text", ["cat\r\ndog\r\nfox\r\n", "\ufeffcat\ndog\nfox", " cat\ndog \nfox\n\n\n"])
def test_every_way_to_end_a_line(pets: Path, text: str) -> None:
    (pets / "classes.txt").write_bytes(text.encode())
    assert idx_files.read(pets, FASHION_MNIST)[0].classes == ("cat", "dog", "fox")


# with a zero-width non-joiner, as Persian is written; with joiners, as some emoji are; with a no-break space
WRITTEN = ("می\u200cخواهم", "👩\u200d🚀", "New\u00a0York", "❤\ufe0f", "猫", "a\u3000b")


def test_names_as_people_write_them_are_taken(tmp_path: Path) -> None:
    for folder in ("نیم\u200cفاصله", "👩\u200d🚀", "New\u00a0York"):
        about, _ = idx_files.read(folders.write(tmp_path / folder, WRITTEN, each=2), FASHION_MNIST)
        assert about.classes == WRITTEN
        assert about.name == f"idx:{folder}" and about.title.startswith(folder)


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        idx_files.read(folder, FASHION_MNIST)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "<folder>")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected 2 to 100 lines, found 1"),
        (b"cat\n", "expected 2 to 100 lines, found 1"),
        (b"x\n" * 101, "expected 2 to 100 lines, found 101"),
        (b"cat\n\ndog\n", "expected a name without tabs and the like, other than macro in line 2, found ''"),
        (b"cat\nd\tg\nfox\n", "in line 2, found 'd\\tg'"),
        (b"cat\ndog\nf\x00x\n", "in line 3, found 'f\\x00x'"),
        ("cat\ndog\nf\u2028x\n".encode(), "in line 3, found 'f\\u2028x'"),
        *(
            (f"cat\nd{code}g\nfox\n".encode(), f"in line 2, found {f'd{code}g'!r}")
            for code in "\x1b\x7f\x85\u200b\u200e\u200f\u202e\u2029\u2066\ufeff\U000e0041"
        ),
        # only what is not seen
        ("cat\n\u200c\nfox\n".encode(), "in line 2, found '\\u200c'"),
        ("cat\n\u200d\u00a0\u200c\nfox\n".encode(), "in line 2, found '\\u200d\\xa0\\u200c'"),
        (b"cat\nmacro\nfox\n", "in line 2, found 'macro'"),
        (b"cat\ndog\ncat \n", "expected each name once, found 'cat' 2 times"),
        (b"\xff\xfec\0a\0t\0\n\0", "expected UTF-8, found something else"),
    ],
)
def test_names_that_cannot_be_used(pets: Path, content: bytes, message: str) -> None:
    (pets / "classes.txt").write_bytes(content)
    said = refusal(pets)
    assert said.startswith("classes.txt: ") and message in said
    assert said.endswith("; mend it and run `dvc repro`")


def test_missing_files(pets: Path) -> None:
    (pets / TRAIN).unlink()
    assert refusal(pets) == f"{TRAIN}: expected it or {TRAIN}.gz, found neither; put one there"
    (pets / "classes.txt").unlink()
    assert refusal(pets) == (
        "classes.txt: cannot be read (No such file or directory); write a class a line there"
    )


def test_a_file_that_is_there_twice(pets: Path) -> None:
    (pets / f"{LABELS}.gz").write_bytes(gzip.compress((pets / LABELS).read_bytes()))
    assert refusal(pets) == f"{LABELS}: expected it either plain or as .gz, found both; remove one"


def zeros(*shape: int) -> bytes:
    return idx.encode(np.zeros(shape, np.uint8))


def labels(values: list[int]) -> bytes:
    return idx.encode(np.array(values, np.uint8))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (TRAIN, b"garbage", "expected an IDX file of unsigned bytes (00 00 08), found 67 61 72; mend it"),
        (TRAIN, zeros(30, 32, 32), "expected images (n, 28, 28), n > 0, found (30, 32, 32)"),
        (TRAIN, zeros(0, 28, 28), "expected images (n, 28, 28), n > 0, found (0, 28, 28)"),
        (TRAIN, zeros(784), "expected images (n, 28, 28), n > 0, found (784,)"),
        (TRAIN, zeros(30, 28, 28)[:-1], "expected 23,536 bytes for shape (30, 28, 28)"),
        (LABELS, labels([0, 1, 2] * 9), "expected a label for each of 30 images, found (27,)"),
        (LABELS, zeros(30, 1), "expected a label for each of 30 images, found (30, 1)"),
        (LABELS, labels([0, 1, 3] * 10), "expected labels below 3, found 3"),
        (LABELS, labels([0, 2] * 15), "expected at least one image of each class, found none of 'dog/wolf'"),
        ("t10k-labels-idx1-ubyte", labels([0, 1] * 7 + [1]), "each class, found none of 'Größe, 2'; mend it"),
    ],
)
def test_files_that_do_not_belong_together(pets: Path, name: str, content: bytes, message: str) -> None:
    (pets / name).write_bytes(content)
    said = refusal(pets)
    assert said.startswith(f"{name}: ") and message in said
    assert said.endswith("mend it and run `dvc repro`")


def test_a_name_that_no_figure_can_show_is_refused(pets: Path) -> None:
    (pets / "classes.txt").write_text(f"cat\n{'d' * 101}\nfox\n")
    assert "a name of at most 100 characters in line 2, found 101" in refusal(pets)
    (pets / "classes.txt").write_text("cat\n" * 30_000)
    assert "expected at most 100,000 bytes" in refusal(pets)


def test_names_are_read_of_a_file_alone(pets: Path) -> None:
    (pets / "classes.txt").unlink()
    os.mkfifo(pets / "classes.txt")
    assert "classes.txt: expected a file, found none" in refusal(pets)
    (pets / "classes.txt").unlink()
    (pets / "classes.txt").symlink_to("/dev/zero")
    assert "classes.txt: expected a file, found none" in refusal(pets)


def coloured(folder: Path, size: int, colour: Colour, packed: bool = False) -> dict[str, np.ndarray]:
    """Turn the images of a folder into noise of another shape, and return it by split."""
    found = {}
    for split, count in (("train", 30), ("t10k", 15)):
        generator = np.random.default_rng(count)
        found[split] = generator.integers(0, 256, (count, *Kind(size, colour).shape), np.uint8)
        (folder / f"{split}-images-idx3-ubyte").unlink()
        content = idx.encode(found[split])
        name = f"{split}-images-idx{found[split].ndim}-ubyte{'.gz' * packed}"
        (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("size", "colour"), [(28, "rgb"), (64, "grey"), (32, "rgb")])
def test_images_of_any_size_in_grey_or_colour(pets: Path, size: int, colour: Colour, packed: bool) -> None:
    written = coloured(pets, size, colour, packed)
    about, splits = idx_files.read(pets, Kind(size, colour, "crop"))
    assert about.kind == Kind(size, colour, "crop")
    assert np.array_equal(splits["train"].pixels, written["train"])
    assert np.array_equal(splits["test"].pixels, written["t10k"])


def test_images_of_another_size_are_refused_with_the_setting_for_them(pets: Path) -> None:
    coloured(pets, 32, "grey")
    assert refusal(pets) == (
        f"{TRAIN}: expected images (n, 28, 28), n > 0, found (30, 32, 32); set data.image_size=32, or mend "
        "it and run `dvc repro`"
    )


@pytest.mark.parametrize(
    ("found", "wanted", "axes", "packed"), [("rgb", "grey", "43", False), ("grey", "rgb", "34", True)]
)
def test_images_of_other_colours_are_refused_with_the_setting_for_them(
    pets: Path, found: Colour, wanted: Colour, axes: str, packed: bool
) -> None:
    coloured(pets, 28, found, packed)
    with pytest.raises(DataError) as caught:
        idx_files.read(pets, Kind(28, wanted, "crop"))
    name = f"train-images-idx{axes[1]}-ubyte"
    assert str(caught.value) == (
        f"{pets}/{name}: expected it or {name}.gz for data.colour={wanted}, found "
        f"train-images-idx{axes[0]}-ubyte{'.gz' * packed}; set data.colour={found}"
    )
