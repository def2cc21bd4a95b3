"""Messages of DHCP: what the agent asks, and what it believes of an answer. Nothing in an answer may harm it."""

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Ask = Callable[..., list[Any]]
MAC, XID = bytes.fromhex("525400123456"), bytes.fromhex("0badcafe")
CLIENT = MAC + XID
COOKIE = bytes.fromhex("63825363")
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
FOR_EVER = 0xFFFFFFFF
HOSTILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
Options = Sequence[tuple[int, bytes]]


def address(text: str) -> bytes:
    return IPv4Address(text).packed


def number(text: str) -> int:
    return int(IPv4Address(text))


def seconds(value: int) -> bytes:
    return struct.pack(">I", value)


def reply(
    options: Options, yours: str = "10.0.2.15", *, mac: bytes = MAC, xid: bytes = XID, end: bytes = b"\xff"
) -> bytes:
    head = bytes([2, 1, 6, 0]) + xid + bytes(8) + address(yours) + bytes(8) + mac.ljust(16, b"\0") + bytes(192)
    return head + COOKIE + b"".join(bytes([key, len(value)]) + value for key, value in options) + end


# in the order that these servers have
QEMU = [
    (53, b"\2"), (54, address("10.0.2.2")), (1, address("255.255.255.0")), (3, address("10.0.2.2")),
    (6, address("10.0.2.3")), (51, seconds(86400)),
]  # fmt: skip
DNSMASQ = [
    (53, b"\5"), (54, address("192.168.7.1")), (51, seconds(43200)), (58, seconds(21600)), (59, seconds(37800)),
    (1, address("255.255.255.0")), (28, address("192.168.7.255")), (6, address("192.168.7.1") + address("1.1.1.1")),
    (15, b"lan"), (3, address("192.168.7.1")),
]  # fmt: skip
LEAST = [(53, b"\5"), (54, address("10.0.0.1")), (51, seconds(60))]


def changed(options: Options, **new: bytes | None) -> Options:
    """Options with `o53=...` in place of what there was, or without (None)."""
    found = dict(options) | {int(key[1:]): value for key, value in new.items() if value is not None}
    return [(key, value) for key, value in found.items() if f"o{key}" not in new or new[f"o{key}"] is not None]


def test_what_servers_answer_is_understood(ask: Ask) -> None:
    padded = reply(DNSMASQ, "192.168.7.20") + bytes(40)
    qemu, dnsmasq, least = ask("dhcp", *(CLIENT + each for each in (reply(QEMU), padded, reply(LEAST))))
    gateway, resolver, mask = number("10.0.2.2"), number("10.0.2.3"), number("255.255.255.0")
    assert qemu == [OFFER, gateway, number("10.0.2.15"), mask, gateway, 86400, 43200, 75600, [resolver]]
    router = number("192.168.7.1")
    resolvers = [router, number("1.1.1.1")]
    assert dnsmasq == [ACK, router, number("192.168.7.20"), mask, router, 43200, 21600, 37800, resolvers]
    assert least == [ACK, number("10.0.0.1"), number("10.0.2.15"), number("255.0.0.0"), 0, 60, 30, 52, []]


def test_a_refusal_needs_no_more_than_its_sender(ask: Ask) -> None:
    options = [(53, b"\6"), (54, address("10.0.0.1"))]
    assert ask("dhcp", CLIENT + reply(options, "0.0.0.0")) == [[NAK, number("10.0.0.1"), 0, 0, 0, 0, 0, 0, []]]
    assert ask("dhcp", CLIENT + reply(options[:1], "0.0.0.0")) == [None]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (changed(LEAST, o51=seconds(FOR_EVER)), [FOR_EVER] * 3),
        (changed(LEAST, o51=seconds(FOR_EVER), o58=seconds(5), o59=seconds(6)), [FOR_EVER] * 3),
        (changed(LEAST, o58=seconds(10), o59=seconds(20)), [60, 10, 20]),
        (changed(LEAST, o58=seconds(20), o59=seconds(20)), [60, 30, 52]),
        (changed(LEAST, o58=seconds(0), o59=seconds(20)), [60, 30, 52]),
        (changed(LEAST, o58=seconds(10), o59=seconds(60)), [60, 30, 52]),
        (changed(LEAST, o58=seconds(10)), [60, 30, 52]),
        (changed(LEAST, o51=seconds(FOR_EVER - 1)), [FOR_EVER - 1, FOR_EVER // 2, (FOR_EVER - 1) * 7 // 8]),
        (changed(LEAST, o51=seconds(1)), [1, 0, 0]),
    ],
)
def test_times_are_in_order_or_the_usual_parts(ask: Ask, options: Options, times: list[int]) -> None:
    [found] = ask("dhcp", CLIENT + reply(options))
    assert found[5:8] == times


