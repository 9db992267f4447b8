"""A data set of one's own in a folder for each class: pictures of any format and size.

<folder>/<class>/                                divided here into those to train and those to test with
<folder>/train/<class>/ and <folder>/test/...    or as they are
"""

import contextlib
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fashionboard.base.errors import DataError
from fashionboard.base.kind import Kind
from fashionboard.data import mapped
from fashionboard.data.dataset import Description, Images, Split
from fashionboard.pictures import many
from fashionboard.sources import class_layout, own, stratified
from fashionboard.sources.class_layout import File

_Size = tuple[int, int]


@dataclass(frozen=True)
class Options:
    """What params.yaml says about class folders.

    test_share: of each class, between 0 and 1, and split_seed: how pictures are divided that are not yet.
    unreadable: whether a file that is no picture is refused or left out.
    """

    test_share: float
    split_seed: int
    unreadable: Literal["refuse", "skip"]


@dataclass(frozen=True)
class _Decoded:
    """What became of the files of a folder.

    files: those that are pictures, in order. digests: of their images. sizes: how often there is a picture
    of each width and height. damaged: how many files are no pictures.
    """

    files: list[File]
    digests: list[bytes]
    sizes: "Counter[_Size]"
    damaged: int


def read(folder: Path, kind: Kind, options: Options) -> tuple[Description, dict[Split, Images]]:
    """Return the pictures in a folder as images, uint8 (n, *kind.shape), ordered by class and path.

    Each file that is no picture is named in a line on stderr. Where the splits are made here, the same
    picture is in one of them alone. The images lie in a temporary file and are mapped, see `mapped.rows`.

    Raises:
        DataError: the folder is laid out otherwise, a name cannot be used, files are no pictures and may not
            be left out, a class has too few pictures, files were changed meanwhile, a worker was killed, or
            the disk or the memory is full.
    """
    classes, files = class_layout.find(folder)
    before = own.states(file.path for file in files)
    about = own.description("folder", folder, classes, kind)
    with _temporary() as file:
        decoded = _decode(files, kind, file)
        found = class_layout.find(folder)
        after = own.states(file.path for file in found[1])
        own.check_same(folder, (classes, files, before), (*found, after))
        _check(folder, classes, files, decoded, options)
        file.flush()
        shape = (len(decoded.files), *kind.shape)
        pixels: npt.NDArray[np.uint8] = np.memmap(file, np.uint8, "c", shape=shape)
    labels = np.array([file.label for file in decoded.files], np.uint8)
    tests = np.array([file.split == "test" for file in decoded.files])
    if files[0].split is None:
        share, seed = options.test_share, options.split_seed
        tests = stratified.choose(labels, decoded.digests, classes, share, seed)
        order = np.argsort(tests, kind="stable")
        pixels, labels = mapped.rows(pixels, order), labels[order]
    # those to train with come first
    first = len(tests) - int(np.count_nonzero(tests))
    return replace(about, originals=_originals(decoded)), {
        "train": Images(pixels[:first], labels[:first]),
        "test": Images(pixels[first:], labels[first:]),
    }


def _decode(files: Sequence[File], kind: Kind, out: BinaryIO) -> _Decoded:
    """Write the image of each file that is a picture to `out`, and name each other one on stderr."""
    decoded = _Decoded([], [], Counter(), 0)
    with contextlib.closing(many.read([file.path for file in files], kind)) as images:
        for file, image in zip(files, images, strict=True):
            if isinstance(image, str):
                tqdm.write(image, file=sys.stderr)
                continue
            content = image.pixels.tobytes()
            out.write(content)
            decoded.files.append(file)
            decoded.digests.append(hashlib.sha256(content).digest())
            decoded.sizes[image.size] += 1
    return replace(decoded, damaged=len(files) - len(decoded.files))


def _check(
    folder: Path, classes: Sequence[str], files: Sequence[File], decoded: _Decoded, options: Options
) -> None:
    """Say what is left out, or refuse it; refuse a class of which nothing is left."""
    damaged = f"{decoded.damaged:,} of {len(files):,} files"
    if decoded.damaged and options.unreadable == "refuse":
        raise DataError(
            f"{folder}: expected pictures alone, found {damaged} that are none, named above; "
            "remove them, or leave them out: data.unreadable: skip in params.yaml"
        )
    if decoded.damaged:
        tqdm.write(f"note: {folder.name}: left out {damaged} that are no pictures", file=sys.stderr)
    found = {(file.split, file.label) for file in decoded.files}
    for file in files:
        if (file.split, file.label) not in found:
            place = folder / (file.split or "") / classes[file.label]
            raise DataError(f"{place}: expected at least one picture, found none; add some")


@contextlib.contextmanager
def _temporary() -> Iterator[BinaryIO]:
    """Open a file that has no name, and whose bytes are given back with the last mapping of it."""
    try:
        with tempfile.TemporaryFile() as file:
            yield file
    except BrokenPipeError:
        # of stderr
        raise
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: expected room for a temporary file of all images, found none "
            f"({error.strerror}); free some, or name another folder in TMPDIR"
        ) from None


def _originals(decoded: _Decoded) -> str:
    """Say in words how large the pictures are: the smallest and the largest by area."""
    sizes = sorted(decoded.sizes, key=lambda size: (size[0] * size[1], size))
    if len(sizes) == 1:
        text = f"all of {_shown(sizes[0])} pixels"
    else:
        text = f"{len(sizes):,} sizes from {_shown(sizes[0])} to {_shown(sizes[-1])} pixels"
        most = max(sizes, key=decoded.sizes.__getitem__)
        if decoded.sizes[most] > 1:
            text += f", most often {_shown(most)} ({decoded.sizes[most]:,} of {len(decoded.files):,})"
    files = "file that is no picture was" if decoded.damaged == 1 else "files that are no pictures were"
    return f"{text}; {decoded.damaged:,} {files} left out" if decoded.damaged else text


def _shown(size: _Size) -> str:
    return f"{size[0]:,} x {size[1]:,}"
