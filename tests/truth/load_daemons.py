"""What servers are asked to do while they are traced: realistic loads of a few seconds."""

import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis as redis_client

from tests.truth.session import Session

NGINX_CONF, REDIS_CONF = "/etc/nginx/nginx.conf", "/etc/redis/redis.conf"
NGINX_ARGUMENTS = ("-c", NGINX_CONF)
MEMCACHED_ARGUMENTS = ("-u", "memcache", "-l", "127.0.0.1", "-m", "8", "-t", "4", "-p")  # and the port
REDIS = """bind 127.0.0.1
port {port}
unixsocket /run/redis.sock
dir /var/lib/redis
appendonly yes
save 1 1
daemonize no
"""
NGINX = """user www-data;
worker_processes 2;
pid /run/nginx.pid;
daemon off;
error_log /var/log/error.log info;
events {{ worker_connections 128; multi_accept on; }}
http {{
    include /etc/nginx/mime.types;
    access_log /var/log/access.log;
    sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 5; gzip on; gzip_types text/plain;
    open_file_cache max=10 inactive=5s;
    client_body_buffer_size 1k; client_max_body_size 10m;
    proxy_cache_path /var/lib/cache keys_zone=kept:1m;
    limit_req_zone $binary_remote_addr zone=slow:1m rate=1000r/s;
    upstream back {{ server unix:/run/back.sock; server 127.0.0.1:{port} backup; keepalive 2; }}
    server {{ listen unix:/run/back.sock; location / {{ return 200 "behind $uri"; }} }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        root /srv/www;
        limit_req zone=slow burst=50;
        location / {{ index index.html; }}
        location /list/ {{ autoindex on; }}
        location /aio/ {{ aio threads; alias /srv/www/; }}
        location /behind/ {{ proxy_pass http://back; proxy_cache kept; proxy_http_version 1.1; }}
        location /up/ {{ dav_methods PUT DELETE MKCOL COPY MOVE; create_full_put_path on; }}
        location /off/ {{ return 301 /; }}
    }}
}}
"""
MEMCACHED = (
    ("set a 0 0 5\r\nhello", "get a", "gets a", "append a 0 0 1\r\n!", "add n 0 0 1\r\n1", "incr n 5", "decr n 2"),
    ("touch a 10", "gat 5 a", "delete a", "mn", "ms m 2 T0\r\nhi", "mg m v", "version", "verbosity 1"),
    ("stats", "stats slabs", "stats items", "cache_memlimit 6", "flush_all", "nonsense"),
)


SQL = """
create table t (a integer primary key, b text);
with recursive n(x) as (values (1) union all select x + 1 from n where x < 3000) insert into t select x, hex(x) from n;
begin; update t set b = b || 'x' where a % 2; commit;
create index i on t (b); analyze; select count(*), sum(a) from t where b like '%1%' order by b;
.mode json
select * from t limit 2;
.backup /tmp/copy.db
.once /tmp/out.txt
.dump
pragma journal_mode = wal; insert into t values (90000, 'wal'); pragma wal_checkpoint; pragma integrity_check; vacuum;
attach '/tmp/copy.db' as other; create temp table u as select * from other.t; select random();
create virtual table f using fts5(x); insert into f values ('some words'); select * from f where f match 'words';
.import --csv /tmp/in.csv csv
.tables
.timer on
select readfile('/tmp/in.csv') is null, writefile('/tmp/w', 'x');
.shell true
.quit
"""


def nginx(session: Session) -> None:
    """Static files, compression, listing, proxying with a cache, uploads, reload, reopened logs, both ways to end."""
    session.write(NGINX_CONF, NGINX.format(port=session.port))
    session.write("/srv/www/index.html", "<p>Kiln</p>" * 50)
    session.write("/srv/www/list/a.txt", "text " * 9000)
    session.write("/srv/www/big.bin", "x" * 3_000_000)
    session.path("/srv/www/up").mkdir()
    session.path("/srv/www/up").chmod(0o777)
    session.path("/var/lib/nginx/x").parent.chmod(0o755)
    with session.serving(*NGINX_ARGUMENTS, stop=signal.SIGQUIT) as running:
        assert session.http("/") == 200
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(session.http, ["/", "/list/", "/list/a.txt", "/big.bin", "/aio/big.bin", "/absent"] * 8))
        for headers in ({"Accept-Encoding": "gzip"}, {"Range": "bytes=10-99"}, {"If-None-Match": '"x"'}):
            session.http("/list/a.txt", headers=headers)
        session.http("/", "HEAD")
        session.http("/", "POST", b"form")
        session.http("/up/file", "PUT", b"body" * 20000)
        session.http("/up/file", "COPY", headers={"Destination": f"http://127.0.0.1:{session.port}/up/other"})
        session.http("/up/dir/", "MKCOL")
        session.http("/up/file", "DELETE")
        for _ in range(2):
            session.http("/behind/a")
        session.talk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /off/ HTTP/1.1\r\nHost: a\r\n\r\n")
        session.talk(b"nonsense\r\n\r\n")
        running.signal(signal.SIGUSR1)
        running.signal(signal.SIGHUP)
        time.sleep(0.5)
        assert session.http("/") == 200
    with session.serving(*NGINX_ARGUMENTS):  # ends by SIGTERM, as a machine that powers down ends it
        assert session.http("/") == 200