@pytest.mark.parametrize(
    "message",
    [
        b"",
        reply(QEMU)[:239],
        reply(QEMU)[:240],
        reply(QEMU, end=b""),
        reply(QEMU, end=b"\x0c"),
        reply(QEMU, end=b"\x0c\x05name\xff"),
        reply([*QEMU, (12, b"x" * 255)])[:-2],
        reply(QEMU, mac=bytes(6)),
        reply(QEMU, xid=bytes(4)),
        b"\1" + reply(QEMU)[1:],
        reply(QEMU)[:1] + b"\6" + reply(QEMU)[2:],
        reply(QEMU)[:2] + b"\x10" + reply(QEMU)[3:],
        reply(QEMU).replace(COOKIE, b"\x63\x82\x53\x64"),
        *(reply(QEMU, yours) for yours in ("0.0.0.0", "0.1.2.3", "255.255.255.255", "127.0.0.1", "224.0.0.1")),
        *(reply(QEMU, yours) for yours in ("10.0.2.0", "10.0.2.255", "240.0.0.1")),
        *(reply(changed(QEMU, **{key: None})) for key in ("o51", "o53", "o54")),
        *(reply(changed(QEMU, o53=value)) for value in (b"", b"\2\2", b"\0", b"\1", b"\3", b"\4", b"\7", b"\xff")),
        *(reply(changed(QEMU, o54=value)) for value in (b"", bytes(4), b"\xff" * 4, b"\n\0\2", address("224.0.0.1"))),
        *(reply(changed(QEMU, o1=value)) for value in (b"", bytes(4), b"\xff\0\xff\0", b"\xff\xff\xff", b"\0\0\0\xff")),
        *(reply(changed(QEMU, o51=value)) for value in (b"", bytes(4), b"\1", bytes(8))),
        *(reply(changed(QEMU, **{key: b"\1\2\3"})) for key in ("o3", "o6", "o58", "o59")),
        reply([*QEMU, (53, b"\2")]),
        reply([*QEMU, (54, address("10.0.2.9"))]),
        reply([*QEMU, (51, seconds(99))]),
    ],
)
def test_what_is_wrong_in_one_point_says_nothing(ask: Ask, message: bytes) -> None:
    assert ask("dhcp", CLIENT + message) == [None]


def test_neighbours_that_cannot_be_are_left_out(ask: Ask) -> None:
    hosts = ["0.0.0.0", "10.0.2.3", "255.255.255.255", "127.0.0.53", "10.0.2.4", "224.0.0.251", "10.0.2.5", "10.0.2.6"]
    several = changed(QEMU, o6=b"".join(map(address, hosts)), o3=address("10.0.2.1") + address("10.0.2.9"))
    wrong = [changed(QEMU, o3=address(text)) for text in ("0.0.0.0", "10.0.2.15", "239.0.0.1")]
    overloaded = reply([(52, b"\3"), *QEMU])
    found = ask("dhcp", *(CLIENT + message for message in (reply(several), *map(reply, wrong), overloaded)))
    assert found[0][8] == [number(f"10.0.2.{last}") for last in (3, 4, 5)]
    assert found[0][4] == number("10.0.2.1")
    assert [each[4] for each in found[1:4]] == [0, 0, 0]
    assert found[4] == ask("dhcp", CLIENT + reply(QEMU))[0]
    assert ask("dhcp", CLIENT + reply(changed(QEMU, o3=b"", o6=b"")))[0][4] == 0


def is_machine(value: bytes) -> bool:
    return len(value) == 4 and 0 < value[0] < 224 and value[0] != 127


