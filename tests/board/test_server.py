import socket
from types import SimpleNamespace

import pytest

from fashionboard.base.errors import BoardError
from fashionboard.board import server


def test_a_free_port_is_taken_and_one_in_use_gives_the_next() -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        found = server.free_port("127.0.0.1", port)
        assert port < found <= port + 20
        second.bind(("127.0.0.1", found))
        second.listen()
        assert server.free_port("127.0.0.1", port) > found
    assert server.free_port("127.0.0.1", found) == found
    assert server.free_port("127.0.0.1", 0) > 0


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer:DeprecationWarning")  # TensorBoard's own import
def test_a_port_that_is_taken_after_the_look_gives_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    look = server.free_port
    with socket.socket() as other:

        def free_port(host: str, port: int) -> int:
            found = look(host, port)
            if not port:
                other.bind((host, found))
                other.listen()
            return found

        monkeypatch.setattr(server, "free_port", free_port)
        flags = SimpleNamespace(host="127.0.0.1", bind_all=False, reuse_port=False)
        with server.listen(None, flags, "127.0.0.1", 0) as listening:
            assert listening.server_port == flags.port > other.getsockname()[1]


def test_a_host_that_is_none_of_this_machines_is_refused() -> None:
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(BoardError, match="expected a free port on "):
            server.free_port(host, 6006)


def test_the_last_port_has_no_next_one() -> None:
    with socket.socket() as last:
        last.bind(("127.0.0.1", 65535))
        last.listen()
        with pytest.raises(BoardError, match="found none from 65535 on"):
            server.free_port("127.0.0.1", 65535)
