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

from fashionboard import dataset, transfer, unfinished
from fashionboard.errors import DownloadError
from fashionboard.transfer import Archive

MIRROR_VARIABLE = "FASHION_MNIST_MIRROR"
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
        first = str(Path(start, os.path.expanduser(first)).resolve())  # noqa: PTH111 - Path's fails for an unknown ~user
    return [first, *mirrors] if first else list(mirrors)


def fetch(
    root: Path,
    sources: Sequence[str],
    timeout: float,
    retries: int,
    archives: Sequence[Archive] = OFFICIAL,
) -> None:
    """Put the content of `archives` and dataset.json under `root`: everything, or nothing.

    Args:
        root: is made if missing; what an earlier call put there is replaced.
        sources: in the order to try. One that fails is named in a line on stderr, and comes after
            the others for the remaining archives.
        timeout: seconds to wait for an answer and for each further byte, see `transfer.bring`.
        retries: further tries for a source and archive, after faults that may pass.
        archives: what to fetch.

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
                _fetch_archive(archive, scratch, sources, failed, timeout, retries)
            dataset.write_description(scratch, DESCRIPTION)
            for finished in [path for path in scratch.rglob("*") if path.is_file()]:
                target = root / finished.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                finished.replace(target)
    except OSError as error:
        raise DownloadError(f"{root}: cannot be written ({error.strerror})") from None


def _fetch_archive(
    archive: Archive, scratch: Path, sources: Sequence[str], failed: set[str], timeout: float, retries: int
) -> None:
    """Put the content of `archive` under `scratch`, from the first source that delivers it."""
    packed, unpacked = scratch / archive.name, scratch / archive.path
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    reasons: list[str] = []
    # a source that failed before is waited for again only when no other is left
    for source in sorted(sources, key=failed.__contains__):
        if reasons:
            tqdm.write(f"{archive.name}: {reasons[-1]}; trying the next source", file=sys.stderr)
        try:
            transfer.bring(archive, source, packed, timeout, retries)
        except transfer.SourceError as error:
            failed.add(source)
            reasons.append(f"{_without_password(source)}: {error}")
            continue
        with gzip.open(packed) as content, unpacked.open("wb") as out:
            copyfileobj(content, out)
        packed.unlink()
        return
    raise DownloadError(
        f"{archive.name}: no source delivers it ({'; '.join(reasons)}); set {MIRROR_VARIABLE} to a folder "
        "or URL that holds the four .gz files, or run `make demo`, which needs no download"
    )


def _without_password(source: str) -> str:
    return re.sub("://.*@", "://***@", source)