def read_options(rest: bytes) -> dict[int, bytes] | None:
    """Options up to their end; None where one is cut off or there twice, or no end comes."""
    found: dict[int, bytes] = {}
    while rest[:1] != b"\xff":
        if rest[:1] == b"\0":
            rest = rest[1:]
            continue
        if len(rest) < 2 or len(rest) < 2 + rest[1] or rest[0] in found:
            return None
        found[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    return found


def is_right(own: bytes, found: dict[int, bytes]) -> bool:
    """Whether a lease can be: sizes, its time, the address within its network."""
    sizes = all(len(found[key]) == 4 for key in (1, 51, 58, 59) if key in found)
    lists = all(len(found[key]) % 4 == 0 for key in (3, 6) if key in found)
    if not sizes or not lists or not is_machine(own) or found.get(51, bytes(4)) == bytes(4):
        return False
    usual = "1" * (8 + 8 * (own[0] > 127) + 8 * (own[0] > 191))
    mask = format(int.from_bytes(found[1], "big"), "032b") if 1 in found else usual.ljust(32, "0")
    hosts = format(int.from_bytes(own, "big"), "032b")[mask.count("1") :]
    return "01" not in mask and "1" in mask and (len(hosts) < 2 or len(set(hosts)) == 2)


def expected(message: bytes) -> list[Any] | None:
    """The same by the book, read another way; times and neighbours are tests of their own."""
    is_ours = message[:3] == bytes([2, 1, 6]) and message[4:8] == XID and message[28:34] == MAC
    found = read_options(message[240:]) if is_ours and message[236:240] == COOKIE else None
    if not found or not is_machine(found.get(54, b"")) or found.get(53) not in (b"\2", b"\5", b"\6"):
        return None
    server = int.from_bytes(found[54], "big")
    if found[53] == b"\6":
        return [NAK, server, 0]
    own = message[16:20]
    return [found[53][0], server, int.from_bytes(own, "big")] if is_right(own, found) else None


def checked(ask: Ask, messages: Sequence[bytes]) -> None:
    found = ask("dhcp", *(CLIENT + message for message in messages))
    assert [each and each[:3] for each in found] == [expected(message) for message in messages]
    for lease in found:
        if lease and lease[0] != NAK:
            _, _, own, mask, gateway, whole, renew, rebind, resolvers = lease
            assert renew <= rebind <= whole > 0
            assert gateway != own
            assert mask
            assert len(resolvers) <= 3


options_of_any_kind = st.lists(
    st.one_of(
        st.sampled_from([*QEMU, *DNSMASQ, (1, address("255.255.255.252")), (53, b"\6"), (51, bytes(4))]),
        st.tuples(st.integers(0, 255), st.binary(max_size=20)),
    ),
    max_size=12,
)


@HOSTILE
@given(st.lists(st.tuples(options_of_any_kind, st.ip_addresses(v=4), st.binary(max_size=4)), min_size=1, max_size=20))
def test_any_options_are_read_as_the_book_says(ask: Ask, cases: list[tuple[Options, IPv4Address, bytes]]) -> None:
    checked(ask, [reply([*LEAST[:2], *options], str(yours), end=end) for options, yours, end in cases])
    checked(ask, [reply(options, str(yours), end=end + b"\xff") for options, yours, end in cases])


@HOSTILE
@given(st.lists(st.tuples(st.integers(0, 360), st.integers(0, 255)), min_size=1, max_size=50), st.integers(0, 360))
def test_no_changed_byte_and_no_cut_is_misread(ask: Ask, changes: list[tuple[int, int]], cut: int) -> None:
    whole = reply(DNSMASQ, "192.168.7.20")
    messages = [whole[:at] + bytes([value]) + whole[at + 1 :] for at, value in changes]
    checked(ask, [*messages, whole[:cut], *(message[:cut] for message in messages)])


@HOSTILE
@given(st.lists(st.binary(max_size=700), min_size=1, max_size=20))
def test_bytes_of_any_kind_harm_nobody(ask: Ask, data: list[bytes]) -> None:
    checked(ask, [*data, *(reply([])[:240] + each for each in data)])


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST])
@pytest.mark.parametrize("current", ["0.0.0.0", "10.0.2.15"])
@pytest.mark.parametrize("offered", ["0.0.0.0", "10.0.2.16"])
def test_a_question_says_what_it_must(ask: Ask, kind: int, current: str, offered: str) -> None:
    [found] = ask(
        "dhcp question",
        CLIENT + bytes([kind]) + struct.pack(">H", 259) + address(current) + address(offered) + address(offered),
    )
    message = bytes(found)
    assert len(message) == 300
    flags = b"\0\0" if current != "0.0.0.0" else b"\x80\0"  # who has no address yet hears only what is for everybody
    assert message[:12] == bytes([1, 1, 6, 0]) + XID + b"\1\3" + flags
    assert message[12:28] == address(current) + bytes(12)
    assert message[28:240] == MAC + bytes(202) + COOKIE
    asked = b"" if offered == "0.0.0.0" else b"\x32\4" + address(offered) + b"\x36\4" + address(offered)
    assert message[240:].rstrip(b"\0") == b"\x35\1" + bytes([kind]) + asked + b"\x37\7\1\3\6\x33\x36\x3a\x3b\xff"


def test_addresses_are_written_as_they_are_read(ask: Ask) -> None:
    wanted = ["10.0.2.15/24", "255.255.255.255/32", "0.0.0.0/0", "100.64.0.9/10"]
    found = ask(
        "address text",
        *(address(text.split("/")[0]) + seconds(-(1 << 32 - int(text.split("/")[1])) & FOR_EVER) for text in wanted),
    )
    assert found == wanted
