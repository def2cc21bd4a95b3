"""What the kernel says is understood: its messages, its tables of processes, devices and sockets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Ask = Callable[..., list[Any]]
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
REFUSED = "4,300,5140900,-;kiln: refused syscall nr={nr} comm={comm} pid={pid} ip={ip}\n"


def test_a_kernel_message_is_its_first_line(ask: Ask) -> None:
    record = "6,339,5140900,-,caller=T1;NET: Registered\\x0a \\x5cfamily\n SUBSYSTEM=net\n DEVICE=n2\n"
    assert ask("kmsg", record) == [{"level": 6, "facility": 0, "line": "NET: Registered\n \\family"}]


@pytest.mark.parametrize("record", ["", "6", "6,1,2,-", "x,1,2,-;text", "99999999999999999999,1,2,-;text", ";text"])
def test_what_is_no_record_is_left_alone(ask: Ask, record: str) -> None:
    assert ask("kmsg", record) == [None]


def test_incomplete_escapes_stay_as_they_are(ask: Ask) -> None:
    assert ask("kmsg", "12,1,2,-;a\\x4 b\\xzz c\\x\n") == [{"level": 4, "facility": 1, "line": "a\\x4 b\\xzz c\\x"}]


@pytest.mark.parametrize("comm", ["nginx", "", "a b", "x pid=7", "pid=1 ip=0 pid=2", "naïve"])
def test_a_refused_call_is_told_apart_whatever_the_program_is_called(ask: Ask, comm: str) -> None:
    record = REFUSED.format(nr=-1, comm=comm, pid=17, ip="7ffff7fe0000")
    [found] = ask("kmsg", record)
    assert (found["nr"], found["comm"], found["pid"], found["ip"]) == (-1, comm, 17, 0x7FFFF7FE0000)


def test_only_the_kernel_can_say_that_a_call_was_refused(ask: Ask) -> None:
    record = REFUSED.format(nr=1, comm="a", pid=1, ip="1")
    assert "nr" not in ask("kmsg", "12" + record[1:])[0]
    assert "nr" not in ask("kmsg", record.replace(" ip=1", ""))[0]


@RELAXED
@given(st.lists(st.binary(max_size=120), min_size=1, max_size=30))
def test_garbage_harms_no_parser(ask: Ask, data: list[bytes]) -> None:
    for mode in ("kmsg", "process", "traffic", "listeners", "address", "http", "counters", "named", "disks"):
        ask(mode, *data)
    ask("counters", *(b"Tcp: " + text + b"\nTcp: " + text for text in data))
    ask("kmsg", *(b"4,1,1,-;kiln: refused syscall nr=" + text for text in data))
    ask("listeners", *(b"  0: 00000000:" + text for text in data))


STAT = (
    "17 ({name}) S 1 17 17 0 -1 4194560 95 10 11 12 130 21 7 5 20 0 3 0 31 245760 23 18446744073709551615 1 1 0 0 0 0 "
    "0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)


@pytest.mark.parametrize("name", ["nginx", "a b", ") R 1 1", "((", ""])
def test_a_process_is_read_whatever_it_is_called(ask: Ask, name: str) -> None:
    assert ask("process", STAT.format(name=name)) == [[151, 12, 3, 245760, 23 * 4096, 0, 95, 10, 11, 12]]


def test_a_kernel_thread_is_known(ask: Ask) -> None:
    thread = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0 0 0\n"
    assert ask("process", thread)[0][5] == 1


def test_this_very_process_is_read_as_the_kernel_has_it(ask: Ask) -> None:
    [found] = ask("process", Path("/proc/self/stat").read_bytes())
    assert found[2] >= 1
    assert found[3] > found[4] > 0


def test_a_broken_off_stat_is_no_process(ask: Ask) -> None:
    whole = STAT.format(name="a")
    cut = [whole[:size] for size in range(whole.index("245760"))]
    assert ask("process", *cut) == [None] * len(cut)


DEVICES = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       2    3    4    0     0          0         0        5       6    7    8    0     0       0          0
  eth0:18446744073709551615 10 11 12 0 0 0 0 13 14 15 16 0 0 0 0
"""  # noqa: E501 - as the kernel writes it


