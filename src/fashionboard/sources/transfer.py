"""Bring one archive from one source, whole and verified, or say why not.

A source is a folder, a file:// URL or an http(s) URL; `source/<name>.gz` is the archive.
"""

import contextlib
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
# of a length that a server tells, which Python can read
_DIGITS = 20


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
    try:
        if not folder.is_dir():
            raise SourceError("not a folder")
        path = folder / archive.name
        if path.exists() and not path.is_file() and not path.is_dir():
            # a pipe would be waited for
            raise SourceError("no ordinary file")
        with path.open("rb") as file:
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
    # requests lets some through as they are: no certificates, a name that cannot be encoded
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        raise _explain(error, source, timeout) from None


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
    if length.isdecimal() and len(length) < _DIGITS:
        _check_size(archive, int(length))


def _check_size(archive: Archive, size: int) -> None:
    if size != archive.size:
        raise SourceError(f"found {size:,} bytes, expected {archive.size:,}")


def _explain(error: Exception, source: str, timeout: float) -> SourceError:
    """Say in a few words, without the URL, why a request failed."""
    causes = [error]
    while isinstance(cause := causes[-1].__context__, Exception):
        causes.append(cause)
    # the innermost exception is short; those of requests repeat the URL and each other
    text = getattr(causes[-1], "strerror", None) or str(causes[-1]) or type(causes[-1]).__name__
    text = textwrap.shorten(text, 120, placeholder="...")
    proxy = _proxy(source)
    through = f" (through the proxy that {proxy} names)" if proxy else ""
    if any("Proxy" in type(each).__name__ for each in causes):
        return _PassingError(f"the proxy that {proxy or 'the environment'} names: {text}")
    if isinstance(error, ValueError):
        return SourceError(f"not a valid http(s) URL, or it redirects to one that is not{through}")
    if isinstance(error, requests.TooManyRedirects):
        return SourceError(f"too many redirects{through}")
    certificates = _first_set("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    if certificates and (type(error) is OSError or isinstance(error, requests.exceptions.SSLError)):
        return SourceError(f"{text} (with the certificates that {certificates} names)")
    if isinstance(causes[-1], TimeoutError):
        text = f"no answer, or no further byte, within {timeout:g} s"
    return _PassingError(f"{text}{through}")


def _proxy(source: str) -> str:
    """Return the variable of the environment that names the proxy for a source; "" if none does."""
    scheme = f"{source.partition(':')[0].lower()}_proxy"
    name = _first_set(scheme, scheme.upper(), "all_proxy", "ALL_PROXY")
    with contextlib.suppress(ValueError):  # it is no URL
        return "" if name and requests.utils.should_bypass_proxies(source, None) else name
    return name


def _first_set(*names: str) -> str:
    return next((name for name in names if os.environ.get(name)), "")
