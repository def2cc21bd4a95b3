"""The attacker's end of a connection: system calls made in the service's name (tests/attack/images/victim)."""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from builder.analyse import table

LIMIT_S = 60.0
ROOM = 65536
OWN = {"fork bomb": 10000, "memory": 10001, "log flood": 10002, "32-bit call": 10003, "jump": 10004}


@dataclass(frozen=True)
class At:
    """An argument that points into the data, so many bytes from its start."""

    offset: int = 0


class EndedError(Exception):
    """The process that the attacker had taken over is gone."""


class Attacker:
    """A connection whose process does what it is told. What it cannot do ends with the negative error number."""

    def __init__(self, port: int, numbers: Callable[[str], int]) -> None:
        self._number = numbers
        self._peer = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._peer.sendall(b"!")
        self.data = b""

    def call(self, name: str, *arguments: int | At | str | bytes, data: bytes = b"", times: int = 1) -> int:
        """The last result of a call made so many times; a text or bytes are put in the data, and pointed to."""
        words: list[int] = []
        offsets = 0
        for place, argument in enumerate(arguments):
            if isinstance(argument, str | bytes):
                text = argument.encode() + b"\0" if isinstance(argument, str) else argument
                argument, data = At(len(data)), data + text + bytes(-len(text) % 8)  # noqa: PLW2901
            if isinstance(argument, At):
                offsets |= 1 << place
            words.append(argument.offset if isinstance(argument, At) else argument & (2**64 - 1))
        words += [0] * (6 - len(words))
        order = struct.pack("<10Q", OWN.get(name) or self._number(name), *words, offsets, times, len(data))
        try:
            self._peer.sendall(order + data)
            (result,) = struct.unpack("<q", self._take(8))
            self.data = self._take(len(data))
        except OSError as error:
            raise EndedError(str(error)) from error
        return int(result)

    def _take(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            if not (more := self._peer.recv(size - len(found))):
                raise EndedError("the connection ended")
            found += more
        return found

    def close(self) -> None:
        self._peer.close()


def numbers() -> Callable[[str], int]:
    """System call numbers of the guest by name."""
    found = {name: number for number, name in table.names().items()}
    return found.__getitem__
