"""Folders of pictures: which files count, what they become, how they are divided, what is refused."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
from PIL import Image
from sklearn.model_selection import StratifiedShuffleSplit
from torchvision.datasets import ImageFolder

from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.data import idx
from fashionboard.data.dataset import Description, Images, Split
from fashionboard.pictures import decode, many
from fashionboard.pictures.fit import fit
from fashionboard.sources import class_folders
from fashionboard.sources.class_folders import Options
from tests.support import rights, shapes

KIND = Kind(32, "rgb", "crop")
SHAPES = ("circle", "square", "triangle")


def read(
    folder: Path,
    share: float = 0.25,
    seed: int = 0,
    unreadable: Literal["refuse", "skip"] = "refuse",
    kind: Kind = KIND,
) -> tuple[Description, dict[Split, Images]]:
    return class_folders.read(folder, kind, Options(share, seed, unreadable))


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "<folder>")


def contents(images: Images) -> list[tuple[int, bytes]]:
    return [(int(label), row.tobytes()) for row, label in zip(images.pixels, images.labels, strict=True)]


def plain(path: Path, colour: str | tuple[int, int, int] = "red", size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def plains(folder: Path, numbers: Sequence[int]) -> None:
    """Write a picture of one colour for each number, which differ where the numbers do."""
    for place, number in enumerate(numbers):
        plain(folder / f"{place:03}.png", (number % 256, number // 256, 0))


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """20 pictures of each of three shapes."""
    shapes.write(tmp_path / "shapes", SHAPES, each=20)
    return tmp_path / "shapes"


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """The same shapes, divided already."""
    for split, each, seed in (("train", 6, 1), ("test", 3, 2)):
        shapes.write(tmp_path / "halves" / split, SHAPES, each, seed)
    return tmp_path / "halves"


def test_classes_files_and_pixels_are_those_of_torchvision(halves: Path) -> None:
    for name in ("train/circle/deep/er", "test/square/other"):
        shapes.write(halves / name, [""], each=2, seed=5)
    about, splits = read(halves)
    for split in ("train", "test"):
        theirs = ImageFolder(halves / split)
        assert list(about.classes) == theirs.classes
        expected = [(label, fit(decode.read(Path(path)), KIND).tobytes()) for path, label in theirs.samples]
        assert Counter(contents(splits[split])) == Counter(expected)
        paths = sorted((label, path) for path, label in theirs.samples)
        assert contents(splits[split]) == [
            (label, fit(decode.read(Path(path)), KIND).tobytes()) for label, path in paths
        ]
        assert splits[split].labels.dtype == np.uint8


def test_what_is_known_of_the_pictures(drawn: Path, halves: Path) -> None:
    about, _ = read(drawn)
    assert (about.name, about.kind, about.classes) == ("folder:shapes", KIND, SHAPES)
    sizes = Counter(decode.read(path).size for path in drawn.rglob("*.png"))
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    small, large = (f"{size[0]} x {size[1]}" for size in (by_area[0], by_area[-1]))
    assert set(sizes.values()) == {1}
    assert about.originals == f"{len(sizes)} sizes from {small} to {large} pixels"
    for path in drawn.rglob("*.png"):
        plain(path, tuple(np.random.default_rng(list(path.name.encode())).integers(0, 256, 3)), (2000, 1))
    plain(drawn / "circle" / "0000.png", "blue", (20, 1000))
    (drawn / "circle" / "none.png").touch()
    about, _ = read(drawn, unreadable="skip")
    assert about.originals == (
        "2 sizes from 2,000 x 1 to 20 x 1,000 pixels, most often 2,000 x 1 (59 of 60); "
        "1 file that is no picture was left out"
    )
    for path in halves.rglob("*.png"):
        plain(path)
    assert read(halves)[0].originals == "all of 40 x 30 pixels"


def test_turned_and_translucent_and_other_kinds_of_pictures_are_read(tmp_path: Path) -> None:
    """The left half of each is red and the right half blue, as it is meant to be seen."""
    seen = Image.new("RGB", (40, 40), "red")
    seen.paste("blue", (20, 0, 40, 40))
    folder = tmp_path / "kinds" / "train" / "both"
    folder.mkdir(parents=True)
    seen.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.png")
    seen.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    turned = Image.Exif()
    turned[0x0112] = 6
    seen.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=turned, quality=95)
    seen.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", (40, 40), "green")])
    clear = Image.new("RGBA", (40, 40), (0, 255, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 20, 40))
    clear.paste((0, 0, 255, 255), (20, 0, 40, 30))
    clear.save(folder / "transparent.png")
    for kind in ("bmp", "tiff", "webp", "avif"):
        seen.save(folder / f"plain.{kind}")
    grey = tmp_path / "kinds" / "train" / "grey"
    grey.mkdir()
    Image.fromarray(np.full((40, 40), 30_000, np.uint16)).save(grey / "sixteen.png")
    for name in ("both", "grey"):
        plain(tmp_path / "kinds" / "test" / name / "some.png")
    _, splits = read(tmp_path / "kinds", kind=Kind(28, "rgb", "stretch"))
    images = splits["train"]
    assert len(images) == 10
    for row in images.pixels[:9]:
        assert np.abs(row[:14, :10].astype(int) - (255, 0, 0)).max() <= 25
        assert np.abs(row[:14, -10:].astype(int) - (0, 0, 255)).max() <= 25
    names = sorted(path.name for path in folder.iterdir())
    assert (images.pixels[names.index("transparent.png"), -4:, -10:] == 255).all()
    assert (images.pixels[9] == round(30_000 / 257)).all()


@pytest.mark.parametrize("kind", [Kind(28, "grey", "pad"), Kind(40, "rgb", "stretch")])
def test_images_are_of_the_kind_that_is_wanted(halves: Path, kind: Kind) -> None:
    about, splits = read(halves, kind=kind)
    assert about.kind == kind
    path = halves / "train" / "circle" / "0000.png"
    assert np.array_equal(splits["train"].pixels[0], fit(decode.read(path), kind))


@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_changes_nothing(
    drawn: Path, processes: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(40):
        (drawn / "square" / f"{number:04}.txt").write_text("none")
    found = []
    for count in (1, processes):
        monkeypatch.setattr(many, "_processors", lambda count=count: count)
        about, splits = read(drawn, unreadable="skip")
        printed = capfd.readouterr().err
        found.append((about, contents(splits["train"]), contents(splits["test"]), printed))
    assert found[0] == found[1]
    assert found[0][3].count("\n") == 41


def test_the_images_are_mapped_and_their_memory_can_be_given_back(drawn: Path, halves: Path) -> None:
    for folder in (drawn, halves):
        for images in read(folder)[1].values():
            before = images.pixels.copy()
            assert idx.is_mapped(images.pixels)
            idx.forget(images.pixels)
            assert np.array_equal(images.pixels, before)


# ---- which files count


def test_hidden_files_and_those_of_systems_do_not_count(halves: Path) -> None:
    expected = {split: contents(images) for split, images in read(halves)[1].items()}
    for name in (".hidden.png", "Thumbs.db", "desktop.ini", "Desktop.ini", ".cache/some.txt"):
        (halves / "train" / "circle" / name).parent.mkdir(exist_ok=True)
        (halves / "train" / "circle" / name).write_text("none")
    for name in ("README.txt", "train/labels.csv", ".git/config", "train/.ipynb_checkpoints/x.png"):
        (halves / name).parent.mkdir(exist_ok=True)
        (halves / name).write_text("none")
    about, splits = read(halves)
    assert about.classes == SHAPES
    assert {split: contents(images) for split, images in splits.items()} == expected


def test_links_to_files_are_followed_and_those_to_folders_refused(halves: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    plain(elsewhere / "one.png", "blue")
    circles = halves / "train" / "circle"
    (circles / "z.png").symlink_to(elsewhere / "one.png")
    assert np.bincount(read(halves)[1]["train"].labels).tolist() == [7, 6, 6]
    for link in (circles / "loop", circles / "more", halves / "train" / "star", halves / "val"):
        link.symlink_to(elsewhere if link.name != "loop" else ".")
        assert refusal(halves).endswith(
            "expected a folder, found a link to one, in which DVC does not look for changes; "
            "copy the folder there"
        )
        link.unlink()


def test_a_picture_that_is_too_long_to_be_scaled_is_named(
    halves: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # a file of ten kilobytes
    Image.new("1", (1, 89_000_000)).save(halves / "train" / "circle" / "long.tif", compression="group4")
    assert "found 1 of 28 files that are none" in refusal(halves, kind=Kind(32, "grey", "pad"))
    assert capfd.readouterr().err == (
        f"{halves}/train/circle/long.tif: expected a picture that can be scaled, found 1 x 89,000,000 "
        "pixels; cut it\n"
    )


def test_files_that_are_no_pictures_are_named_and_refused_or_left_out(
    halves: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = contents(read(halves)[1]["train"])
    circles = halves / "train" / "circle"
    (circles / "empty.png").touch()
    (circles / "a\nb\x1b.png").write_text("none")
    (circles / "gone.png").symlink_to("nowhere")
    (circles / "self.png").symlink_to("self.png")
    os.mkfifo(circles / "pipe.png")
    named = [
        rf"{circles}/a\nb\x1b.png: expected a picture that Pillow opens, found something else",
        f"{circles}/empty.png: expected a picture that Pillow opens, found an empty file",
        f"{circles}/gone.png: expected a picture, found no such file; see where it is",
        f"{circles}/pipe.png: expected a picture, found no ordinary file",
        f"{circles}/self.png: cannot be read (Too many levels of symbolic links)",
    ]
    assert refusal(halves) == (
        "<folder>: expected pictures alone, found 5 of 32 files that are none, named above; remove them, or "
        "leave them out: data.unreadable: skip in params.yaml"
    )
    assert capfd.readouterr().err.splitlines() == named
    about, splits = read(halves, unreadable="skip")
    assert contents(splits["train"]) == expected
    assert about.originals.endswith("; 5 files that are no pictures were left out")
    note = "note: halves: left out 5 of 32 files that are no pictures"
    assert capfd.readouterr().err.splitlines() == [*named, note]


def damaged(generator: np.random.Generator, folder: Path) -> None:
    """Write 2,000 files that are no pictures: small ones of many formats, cut off or overwritten in part."""
    noise = generator.integers(0, 256, (24, 24, 3), np.uint8)
    whole = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "QOI"):
        Image.fromarray(noise).save(folder / "whole", kind)
        whole.append((folder / "whole").read_bytes())
    (folder / "whole").unlink()
    number = 0
    while number < 2000:
        content = bytearray(whole[generator.integers(len(whole))])
        path = folder / f"{number:04}.jpg"
        if generator.integers(2):
            path.write_bytes(content[: int(generator.uniform(0, 0.9) * len(content))])
        else:
            for _ in range(8):
                content[generator.integers(min(len(content), 100))] = generator.integers(256)
            path.write_bytes(content)
            with contextlib.suppress(Exception):
                decode.read(path)
                continue  # damage that is not seen
        number += 1


def test_two_thousand_damaged_files_are_named_in_a_line_each(
    halves: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged(np.random.default_rng(0), halves / "train" / "circle")
    capfd.readouterr()
    assert "found 2,000 of 2,027 files that are none" in refusal(halves)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2000
    for number, line in enumerate(sorted(lines)):
        assert line.startswith(f"{halves}/train/circle/{number:04}.jpg: ") and len(line) < 500


@pytest.mark.parametrize("change", ["cp train/square/0000.png {}", "rm {}", "cp {0} {0}.png", "touch {}"])
def test_files_that_are_changed_meanwhile_are_refused(
    halves: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_many = many.read

    def read_and_change(*given: Any) -> Iterator[many.Fitted | str]:
        yield from read_many(*given)
        command = change.format("train/circle/0000.png")
        subprocess.run(command, shell=True, cwd=halves, check=True)

    monkeypatch.setattr(many, "read", read_and_change)
    assert refusal(halves) == (
        "<folder>: expected files that stay as they are while they are read, found others than before; run "
        "this again"
    )


# ---- how they are divided


def test_the_same_share_of_each_class_is_to_test(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    counts = (40, 10, 4, 2)
    for label, count in enumerate(counts):
        plains(folder / f"c{label}", range(1000 * label, 1000 * label + count))
    for share, tests in ((0.25, [10, 2, 1, 1]), (0.05, [2, 1, 1, 1]), (0.9, [36, 9, 3, 1])):
        _, splits = read(folder, share)
        assert np.bincount(splits["test"].labels).tolist() == tests
        assert np.bincount(splits["train"].labels).tolist() == [
            all_ - test for all_, test in zip(counts, tests, strict=True)
        ]


def test_shares_are_those_of_scikit_learn(drawn: Path) -> None:
    _, splits = read(drawn, 0.4)
    labels = np.repeat(np.arange(3), 20)
    for _, test in StratifiedShuffleSplit(1, test_size=0.4, random_state=0).split(labels, labels):
        assert np.array_equal(np.bincount(splits["test"].labels), np.bincount(labels[test]))


def test_every_picture_is_in_one_split_and_the_seed_decides_which(drawn: Path) -> None:
    found = [read(drawn, seed=seed)[1] for seed in (1, 1, 2)]
    every = {
        (label, fit(decode.read(path), KIND).tobytes())
        for label, name in enumerate(SHAPES)
        for path in (drawn / name).iterdir()
    }
    for splits in found:
        train, test = (set(contents(splits[split])) for split in ("train", "test"))
        assert train | test == every and not train & test
    one, again, other = (contents(splits["test"]) for splits in found)
    assert one == again != other


def test_a_class_is_divided_alike_whatever_the_others_hold(drawn: Path) -> None:
    def circles() -> list[tuple[int, bytes]]:
        return [each for each in contents(read(drawn)[1]["test"]) if each[0] == 0]

    before = circles()
    for path in sorted((drawn / "square").iterdir())[::2]:
        path.unlink()
    assert circles() == before


@pytest.mark.parametrize("seed", range(8))
def test_the_same_picture_is_on_one_side_only(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "twins"
    plains(folder / "a", [0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 3])
    plains(folder / "b", [8, 9, 10, 11, 12, 0, 3])
    # the same picture in another format and size
    plain(folder / "b" / "same.bmp", (8, 0, 0), (90, 90))
    about, splits = read(folder, seed=seed, share=0.4)
    train, test = ({row for _, row in contents(splits[split])} for split in ("train", "test"))
    assert len(train | test) == 13 and not train & test
    assert len(splits["train"]) + len(splits["test"]) == 19
    # of the contents of each class, however often they are there
    assert len({row for label, row in contents(splits["test"]) if label == 0}) == round(0.4 * 8)
    assert "19" in about.originals


def test_a_class_that_cannot_be_on_both_sides_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    plains(folder / "a", [1, 2, 3])
    plains(folder / "b", [4, 4, 4])
    assert refusal(folder) == (
        "class 'b': expected different pictures to train and to test with, found 1; add some, or divide them "
        "yourself into train and test"
    )
    plains(folder / "b", [2, 2, 3])
    texts = set()
    for seed in range(20):
        try:
            read(folder, seed=seed, share=0.4)
        except DataError as error:
            texts.add(str(error).partition(";")[0])
    assert texts == {
        "class 'b': expected different pictures to train and to test with, found 2 that are in other "
        "classes, too"
    }


def test_halves_of_ones_own_stay_as_they_are(halves: Path) -> None:
    (halves / "test" / "circle" / "again.png").write_bytes(
        (halves / "train" / "circle" / "0000.png").read_bytes()
    )
    one, other = (read(halves, share=share, seed=share)[1] for share in (1, 2))
    for split in ("train", "test"):
        assert contents(one[split]) == contents(other[split])
    assert [len(images) for images in one.values()] == [18, 10]
    assert contents(one["train"])[0] in contents(one["test"])


# ---- how they are laid out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rm -r test", "expected folders of classes in both train and test, found them in 'train'; add the"),
        ("mv train Train; mv test Test", "named train and test, found 'Test' and 'Train'; rename them"),
        ("rm -r train; mv test Test", "in both train and test, found them in 'Test'; add the other half"),
        ("rm -r test/*; touch test/1.png", "in both train and test, found them in 'train'"),
        ("mkdir val", "expected train and test alone, found 'val' beside them; move it elsewhere"),
        ("rm -r test/circle", "/test: expected the classes of train, found no folder 'circle'; add it"),
        ("mkdir test/star", "/train: expected the classes of test, found no folder 'star'; add it"),
        ("rm test/circle/*", "/test/circle: expected at least one picture, found none; add some"),
        ("rm -r */circle */square", "/train: expected 2 to 100 folders, each of a class, found 1; give each"),
        ("rm -r *; touch 1.png", "expected 2 to 100 folders, each of a class, found 0; give each class a"),
        ("mv train/circle train/macro; mv test/circle test/macro", "other than macro, found 'macro'; give"),
        ("mkdir 'train/_\t'; mkdir 'test/_\t'", "without tabs and the like, other than macro, found '_\\t'"),
    ],
)
def test_folders_that_are_laid_out_otherwise_are_refused(halves: Path, change: str, message: str) -> None:
    assert os.system(f"cd '{halves}' && {change}") == 0
    text = refusal(halves)
    assert text.startswith("<folder>") and message in text


def test_a_class_may_be_called_train_or_test(tmp_path: Path) -> None:
    folder = tmp_path / "vehicles"
    for name, start in (("bus", 0), ("train", 10)):
        plains(folder / name, range(start, start + 4))
    assert read(folder)[0].classes == ("bus", "train")
    plains(folder / "test", range(20, 24))
    assert read(folder)[0].classes == ("bus", "test", "train")


def test_a_class_of_which_nothing_is_left_is_refused(halves: Path, tmp_path: Path) -> None:
    for path in (halves / "test" / "circle").iterdir():
        path.write_text("none")
    text = refusal(halves, unreadable="skip")
    assert text == "<folder>/test/circle: expected at least one picture, found none; add some"
    for name in "ab":
        (tmp_path / "none" / name).mkdir(parents=True)
        (tmp_path / "none" / name / "1.png").touch()
    text = refusal(tmp_path / "none", unreadable="skip")
    assert text == "<folder>/a: expected at least one picture, found none; add some"


@rights.needed
def test_a_folder_without_access_is_refused(halves: Path, root: Path) -> None:
    code = "from fashionboard.sources import class_layout; import pathlib; class_layout.find(pathlib.Path())"
    command = rights.without(sys.executable, "-c", f"import sys; sys.path[0] = {str(root / 'src')!r}; {code}")
    (halves / "train" / "circle").chmod(0)
    try:
        done = subprocess.run(command, cwd=halves, stderr=subprocess.PIPE, text=True)
    finally:
        (halves / "train" / "circle").chmod(0o755)
    assert "DataError: train/circle: cannot be read (Permission denied); give access" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a file that is always full")
def test_a_full_disk_is_told_in_a_line(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
        text = refusal(halves)
    assert f"{tempfile.gettempdir()}: expected room for a temporary file" in text
    assert "found none (No space left on device); free some, or name another folder in TMPDIR" in text


def test_a_refusal_leaves_no_process_behind(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes.write(drawn, SHAPES, each=40)
    monkeypatch.setattr(many, "_processors", lambda: 2)
    before = set(psutil.Process().children())

    def fail(content: bytes) -> None:
        assert len(psutil.Process().children()) == len(before) + 2
        raise DataError("stopped")

    monkeypatch.setattr(class_folders.hashlib, "sha256", fail)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="stopped"):
        read(drawn)
    assert set(psutil.Process().children()) == before
