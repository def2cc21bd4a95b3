"""Run by the traced Python: imports every extension module there is and uses much of the standard library."""

import asyncio
import contextlib
import ctypes
import fcntl
import glob
import importlib
import mmap
import multiprocessing
import os
import select
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

MODULES = (
    "json", "email.message", "http.client", "urllib.request", "xml.etree.ElementTree", "decimal", "uuid", "curses",
    "logging.handlers", "zipfile", "tarfile", "readline", "dbm", "hashlib", "secrets",
)  # fmt: skip


def everything() -> None:
    """Import the extension modules."""
    for path in sorted(glob.glob("/usr/lib/python3.11/lib-dynload/*.so")):  # noqa: PTH207
        with contextlib.suppress(ImportError):
            importlib.import_module(os.path.basename(path).split(".")[0])  # noqa: PTH119
    for name in MODULES:
        importlib.import_module(name)


def files() -> None:
    """Files, folders, maps, locks."""
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/a", "w+b") as stream:  # noqa: PTH123
        stream.write(b"x" * 10000)
        stream.flush()
        os.fsync(stream.fileno())
        fcntl.flock(stream, fcntl.LOCK_EX)
        fcntl.lockf(stream, fcntl.LOCK_UN)
        mmap.mmap(stream.fileno(), 4096).close()
        os.truncate(f"{folder}/a", 5)
        os.rename(f"{folder}/a", f"{folder}/b")  # noqa: PTH104
        os.symlink("b", f"{folder}/c")  # noqa: PTH211
        os.utime(f"{folder}/b", (1, 1))
        os.chmod(f"{folder}/b", 0o600)  # noqa: PTH101
        list(os.scandir(folder))
        os.statvfs(folder)
        database = sqlite3.connect(f"{folder}/d")
        database.execute("create table t (a)")
        database.execute("insert into t values (1)")
        database.commit()
        database.close()


def processes() -> None:
    """Children, pipes, signals, threads."""
    subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(abs, range(4))
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.02)
    with ThreadPoolExecutor(2) as pool_of_threads:
        list(pool_of_threads.map(abs, range(8)))
    event = threading.Event()
    event.wait(0.01)
    ctypes.CDLL(None).getpid()
    os.getrandom(8)
    os.sched_getaffinity(0)
    os.nice(0)
    os.getgroups()


async def conversation() -> None:
    """A server and a client in one loop, with a child process and a name to look up."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n")
    await reader.readline()
    writer.close()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await child.wait()
    await asyncio.to_thread(socket.getaddrinfo, "localhost", 80)


everything()
files()
processes()
asyncio.run(conversation())
ssl.create_default_context()
poller = select.epoll()
poller.register(0)
poller.poll(0)
left, right = socket.socketpair()
left.sendall(b"x")
right.recv(1)
select.select([left], [], [], 0)
