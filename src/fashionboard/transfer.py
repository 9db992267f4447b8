"""Bring one archive from one source, whole and verified, or say why not.

A source is a folder, a file:// URL or an http(s) URL; `source/<name>.gz` is the archive.
"""

import hashlib
import os
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import responses
from io import BufferedRandom
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NoReturn
from urllib.request import url2pathname

import requests
import urllib3
from requests import codes
from tqdm import tqdm

# bytes a second, about 45 minutes for all four files; a source that is slower is given up
MINIMUM_RATE = 10_000
_BLOCK = 8192


@dataclass(frozen=True)
class Archive:
    """A .gz file that sources hold: `path` is where its content goes, relative to a root."""

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The archive's file name at a source."""
        return f"{self.path.name}.gz"


class SourceError(Exception):
    """A source does not deliver an archive; the message says why in a few words."""


class _PassingError(SourceError):
    """As above, but another try may succeed."""


def bring(archive: Archive, source: str, packed: Path, timeout: float, retries: int) -> None:
    """Write `archive` from `source` to the file `packed`.

    Args:
        archive: what to bring.
        source: from where.
        packed: is overwritten, and is damaged after an error.
        timeout: seconds to wait for an answer and for each further byte. A source that brings less
            than MINIMUM_RATE over twice that time is given up, too.
        retries: further tries after faults that may pass.

    Raises:
        SourceError: the source does not deliver the archive.
    """
    for attempt in range(retries + 1):
        try:
            with packed.open("wb+") as out:
                _receive(archive, source, out, timeout)
                _verify(archive, out)
            return
        except _PassingError:
            if attempt == retries:
                raise
            time.sleep(min(2.0**attempt, timeout))


def _receive(archive: Archive, source: str, out: BufferedRandom, timeout: float) -> None:
    """Copy `archive` from `source` to `out`, as long as it comes fast enough."""
    window = 2 * timeout
    bar = tqdm(total=archive.size, desc=archive.name, unit="B", unit_scale=True, leave=False, disable=None)
    # watched from outside, since requests limits the wait for a byte, not for headers or a block of them
    with bar, ThreadPool(1) as pool:
        copy = pool.apply_async(_copy, (archive, source, out, timeout, bar))
        while True:
            before = out.tell()
            copy.wait(window)
            if copy.ready():
                return copy.get()
            if out.tell() - before < MINIMUM_RATE * window:
                raise SourceError(f"slower than {MINIMUM_RATE:,} bytes a second for {window:g} s")


def _copy(archive: Archive, source: str, out: BufferedRandom, timeout: float, bar: "tqdm[NoReturn]") -> None:
    for block in _blocks(archive, source, timeout):
        out.write(block)
        bar.update(len(block))
        if out.tell() > archive.size:
            raise SourceError(f"found more than the expected {archive.size:,} bytes")


def _verify(archive: Archive, out: BufferedRandom) -> None:
    if out.tell() < archive.size:
        raise _PassingError(f"found {out.tell():,} bytes, expected {archive.size:,}")
    out.seek(0)
    found = hashlib.file_digest(out, "sha256").hexdigest()
    if found != archive.sha256:
        raise SourceError(f"found the SHA-256 sum {found[:12]}..., expected {archive.sha256[:12]}...")


def _blocks(archive: Archive, source: str, timeout: float) -> Iterator[bytes]:
    scheme, separator, rest = source.partition("://")
    if not separator:
        return _folder_blocks(archive, Path(source))
    if scheme.lower() == "file":
        return _folder_blocks(archive, Path(url2pathname(rest.removeprefix("localhost"))))
    return _http_blocks(archive, source, timeout)


def _folder_blocks(archive: Archive, folder: Path) -> Iterator[bytes]:
    if not folder.is_dir():
        raise SourceError("not a folder")
    try:
        with (folder / archive.name).open("rb") as file:
            _check_size(archive, os.fstat(file.fileno()).st_size)
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})") from None


def _http_blocks(archive: Archive, source: str, timeout: float) -> Iterator[bytes]:
    # the bytes as they are: some servers declare .gz files as compressed for the transfer
    headers = {"Accept-Encoding": "identity"}
    url = f"{source.rstrip('/')}/{archive.name}"
    try:
        with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
            _check_answer(archive, response)
            yield from response.raw.stream(_BLOCK, decode_content=False)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _explain(error, timeout) from None


def _check_answer(archive: Archive, response: requests.Response) -> None:
    """Refuse at once what cannot be `archive`."""
    status = response.status_code
    if status != codes.ok:
        passing = status >= 500 or status in (codes.request_timeout, codes.too_many_requests)
        kind = _PassingError if passing else SourceError
        raise kind(f"HTTP {status} {responses.get(status, '')}".strip())
    if "html" in response.headers.get("Content-Type", "").lower():
        raise SourceError(f"found an HTML page, expected {archive.size:,} bytes of gzip")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        _check_size(archive, int(length))


def _check_size(archive: Archive, size: int) -> None:
    if size != archive.size:
        raise SourceError(f"found {size:,} bytes, expected {archive.size:,}")


def _explain(error: Exception, timeout: float) -> SourceError:
    """Say in a few words, without the URL, why a request failed."""
    if isinstance(error, ValueError):
        return SourceError("not a valid http(s) URL, or it redirects to one that is not")
    if isinstance(error, requests.TooManyRedirects):
        return SourceError("too many redirects")
    # the innermost exception is short; those of requests repeat the URL and each other
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    if isinstance(cause, TimeoutError):
        return _PassingError(f"no answer, or no further byte, within {timeout:g} s")
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return _PassingError(textwrap.shorten(text, 120, placeholder="..."))
