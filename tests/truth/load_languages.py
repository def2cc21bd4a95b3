"""Loads of programs by language and way of linking: static C, Python, Go, Rust, C++."""

import functools
import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.truth.session import Session

SCRIPT = (Path(__file__).parent / "python_load.py").read_text()
CADDY = """{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    root * /srv/www
    encode gzip
    log
    templates
    file_server browse
    reverse_proxy /behind/* 127.0.0.1:{port}
    respond /say "hello {{http.request.uri}}"
}}
"""


def site(session: Session) -> None:
    """A few files to serve."""
    session.write("/srv/www/index.html", "<p>Kiln</p>" * 50)
    session.write("/srv/www/big.bin", "x" * 1_000_000)
    session.write("/srv/www/sub/a.txt", "text " * 9000)


def visit(session: Session, *paths: str) -> None:
    """Ask for the files of `site`, for what is not there, in other ways."""
    assert session.http("/index.html") == 200
    for path in ("/big.bin", "/sub/a.txt", "/absent", "/", "/sub/", *paths):
        session.http(path)
    session.http("/sub/a.txt", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    session.http("/index.html", "HEAD")
    session.http("/index.html", "POST", b"form")
    session.talk(b"nonsense\r\n\r\n")


def httpd(session: Session) -> None:
    """tests/c/analyse/httpd.c serving files."""
    site(session)
    with session.serving(str(session.port), "/srv/www"):
        for _ in range(3):
            visit(session, "/time")
        time.sleep(0.3)


def busybox(session: Session) -> None:
    """The web server of BusyBox, and a few of its other programs."""
    site(session)
    with session.serving("httpd", "-f", "-p", f"127.0.0.1:{session.port}", "-h", "/srv/www"):
        visit(session)
    session.run("sh", "-c", "ls -l /srv/www; cat /etc/passwd | sort | head -n 2; test -d /tmp && echo $((2 + 3)); wait")
    session.run("tar", "-cf", "/tmp/x.tar", "/srv/www")
    session.run("find", "/srv", "-type", "f")
    session.run("awk", "BEGIN { print 1 }")


def python(session: Session) -> None:
    """http.server, and a script that imports every extension module and uses many of them."""
    site(session)
    port = str(session.port)
    with session.serving("-m", "http.server", port, "--bind", "127.0.0.1", "-d", "/srv/www"):
        visit(session)
    session.write("/srv/load.py", SCRIPT)
    assert session.run("/srv/load.py") == 0, session.log.read_text()


def node_exporter(session: Session) -> None:
    """Metrics of this machine, several times."""
    with session.serving(f"--web.listen-address=127.0.0.1:{session.port}"):
        assert session.http("/metrics") == 200
        for path in ("/", "/metrics", "/metrics?collect[]=cpu", "/absent"):
            session.http(path)


def caddy(session: Session) -> None:
    """Files, listing, compression, templates, proxying."""
    site(session)
    session.write("/etc/caddy/Caddyfile", CADDY.format(port=session.port))
    with session.serving("run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"):
        visit(session, "/say", "/behind/index.html")
    session.run("version")


def sccache(session: Session) -> None:
    """The server in the foreground, asked for figures and to compile, and ended by its client."""
    place = {"SCCACHE_SERVER_PORT": str(session.port), "SCCACHE_DIR": "/var/lib/sccache"}
    server = session.start(env={**place, "SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"})
    server.wait_for_port(session.port)
    session.write("/srv/a.c", "int main(void) { return 0; }\n")
    session.run("--show-stats", env=place)
    session.run("gcc", "-c", "/srv/a.c", "-o", "/srv/a.o", env=place)
    session.run("--zero-stats", env=place)
    session.run("--stop-server", env=place)
    server.finish()


def ripgrep(session: Session) -> None:
    """Searching folders with several threads, compressed output, a file that is mapped, standard input."""
    site(session)
    assert session.run("-i", "kiln|text", "/srv", "/etc") == 0
    session.run("-c", "--hidden", "--no-ignore", "-P", r"\w+", "/usr/share")
    session.run("--mmap", "--json", "x", "/srv/www/big.bin")
    session.run("--files", "--sort", "path", "/srv")
    session.run("-o", "a", stdin=b"banana\n")


def fd(session: Session) -> None:
    """Finding files with several threads, running a program for each."""
    site(session)
    session.run(".", "/usr/share", "--changed-within", "10years", "-S", "+1k")
    assert session.run("-e", "html", ".", "/srv") == 0
    session.run("-e", "html", "-l", "-x", "/bin/none", ";", ".", "/srv")
    session.run("-H", "-t", "f", "a", "/etc")


def aria2(session: Session) -> None:
    """Asked by JSON-RPC to download by several connections, to pause, to tell."""
    with source() as address, session.serving(
        "--enable-rpc", f"--rpc-listen-port={session.port}", "--dir=/tmp", "--file-allocation=falloc",
        "--disable-ipv6=true", "--enable-dht=false", "--async-dns=false", "--max-connection-per-server=4",
        "--min-split-size=1M", "--save-session=/tmp/session", "--log=/tmp/log", "--check-integrity=true",
    ):  # fmt: skip

        def ask(method: str, *arguments: object) -> None:
            body = {"jsonrpc": "2.0", "id": "1", "method": f"aria2.{method}", "params": arguments}
            session.http("/jsonrpc", "POST", json.dumps(body).encode(), {"Content-Type": "application/json"})

        assert session.http("/jsonrpc?method=aria2.getVersion&id=1") == 200
        ask("getVersion")
        ask("addUri", [f"{address}/big.bin"], {"split": "4"})
        ask("addUri", [f"{address}/absent"])
        time.sleep(1.5)
        for method in ("tellActive", "getGlobalStat", "pauseAll", "unpauseAll", "saveSession", "purgeDownloadResult"):
            ask(method)
        ask("tellStopped", 0, 10)
        session.http("/")


@contextmanager
def source() -> Iterator[str]:
    """The address of a server of files on this machine's loopback."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"kiln-source-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    (folder / "big.bin").write_bytes(bytes(5_000_000))
    handler = functools.partial(_Quiet, directory=str(folder))
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        (folder / "big.bin").unlink()
        folder.rmdir()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away early is no error."""