def redis(session: Session) -> None:
    """Values of all kinds, expiry, transactions, publishing, scripts, both ways of saving, a replica, shutting down."""
    session.write(REDIS_CONF, REDIS.format(port=session.port))
    session.path("/var/lib/redis/x")
    with session.serving(REDIS_CONF):
        client = redis_client.Redis(port=session.port, socket_timeout=20)
        other = redis_client.Redis(port=session.port, socket_timeout=20)
        client.ping()
        for number in range(200):
            client.set(f"key{number}", "value" * number, ex=100 if number % 3 else None)
        client.lpush("list", *range(50))
        client.hset("hash", mapping={"a": "1", "b": "2"})
        client.zadd("sorted", {"a": 1.5, "b": 2})
        client.sadd("set", *range(20))
        client.xadd("stream", {"f": "v"})
        client.setbit("bits", 10, 1)
        client.pfadd("log", "a", "b")
        client.geoadd("geo", (1.0, 2.0, "here"))
        client.eval("return redis.call('get', KEYS[1])", 1, "key1")
        with client.pipeline() as pipe:
            pipe.multi()
            pipe.incr("count")
            pipe.expire("count", 1)
            pipe.execute()
        listener: Any = other.pubsub()  # type: ignore[no-untyped-call]
        listener.subscribe("news")
        client.publish("news", "hello")
        listener.get_message(timeout=1)
        client.config_set("maxmemory", "100mb")
        client.info()
        client.client_list()
        client.memory_stats()
        client.slowlog_get()
        list(client.scan_iter(count=50))
        client.save()
        client.bgsave()
        time.sleep(0.4)
        client.bgrewriteaof()
        time.sleep(1.2)
        client.replicaof("127.0.0.1", str(session.port))
        time.sleep(1.2)
        client.replicaof("NO", "ONE")
        client.flushall(asynchronous=True)
        listener.close()
        session.talk(b"PING\r\n", b"nonsense\r\n")
    session.run("--version")


def memcached(session: Session) -> None:
    """Text and meta protocol over several connections, large values, expiry, statistics, crowding out."""
    arguments = (*MEMCACHED_ARGUMENTS, str(session.port))
    with session.serving(*arguments, stop=signal.SIGINT):
        crowd = [socket.create_connection(("127.0.0.1", session.port)) for _ in range(8)]
        for number in range(300):
            value = b"v" * random.randrange(1, 60000)
            session_command = b"set key%d 0 %d %d\r\n%s\r\n" % (number, number % 3, len(value), value)
            crowd[number % 8].sendall(session_command)
            crowd[number % 8].recv(100)
        for connection in crowd:
            connection.close()
        for commands in MEMCACHED:
            session.talk(*(f"{command}\r\n".encode() for command in commands))
        session.talk(b"lru_crawler metadump all\r\n", b"watch fetchers\r\n", pause_s=0.2)
        session.talk(b"quit\r\n")
        time.sleep(1.0)
    with session.serving(*arguments, stop=signal.SIGUSR1):  # a graceful end
        session.talk(b"set a 0 0 5\r\nhello\r\n", b"get a\r\n")


def sqlite3(session: Session) -> None:
    """Tables, indexes, transactions, both journals, backup, import, export, a second reader of a locked database."""
    session.write("/tmp/in.csv", "a,b\n1,2\n")
    session.run("/tmp/t.db", stdin=SQL.encode())
    assert session.path("/tmp/copy.db").stat().st_size > 100_000
    waiting = session.start("/tmp/t.db", "begin exclusive; select sum(a) from t;", ".shell sleep 1", stdin=b"")
    session.run("-readonly", "-cmd", ".timeout 200", "/tmp/t.db", "select count(*) from t")
    waiting.finish()
