"""Loads of further servers: other event loops, plugins, languages that compile while they run."""

import socket
import struct
import time

from tests.truth.load_languages import site, source, visit
from tests.truth.session import Session

LIGHTTPD = """server.document-root = "/srv/www"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ( "mod_access", "mod_accesslog", "mod_dirlisting", "mod_rewrite", "mod_setenv", "mod_status" )
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "/tmp/error.log"
accesslog.filename = "/tmp/access.log"
dir-listing.activate = "enable"
index-file.names = ( "index.html" )
status.status-url = "/status"
"""
HAPROXY = """global
    nbthread 2
    maxconn 100
    user www-data
    group www-data
    stats socket /tmp/haproxy.sock
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend front
    bind 127.0.0.1:{port}
    stats enable
    stats uri /status
    compression algo gzip
    default_backend back
backend back
    balance roundrobin
    option httpchk
    server one {address} check inter 200
    server two 127.0.0.1:1 check inter 300
"""
MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location /tmp/
autosave_interval 1
log_dest file /tmp/mosquitto.log
user www-data
"""
DNSDIST = """setLocal("127.0.0.1:{port}")
setACL({{"127.0.0.0/8"}})
newServer({{address="127.0.0.1:1", checkInterval=1}})
addAction("kiln.test.", SpoofAction("192.0.2.1"))
pc = newPacketCache(1000)
getPool(""):setCache(pc)
"""
NODE = """const http = require('http'), fs = require('fs'), dns = require('dns'), zlib = require('zlib');
const { Worker, isMainThread } = require('worker_threads');
const child = require('child_process'), crypto = require('crypto');
const server = http.createServer((request, response) => {
  const path = '/srv/www' + request.url;
  if (!fs.existsSync(path) || !fs.statSync(path).isFile()) { response.writeHead(404); response.end('no'); return; }
  fs.createReadStream(path).pipe(response);
});
server.listen(PORT, '127.0.0.1');
fs.promises.readdir('/srv').then(names => fs.promises.writeFile('/tmp/names', names.join()));
fs.watch('/tmp', () => {});
dns.lookup('localhost', () => {});
zlib.gzip('text', () => {});
crypto.pbkdf2('a', 'b', 1000, 16, 'sha256', () => {});
new Worker('setTimeout(() => {}, 50)', { eval: true });
child.execFile(process.execPath, ['-e', '0'], () => {});
http.get({ port: PORT, host: '127.0.0.1', path: '/index.html' }, answer => answer.resume());
process.on('SIGTERM', () => process.exit(0));
"""
PHP = """<?php header('X-A: b'); session_save_path('/tmp'); session_start(); $_SESSION['n'] = 1;
file_put_contents('/tmp/p', json_encode(scandir('/srv'))); echo md5_file('/tmp/p');
echo gethostbyname('localhost'), date('c');
$s = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($s[0], 'x'); fread($s[1], 1); usleep(10);
flock(fopen('/tmp/p', 'r'), LOCK_EX); unlink('/tmp/p'); echo preg_replace('/a/', 'b', 'aaa'), random_int(1, 9);
"""


def lighttpd(session: Session) -> None:
    """Files, listing, status; plugins opened by name."""
    site(session)
    session.write("/etc/lighttpd.conf", LIGHTTPD.format(port=session.port))
    with session.serving("-D", "-f", "/etc/lighttpd.conf"):
        visit(session, "/status")


def haproxy(session: Session) -> None:
    """Between clients and a server of files that is checked, with another that is down."""
    with source() as address:
        plain = address.removeprefix("http://")
        session.write("/etc/haproxy.conf", HAPROXY.format(port=session.port, address=plain))
        with session.serving("-f", "/etc/haproxy.conf", "-db"):
            time.sleep(0.6)
            for path in ("/big.bin", "/", "/status", "/absent"):
                session.http(path, headers={"Accept-Encoding": "gzip"})
            session.http("/", "POST", b"x" * 10000)
            session.talk(b"nonsense\r\n\r\n")


def mosquitto(session: Session) -> None:
    """MQTT 3.1.1: subscribe, publish and keep, ping, leave; state saved to disk."""
    session.write("/etc/mosquitto.conf", MOSQUITTO.format(port=session.port))
    session.path("/tmp/x")

    def connect(name: bytes) -> bytes:
        body = b"\0\4MQTT\4\0\0\x3c" + struct.pack(">H", len(name)) + name
        return b"\x10" + bytes([len(body)]) + body

    with session.serving("-c", "/etc/mosquitto.conf"):
        for name in (b"one", b"two"):
            subscribe, publish = b"\x82\x08\0\1\0\3a/b\1", b"\x33\x0c\0\3a/b\0\2hello"
            got = session.talk(connect(name), subscribe, publish, b"\xc0\0", b"\xe0\0")
            assert got[:4] == b" \x02\0\0", got
        session.talk(b"nonsense")
        time.sleep(1.5)


def dnsdist(session: Session) -> None:
    """Questions over UDP and TCP: answered by itself, from its cache, by a server that is down."""
    session.write("/etc/dnsdist.conf", DNSDIST.format(port=session.port))
    question = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\4kiln\4test\0\0\1\0\1"
    other = question.replace(b"kiln", b"down")
    with session.serving("--supervised", "-C", "/etc/dnsdist.conf", "--disable-syslog"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", session.port))
            for _ in range(3):
                client.send(question)
                assert socket.inet_aton("192.0.2.1") in client.recv(512)
                client.send(other)
        session.talk(struct.pack(">H", len(question)) + question)
        time.sleep(1.5)


def node(session: Session) -> None:
    """An HTTP server in JavaScript that also reads, watches, resolves, packs and starts threads and a child."""
    site(session)
    session.write("/srv/server.js", NODE.replace("PORT", str(session.port)))
    with session.serving("/srv/server.js"):
        visit(session)
        time.sleep(0.5)


def php(session: Session) -> None:
    """PHP's own web server with a page that uses files, sessions, sockets."""
    site(session)
    session.write("/srv/www/page.php", PHP)
    with session.serving("-S", f"127.0.0.1:{session.port}", "-t", "/srv/www"):
        assert session.http("/page.php") == 200
        visit(session, "/page.php")
