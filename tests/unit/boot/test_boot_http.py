"""What a guest's service answers is judged as it is: this machine's settings and the library's guesses have no part."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.edges import http
from builder.edges.http import Answer
from builder.edges.net import free_ports

LIMIT_S = 10.0


class Service(BaseHTTPRequestHandler):
    """Answers with what it was asked, in the way its path names."""

    def do_GET(self) -> None:
        match self.path:
            case "/moved":
                self._answer(301, b"moved", Location="/elsewhere")
            case "/latin":
                self._answer(200, "Grüße".encode("latin-1"), **{"Content-Type": "text/html; charset=ISO-8859-1"})
            case "/html":
                self._answer(200, "Grüße €".encode(), **{"Content-Type": "text/html"})
            case "/strange":
                self._answer(200, b"text", **{"Content-Type": "text/html; charset=klingon"})
            case "/bytes":
                self._answer(200, b"a\xff\xfeb")
            case "/nonsense":
                self.wfile.write(b"\0\xff no HTTP\r\n\r\n")
            case "/cut":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            case _:
                said = [self.headers.get(name, "-") for name in ("Authorization", "X-Word")]
                self._answer(200, " ".join(said).encode("latin-1"))

    def do_PUT(self) -> None:
        self._answer(201, self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def get(url: str, **headers: str) -> Answer | None:
    return http.ask("GET", url, limit_s=LIMIT_S, headers=headers)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_this_machine_is_not_asked(url: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    [dead] = free_ports([0]).values()
    for unset in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(unset, raising=False)
    monkeypatch.setenv(name, f"http://127.0.0.1:{dead}")
    assert get(url) == Answer(200, "- -")


def test_a_password_of_this_machine_is_not_sent(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "netrc"
    secrets.write_text("default login someone password secret\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("NETRC", str(secrets))
    assert get(url) == Answer(200, "- -")


def test_a_redirection_is_an_answer(url: str) -> None:
    assert get(f"{url}/moved") == Answer(301, "moved")


@pytest.mark.parametrize(
    ("path", "text"),
    [("/html", "Grüße €"), ("/latin", "Grüße"), ("/strange", "text"), ("/bytes", "a\ufffd\ufffdb")],
)
def test_a_body_is_utf8_unless_it_says_otherwise(url: str, path: str, text: str) -> None:
    assert get(url + path) == Answer(200, text)


def test_a_body_and_headers_go_out_as_utf8(url: str) -> None:
    assert http.ask("PUT", url, limit_s=LIMIT_S, body="Grüße €") == Answer(201, "Grüße €")
    assert get(url, **{"X-Word": "€"}) == Answer(200, "- €")


@pytest.mark.parametrize("path", ["/nonsense", "/cut"])
def test_what_is_no_whole_answer_is_none(url: str, path: str) -> None:
    assert get(url + path) is None


@pytest.mark.parametrize("headers", [{"X-Word": "a\r\nInjected: b"}, {"": "empty name"}])
def test_headers_that_are_none_are_not_sent(url: str, headers: dict[str, str]) -> None:
    assert get(url, **headers) is None


def test_where_nobody_listens_there_is_no_answer() -> None:
    [dead] = free_ports([0]).values()
    assert get(f"http://127.0.0.1:{dead}/") is None