def test_traffic_is_read_by_device(ask: Ask) -> None:
    assert ask("traffic", DEVICES) == [
        [["lo", [1, 2, 3, 4], [5, 6, 7, 8]], ["eth0", [2**64 - 1, 10, 11, 12], [13, 14, 15, 16]]]
    ]
    [own] = ask("traffic", Path("/proc/net/dev").read_bytes())
    assert "lo" in [device[0] for device in own]


SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn CurrEstab InSegs RetransSegs
Tcp: 1 -1 3 100 18446744073709551615
Udp: CurrEstab
Udp: 9
"""


def test_counters_are_found_by_protocol_and_name(ask: Ask) -> None:
    assert ask("counters", SNMP) == [[3, 2**64 - 1]]
    cut = SNMP.index("100")
    assert ask("counters", SNMP[:cut], SNMP.replace("Tcp:", "TcpExt:"), "Tcp: CurrEstab\n") == [[3, 0], [0, 0], [0, 0]]
    [own] = ask("counters", Path("/proc/net/snmp").read_bytes())
    assert own[0] < 2**32


def test_numbers_are_found_by_their_name_on_a_line(ask: Ask) -> None:
    text = "Name:\tctxt 5\nVmHWM:\t    1234 kB\nVmHWMx: 7\nctxt 99\nintr 1 2 3\n"
    assert ask("named", text, "ctxt", "VmHWM:\n", "") == [[1234, 99], [0, 0], [0, 0], [0, 0]]
    [own] = ask("named", Path("/proc/self/status").read_bytes())
    assert own[0] > 100
    [machine] = ask("named", Path("/proc/stat").read_bytes())
    assert machine[1] > 100


DISKS = """   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 120 3 9600 44 30 2 480 12 0 40 56 0 0 0 0 0 0
 254      16 vdb 0 0 0 0 1 0 8 0 0 0 0
"""


def test_disks_that_were_used_are_read(ask: Ask) -> None:
    assert ask("disks", DISKS) == [[["vda", [120, 9600], [30, 480]], ["vdb", [0, 0], [1, 8]]]]
    assert ask("disks", DISKS[: DISKS.index("480")], "1 2\n", "") == [[], [], []]


HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "{n:4}: {address}:{port:04X} {remote}:0000 {state:02X} 00000000:00000000 00:00000000 00000000 0 0 100 1\n"
ANY4, ANY6 = "00000000", "0" * 32


def rows(*sockets: tuple[str, int, int]) -> str:
    lines = (ROW.format(n=n, address=a, port=p, remote=a, state=s) for n, (a, p, s) in enumerate(sockets))
    return HEADING + "".join(lines)


@pytest.mark.parametrize("address", [ANY4, "0100007F", ANY6])
def test_listening_ports_are_found(ask: Ask, address: str) -> None:
    table = rows((address, 80, 10), (address, 22, 10), (address, 8080, 10))
    assert ask("listeners", table) == [[0b101, 0]]


def test_a_connection_is_no_listener_and_ends_the_search(ask: Ask) -> None:
    table = rows((ANY4, 80, 10), (ANY4, 443, 1), (ANY4, 8080, 10))
    assert ask("listeners", table) == [[0b001, 1]]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("10.0.2.15/24", [0x0A00020F, 0xFFFFFF00]),
        ("1.2.3.4/0", [0x01020304, 0]),
        ("255.255.255.255/32", [0xFFFFFFFF, 0xFFFFFFFF]),
        ("10.0.2.2", [0x0A000202]),
        ("10.0.2", None),
        ("10.0.2.256", None),
        ("10.0.2.15/33", None),
        ("10.0.2.15/", None),
        ("10.0.2.15/24 ", None),
        ("a.b.c.d", None),
        ("", None),
    ],
)
def test_addresses(ask: Ask, text: str, numbers: list[int] | None) -> None:
    assert ask("address", text) == [numbers]
