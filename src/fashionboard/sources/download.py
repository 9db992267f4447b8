"""Fetch the four official Fashion-MNIST files and unpack them where `dataset` looks."""

import gzip
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from tqdm import tqdm

from fashionboard.base import unfinished
from fashionboard.base.errors import DownloadError, visible
from fashionboard.data import dataset
from fashionboard.sources import downloaded, transfer
from fashionboard.sources.transfer import Archive

MIRROR_VARIABLE = "FASHION_MNIST_MIRROR"
_LONGEST = 200  # characters of a source, in an error
DESCRIPTION = dataset.Description(
    name="fashion-mnist",
    title="Fashion-MNIST",
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT, copyright 2017 Zalando SE",
)
# the files that https://github.com/zalandoresearch/fashion-mnist links to; their MD5 sums are given there
OFFICIAL = (
    Archive(
        dataset.images_path(Path(), "train"),
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    Archive(
        dataset.labels_path(Path(), "train"),
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    Archive(
        dataset.images_path(Path(), "test"),
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    Archive(
        dataset.labels_path(Path(), "test"),
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)


def sources(mirrors: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the sources to try in order: the one in $FASHION_MNIST_MIRROR if set, then `mirrors`."""
    first = environ.get(MIRROR_VARIABLE, "").strip()
    if first and "://" not in first:
        # an experiment runs in a copy elsewhere: what is relative is so to the repository itself
        start = environ.get("DVC_ROOT", "")
        # those of pathlib fail for an unknown ~user, and for links in a circle
        first = os.path.realpath(Path(start, os.path.expanduser(first)))  # noqa: PTH111
    return [first, *mirrors] if first else list(mirrors)


def fetch(
    root: Path,
    sources: Sequence[str],
    timeout: float,
    retries: int,
    archives: Sequence[Archive] = OFFICIAL,
    keep: bool = False,
) -> None:
    """Put the content of `archives` and dataset.json under `root`: everything, or nothing.

    Args:
        root: is made if missing; what an earlier call put there is replaced.
        sources: in the order to try. One that fails is named in a line on stderr, and comes after
            the others for the remaining archives.
        timeout: seconds to wait for an answer and for each further byte, see `transfer.bring`.
        retries: further tries for a source and archive, after faults that may pass.
        archives: what to fetch.
        keep: in a DVC repository, keep each archive once it is verified, and take it from there the
            next time, before any source.

    Raises:
        DownloadError: no source delivered an archive, or `root` cannot be written.
    """
    failed: set[str] = set()
    try:
        root.mkdir(parents=True, exist_ok=True)
        # under root, so that moving a finished file into place is an atomic rename
        with TemporaryDirectory(prefix=".download-", dir=root) as folder, unfinished.writing(Path(folder)):
            scratch = Path(folder)
            for archive in archives:
                packed = scratch / archive.name
                if not keep or not downloaded.take(archive, packed):
                    _bring(archive, packed, sources, failed, timeout, retries)
                    if keep:
                        downloaded.keep(archive, packed)
                _unpack(packed, scratch / archive.path)
            dataset.write_description(scratch, DESCRIPTION)
            for finished in [path for path in scratch.rglob("*") if path.is_file()]:
                target = root / finished.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                finished.replace(target)
    except OSError as error:
        raise DownloadError(f"{root}: cannot be written ({error.strerror})") from None


def _bring(
    archive: Archive, packed: Path, sources: Sequence[str], failed: set[str], timeout: float, retries: int
) -> None:
    """Write `archive` to the file `packed`, from the first source that delivers it."""
    reasons: list[str] = []
    # a source that failed before is waited for again only when no other is left
    for source in sorted(sources, key=failed.__contains__):
        if reasons:
            tqdm.write(visible(f"{archive.name}: {reasons[-1]}; trying the next source"), file=sys.stderr)
        try:
            transfer.bring(archive, source, packed, timeout, retries)
            return
        except transfer.SourceError as error:
            failed.add(source)
            reasons.append(f"{_shown(source)}: {error}")
    raise DownloadError(
        f"{archive.name}: no source delivers it ({'; '.join(reasons)}); set {MIRROR_VARIABLE} to a folder "
        "or URL that holds the four .gz files, or run `make demo`, which needs no download"
    )


def _unpack(packed: Path, unpacked: Path) -> None:
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(packed) as content, unpacked.open("wb") as out:
        copyfileobj(content, out)
    packed.unlink()


def _shown(source: str) -> str:
    """Return a source without its password, and not longer than can be read."""
    text = re.sub("://.*@", "://***@", source)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"
