import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torchvision.datasets import FashionMNIST

from fashionboard.base.errors import DownloadError
from fashionboard.data import dataset
from fashionboard.sources import download, transfer
from tests.support import mirror, rights
from tests.support.archives import (
    ARCHIVES,
    FIRST,
    LABELS,
    PACKED,
    PIXELS,
    apart,
    assert_complete,
    closed_port,
    fetch,
)

pytestmark = pytest.mark.usefixtures("no_proxies")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which are listed instead of made."""
    made: list[float] = []
    monkeypatch.setattr(transfer, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture(scope="module")
def good() -> Iterator[str]:
    with mirror.serve(PACKED, mirror.good) as server:
        yield server.url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "Spiegel für 100 % Wolle #1"
    path.mkdir()
    for name, packed in PACKED.items():
        (path / name).write_bytes(packed)
    return path


def test_what_is_fetched_can_be_loaded(root: Path, good: str, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(root, good + "/data/")
    assert capfd.readouterr().err == ""
    assert dataset.describe(root) == download.DESCRIPTION
    train, test = dataset.load(root, "train"), dataset.load(root, "test")
    assert np.array_equal(train.pixels, PIXELS)
    assert np.array_equal(train.labels, LABELS)
    assert np.array_equal(test.pixels, PIXELS[:20])
    assert np.array_equal(test.labels, LABELS[:20])
    # readable by others as any file that the user creates: temporary names must not leave mode 0600
    (root / "mine").touch()
    assert {path.stat().st_mode for path in root.rglob("*") if path.is_file()} == {
        (root / "mine").stat().st_mode
    }


@pytest.mark.parametrize("answer", [mirror.good_without_length, mirror.labelled_as_compressed])
def test_servers_that_describe_the_file_otherwise(root: Path, answer: mirror.Answer) -> None:
    with mirror.serve(PACKED, answer) as server:
        fetch(root, server.url)
    assert_complete(root)


# answer, part of the line about it, whether another try may mend it
FAULTS: dict[str, tuple[mirror.Answer, str, bool]] = {
    "silent": (mirror.silent, "no answer, or no further byte, within 1 s", True),
    "dripping": (mirror.dripping, "slower than 10,000 bytes a second for 2 s", False),
    "dripping headers": (mirror.dripping_headers, "slower than 10,000 bytes a second for 2 s", False),
    "cut off": (mirror.cut_off, "IncompleteRead", True),
    "cut off without length": (mirror.cut_off_without_length, "bytes, expected", True),
    "short": (mirror.short, "bytes, expected", False),
    "long": (mirror.long, "more than the expected", False),
    "corrupt": (mirror.corrupt, "found the SHA-256 sum", False),
    "login page": (mirror.login_page, "found an HTML page, expected", False),
    "redirect loop": (mirror.redirect_loop, "too many redirects", False),
    "redirect elsewhere": (mirror.redirect_to("ftp://127.0.0.1"), "redirects to one that is not", False),
    "304": (mirror.status(304), "HTTP 304 Not Modified", False),
    "404": (mirror.status(404), "HTTP 404 Not Found", False),
    "429": (mirror.status(429), "HTTP 429 Too Many Requests", True),
    "500": (mirror.status(500), "HTTP 500 Internal Server Error", True),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mirror_is_named_once_and_passed_over(
    root: Path, good: str, fault: str, pauses: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    answer, reason, passing = FAULTS[fault]
    with mirror.serve(PACKED, answer) as server:
        fetch(root, server.url, good, retries=1)
    assert_complete(root)
    assert set(server.requested) == {FIRST}
    assert len(pauses) == passing
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"{FIRST}: {server.url}: ")
    assert reason in line
    assert line.endswith("; trying the next source")


UNREACHABLE: dict[str, tuple[Callable[[], str], str]] = {
    "refused": (closed_port, "Connection refused"),
    # the top-level domain .invalid never exists; the words are the resolver's
    "unknown host": (lambda: "http://mirror.invalid", ""),
    "no host": (lambda: "http://", "not a valid http(s) URL"),
    "empty label": (lambda: "http://a..b", "not a valid http(s) URL"),
    "broken IPv6": (lambda: "http://[::1", "not a valid http(s) URL"),
    "other scheme": (lambda: "ftp://127.0.0.1", "not a valid http(s) URL"),
    "missing folder": (lambda: "/no/such/folder", "not a folder"),
    "missing folder as URL": (lambda: "file:///no/such%00folder", "not a folder"),
    "long name": (lambda: f"/tmp/{'n' * 256}", "cannot be read (File name too long)"),
    "user outside Latin-1": (lambda: "http://ключ:x@127.0.0.1", "not a valid http(s) URL"),
}


@pytest.mark.parametrize("fault", UNREACHABLE)
def test_an_unreachable_source_is_named_once_and_passed_over(
    root: Path, good: str, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source, reason = UNREACHABLE[fault][0](), UNREACHABLE[fault][1]
    fetch(root, source, good)
    assert_complete(root)
    (line,) = capfd.readouterr().err.splitlines()
    shown = source if len(source) < 200 else f"{source[:100]}...{source[-100:]}"
    assert line.startswith(f"{FIRST}: {shown.replace('ключ:x', '***')}: {reason}")


@pytest.mark.parametrize("fault", [name for name, (_, _, passing) in FAULTS.items() if passing])
def test_passing_faults_are_mended_by_another_try(
    root: Path, fault: str, pauses: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with mirror.serve(PACKED, mirror.once(FAULTS[fault][0], mirror.good)) as server:
        fetch(root, server.url, retries=1)
    assert_complete(root)
    assert server.requested == [FIRST, *PACKED]
    assert capfd.readouterr().err == ""


def test_the_pauses_between_tries_grow(root: Path, pauses: list[float]) -> None:
    with mirror.serve(PACKED, mirror.status(503)) as server, pytest.raises(DownloadError):
        download.fetch(root, [server.url], 5, 4, ARCHIVES)
    assert server.requested == [FIRST] * 5
    assert pauses == [1, 2, 4, 5]  # but not beyond the time-out


def test_redirects_are_followed(root: Path, good: str) -> None:
    with mirror.serve(PACKED, mirror.redirect_to(good)) as server:
        fetch(root, server.url)
    assert_complete(root)


def test_a_mirror_that_failed_is_still_there_for_what_no_other_has(root: Path, folder: Path) -> None:
    (folder / ARCHIVES[3].name).unlink()
    with mirror.serve(PACKED, mirror.once(mirror.status(404), mirror.good)) as server:
        fetch(root, server.url, str(folder))
    assert server.requested == [FIRST, ARCHIVES[3].name]
    assert_complete(root)


def test_when_all_fail_each_is_listed_and_nothing_is_left(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused, missing = closed_port(), tmp_path / "missing"
    with (
        mirror.serve(PACKED, mirror.once(mirror.good, mirror.login_page)) as server,
        pytest.raises(DownloadError) as caught,
    ):
        fetch(root, refused, str(missing), server.url)
    message = str(caught.value)
    assert message.startswith(f"{ARCHIVES[1].name}: ")
    assert "\n" not in message
    assert f"{refused}: Connection refused" in message
    assert f"{missing}: not a folder" in message
    assert f"{server.url}: found an HTML page" in message
    assert "FASHION_MNIST_MIRROR" in message
    assert "`make demo`" in message
    assert list(root.iterdir()) == []


def test_a_failure_leaves_earlier_files_alone(root: Path, good: str) -> None:
    fetch(root, good)
    with pytest.raises(DownloadError):
        fetch(root, closed_port())
    assert_complete(root)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_nothing(root: Path) -> None:
    def interrupting(handler: mirror._Handler, content: bytes) -> None:
        handler.head(200, Content_Length=len(content))
        handler.wfile.write(content[:9000])
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        handler.drip(b"\0")

    with mirror.serve(PACKED, interrupting) as server, pytest.raises(KeyboardInterrupt):
        fetch(root, server.url)
    assert list(root.iterdir()) == []


def test_a_root_that_cannot_be_written(tmp_path: Path, good: str) -> None:
    root = tmp_path / "file"
    root.touch()
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(root, good)


@pytest.mark.parametrize("as_source", [str, Path.as_uri], ids=["path", "URL"])
def test_folders(
    root: Path, folder: Path, as_source: Callable[[Path], str], capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(root, as_source(folder))
    assert_complete(root)
    assert capfd.readouterr().err == ""


def test_faulty_folders_are_read_once(root: Path, folder: Path, pauses: list[float]) -> None:
    file = folder / FIRST

    def reason() -> str:
        with pytest.raises(DownloadError) as caught:
            fetch(root, str(folder), retries=5)
        return str(caught.value)

    packed = file.read_bytes()
    file.write_bytes(packed[:-1] + b"\xff")
    assert "found the SHA-256 sum" in reason()
    file.write_bytes(packed[:-1])
    assert f"found {len(packed) - 1:,} bytes, expected {len(packed):,}" in reason()
    file.unlink()
    assert "cannot be read (No such file or directory)" in reason()
    file.mkdir()
    assert "cannot be read (Is a directory)" in reason()
    assert pauses == []


def test_passwords_are_used_but_not_shown(root: Path, good: str, capfd: pytest.CaptureFixture[str]) -> None:
    with mirror.serve(PACKED, mirror.status(403)) as server:
        source = server.url.replace("://", "://user:s3cret@")
        fetch(root, source, good)
        assert server.authorization is not None
        with pytest.raises(DownloadError) as caught:
            fetch(root, source, source.replace("127.0.0.1", "a..b"), "http://user:s3/cret@127.0.0.1")
    shown = capfd.readouterr().err + str(caught.value)
    assert "***@127.0.0.1" in shown
    assert "s3" not in shown
    assert "user" not in shown


def test_the_proxy_of_the_environment_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirror.serve(PACKED, mirror.good) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        fetch(root, "http://mirror.invalid/data")
    assert_complete(root)


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def first(value: str) -> str:
        source, *rest = download.sources(["http://mirror"], {"FASHION_MNIST_MIRROR": value})
        assert rest == ["http://mirror"]
        return source

    assert first("some/folder") == str(tmp_path / "some" / "folder")
    assert first("~/folder") == str(tmp_path / "home" / "folder")
    assert first("~no-such-user/folder") == str(tmp_path / "~no-such-user" / "folder")
    assert first("file:///a%20b") == "file:///a%20b"
    assert first("https://host/path/") == "https://host/path/"
    # in the copy that DVC makes for an experiment, a relative folder is still the repository's
    in_a_copy = {"FASHION_MNIST_MIRROR": "folder", "DVC_ROOT": str(tmp_path / "main")}
    assert download.sources([], in_a_copy) == [str(tmp_path / "main" / "folder")]
    assert download.sources(["http://mirror"], {"FASHION_MNIST_MIRROR": " "}) == ["http://mirror"]
    assert download.sources(["http://mirror"], {}) == ["http://mirror"]


def test_links_in_a_circle_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (source,) = download.sources([], {"FASHION_MNIST_MIRROR": str(tmp_path / "a")})
    with pytest.raises(DownloadError, match="a: not a folder"):
        fetch(tmp_path / "root", source)


@rights.needed
@pytest.mark.parametrize("closed", ["closed", "closed/mirror", f"closed/mirror/{FIRST}"])
def test_a_folder_without_permission_is_passed_over(
    root: Path, folder: Path, tmp_path: Path, good: str, closed: str
) -> None:
    (tmp_path / "closed").mkdir()
    folder.rename(tmp_path / "closed" / "mirror")
    source = tmp_path / "closed" / "mirror"
    mode = (tmp_path / closed).stat().st_mode
    (tmp_path / closed).chmod(0)
    command = rights.without(*apart(root, str(source), good))
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    (tmp_path / closed).chmod(mode)
    assert ended.returncode == 0
    line, *_ = ended.stderr.splitlines()
    assert line == f"{FIRST}: {source}: cannot be read (Permission denied); trying the next source"
    assert_complete(root)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_the_sources_fault(
    root: Path, good: str, variable: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "/no/such/file")
    fetch(root, "https://127.0.0.1", good, retries=1)
    assert_complete(root)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"{FIRST}: https://127.0.0.1: Could not find a suitable TLS CA certificate bundle")
    assert line.endswith(
        f"/no/such/file (with the certificates that {variable} names); trying the next source"
    )


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_is_dead_is_not_called_the_mirrors_refusal(
    root: Path,
    folder: Path,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, closed_port().replace("://", "://user:s3cret@"))
    fetch(root, "http://mirror.invalid", str(folder))
    assert_complete(root)
    (line,) = capfd.readouterr().err.splitlines()
    expected = f"{FIRST}: http://mirror.invalid: the proxy that {variable} names: Connection refused;"
    assert line == f"{expected} trying the next source"


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://", "the proxy that http_proxy names: Please check proxy URL"),
        ("foo://127.0.0.1", "the proxy that http_proxy names: Proxy URL had unsupported scheme foo"),
        (
            "http://a:b:c",
            "not a valid http(s) URL, or it redirects to one that is not (through the proxy that",
        ),
    ],
)
def test_a_proxy_that_is_none_is_named(
    root: Path,
    folder: Path,
    proxy: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    fetch(root, "http://mirror.invalid", str(folder))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"{FIRST}: http://mirror.invalid: {reason}")


def test_a_proxy_that_does_not_find_the_mirror_is_told_from_the_mirror(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with mirror.serve(PACKED, mirror.silent) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        fetch(root, "http://mirror.invalid", str(folder))
    assert "within 1 s (through the proxy that http_proxy names)" in capfd.readouterr().err
    # not where the proxy is not asked
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetch(root, closed_port(), str(folder))
    assert "Connection refused; trying" in capfd.readouterr().err


@pytest.mark.skipif(not os.environ.get("FASHION_MNIST_MIRROR"), reason="FASHION_MNIST_MIRROR is not set")
def test_the_official_files_open_in_torchvision(root: Path) -> None:
    download.fetch(root, download.sources([], os.environ), timeout=20, retries=2)
    for split in ("train", "test"):
        ours, theirs = dataset.load(root, split), FashionMNIST(root, train=split == "train")
        assert np.array_equal(ours.pixels, theirs.data.numpy())
        assert np.array_equal(ours.labels, theirs.targets.numpy())
        assert [name.lower() for name in dataset.describe(root).classes] == [
            name.lower() for name in theirs.classes
        ]
