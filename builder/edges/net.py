"""Loopback ports of the host, and short conversations with a guest's."""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from builder.errors import HostError


def free_ports(wanted: Iterable[int]) -> Mapping[int, int]:
    """A free host port on loopback for each guest port."""
    with ExitStack() as open_sockets:
        found = {}
        for guest in wanted:
            probe = open_sockets.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found[guest] = int(probe.getsockname()[1])
        return found


def need_free(ports: Iterable[int]) -> None:
    """Raise HostError for a host port that is taken, or not permitted."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                hint = "choose another: --publish HOST:GUEST"
                raise HostError(f"port {port} on 127.0.0.1: {error.strerror}", hint) from error


def converse(port: int, send: bytes, enough: Callable[[bytes], bool], limit_s: float) -> bytes:
    """What a TCP service answers to `send`, read until `enough(answer)`, its end, or the time limit."""
    until, answer = time.monotonic() + limit_s, b""
    with socket.create_connection(("127.0.0.1", port), timeout=limit_s) as connection:
        connection.sendall(send)
        while not enough(answer) and (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                break
            if not piece:
                break
            answer += piece
    return answer
