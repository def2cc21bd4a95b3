"""A DHCP server for tests, and the wire that leads to it: Ethernet frames in datagrams, as QEMU's `-netdev socket` has
them. It answers ARP for itself, and each question as the test tells it to."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from tests.vm.agent_machine import free_port

OWN_MAC, OWN_ADDRESS = bytes.fromhex("525400000001"), IPv4Address("10.9.8.1")
ALL, NOBODY = IPv4Address("255.255.255.255"), IPv4Address(0)
IPV4, ARP, UDP = 0x0800, 0x0806, 17
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
MASK, ROUTER, RESOLVER, REQUESTED, LEASE, TYPE, SERVER, RENEW, REBIND = 1, 3, 6, 50, 51, 53, 54, 58, 59
COOKIE = bytes.fromhex("63825363")


@dataclass(frozen=True)
class Question:
    """A message of a client, and how it came."""

    source: IPv4Address
    target: IPv4Address
    mac: bytes
    xid: bytes
    is_to_all: bool  # answers shall be
    current: IPv4Address
    options: dict[int, bytes]

    @property
    def type(self) -> int:
        return self.options[TYPE][0]

    def address(self, option: int) -> IPv4Address:
        return IPv4Address(self.options[option])


@dataclass(frozen=True)
class Offer:
    """What a server lends."""

    address: IPv4Address = OWN_ADDRESS + 6
    seconds: int = 600
    renew_s: int = 300
    rebind_s: int = 500
    resolvers: tuple[IPv4Address, ...] = (OWN_ADDRESS,)
    mask: str = "255.255.255.0"

    def options(self) -> dict[int, bytes]:
        return {
            MASK: IPv4Address(self.mask).packed,
            ROUTER: OWN_ADDRESS.packed,
            RESOLVER: b"".join(each.packed for each in self.resolvers),
            LEASE: struct.pack(">I", self.seconds),
            RENEW: struct.pack(">I", self.renew_s),
            REBIND: struct.pack(">I", self.rebind_s),
        }


def message(question: Question, kind: int, offer: Offer | None = None, server: IPv4Address = OWN_ADDRESS) -> bytes:
    """A whole reply of DHCP; without an offer it lends nothing, as a refusal."""
    address = offer.address if offer else NOBODY
    head = bytes([2, 1, 6, 0]) + question.xid + bytes(8) + address.packed + bytes(8)
    options = {TYPE: bytes([kind]), SERVER: server.packed, **(offer.options() if offer else {})}
    text = b"".join(bytes([key, len(value)]) + value for key, value in options.items())
    return head + question.mac.ljust(16, b"\0") + bytes(192) + COOKIE + text + b"\xff"


def usual(question: Question, offer: Offer) -> list[bytes]:
    """What a server answers that has nothing against it."""
    return [message(question, OFFER if question.type == DISCOVER else ACK, offer)]


Answers = Callable[[Question], list[bytes]]


@dataclass
class Server:
    """A running server; `answer` may be changed at any time."""

    answer: Answers
    wire: socket.socket
    guest: tuple[str, int]
    questions: list[Question] = field(default_factory=list)

    @property
    def netdev(self) -> str:
        host, port = self.wire.getsockname()
        return f"socket,udp={host}:{port},localaddr={self.guest[0]}:{self.guest[1]}"

    def serve(self) -> None:
        while frame := self.wire.recv(65536):
            (kind,) = struct.unpack(">H", frame[12:14])
            if kind == ARP and IPv4Address(frame[38:42]) == OWN_ADDRESS:
                self.wire.sendto(_arp_reply(frame), self.guest)
            elif kind == IPV4 and frame[23] == UDP and frame[36:38] == struct.pack(">H", 67):
                question = _question(frame)
                self.questions.append(question)
                for reply in self.answer(question):
                    self.wire.sendto(_frame(frame[6:12], question, reply), self.guest)


@contextmanager
def running(answer: Answers) -> Iterator[Server]:
    """A server at the end of a wire, until the test is over."""
    with socket.socket(type=socket.SOCK_DGRAM) as wire:
        wire.bind(("127.0.0.1", 0))
        server = Server(answer, wire, ("127.0.0.1", free_port()))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            wire.sendto(b"", wire.getsockname())  # the end of the loop
            thread.join()


def _arp_reply(frame: bytes) -> bytes:
    asker, its_address = frame[22:28], frame[28:32]
    head = asker + OWN_MAC + struct.pack(">HHHBBH", ARP, 1, IPV4, 6, 4, 2)
    return (head + OWN_MAC + OWN_ADDRESS.packed + asker + its_address).ljust(60, b"\0")


def _question(frame: bytes) -> Question:
    text = frame[42 : 34 + int.from_bytes(frame[38:40], "big")]
    assert text[:4] == bytes([1, 1, 6, 0])
    assert text[236:240] == COOKIE
    options, rest = {}, text[240:]
    while rest[0] != 255:
        options[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return Question(
        source=IPv4Address(frame[26:30]),
        target=IPv4Address(frame[30:34]),
        mac=text[28:34],
        xid=text[4:8],
        is_to_all=bool(text[10] & 0x80),
        current=IPv4Address(text[12:16]),
        options=options,
    )


def _frame(mac: bytes, question: Question, text: bytes) -> bytes:
    target = ALL if question.is_to_all else question.current
    udp = struct.pack(">HHHH", 67, 68, 8 + len(text), 0) + text  # 0: no checksum (RFC 768)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0) + OWN_ADDRESS.packed + target.packed
    head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
    return (b"\xff" * 6 if question.is_to_all else mac) + OWN_MAC + struct.pack(">H", IPV4) + head + udp


def _checksum(head: bytes) -> int:
    total: int = sum(struct.unpack(">10H", head))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
