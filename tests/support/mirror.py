"""A real web server on 127.0.0.1 that serves files, each with the fault that a test asks for."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGIN = b"<!DOCTYPE html><title>Log in</title>"


class Mirror(ThreadingHTTPServer):
    """Answers every GET with `answer`; `requested` lists the file names that were asked for."""

    daemon_threads = False  # closing the server then waits for its handlers, so that no socket stays open

    def __init__(self, files: Mapping[str, bytes], answer: "Answer") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.answer = answer
        self.requested: list[str] = []
        self.authorization: str | None = None
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that hang up are what the faults are for."""


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.requested.append(name)
        self.server.authorization = self.headers["Authorization"]
        if "//" in self.path.removeprefix("http://"):
            self.head(404)  # as an object store answers; a file server would not mind
        else:
            self.server.answer(self, self.server.files[name])

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def drip(self, byte: bytes) -> None:
        while not self.server.stopping.wait(0.05):
            self.wfile.write(byte)


Answer = Callable[[_Handler, bytes], None]


@contextmanager
def serve(files: Mapping[str, bytes], answer: Answer) -> Iterator[Mirror]:
    """Run a mirror of `files` for as long as the context lasts."""
    with Mirror(files, answer) as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.stopping.set()
            mirror.shutdown()
            thread.join()


def good(handler: _Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content))
    handler.wfile.write(content)


def good_without_length(handler: _Handler, content: bytes) -> None:
    handler.head(200)
    handler.wfile.write(content)


def labelled_as_compressed(handler: _Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content), Content_Encoding="gzip")
    handler.wfile.write(content)


def silent(handler: _Handler, content: bytes) -> None:
    handler.server.stopping.wait()


def dripping(handler: _Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content))
    handler.drip(b"\0")


def dripping_headers(handler: _Handler, content: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    handler.drip(b"x")


def cut_off(handler: _Handler, content: bytes) -> None:
    handler.head(200, Content_Length=len(content))
    handler.wfile.write(content[:-5])


def cut_off_without_length(handler: _Handler, content: bytes) -> None:
    good_without_length(handler, content[:-5])


def short(handler: _Handler, content: bytes) -> None:
    good(handler, content[:-5])


def long(handler: _Handler, content: bytes) -> None:
    good_without_length(handler, 2 * content)


def corrupt(handler: _Handler, content: bytes) -> None:
    good(handler, content[:-1] + bytes([content[-1] ^ 1]))


def login_page(handler: _Handler, content: bytes) -> None:
    handler.head(200, Content_Type="text/html; charset=utf-8", Content_Length=len(LOGIN))
    handler.wfile.write(LOGIN)


def redirect_loop(handler: _Handler, content: bytes) -> None:
    handler.head(302, Location=handler.path, Content_Length=0)


def redirect_to(url: str) -> Answer:
    return lambda handler, content: handler.head(302, Location=url + handler.path, Content_Length=0)


def status(code: int) -> Answer:
    return lambda handler, content: handler.head(code, Content_Length=0)


def once(first: Answer, then: Answer) -> Answer:
    """Answer the first request with `first` and all others with `then`."""
    return lambda handler, content: (first if len(handler.server.requested) == 1 else then)(handler, content)
