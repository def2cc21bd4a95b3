"""Addresses from the network in a real machine: QEMU's own server, and one that forgets, refuses and talks nonsense."""

import zlib

import pytest

from tests.vm import dhcp_server, labs
from tests.vm.agent_machine import Event, Lab, Machine
from tests.vm.dhcp_server import ACK, ALL, DISCOVER, NAK, NOBODY, OFFER, OWN_ADDRESS, REQUEST, Offer, Question
from tests.vm.labs import ORDINARY

pytestmark = [pytest.mark.vm, pytest.mark.slow]

ASKING = "network yes\ndhcp 15000\n" + ORDINARY
RULE = "rule address-lost alert 1 0 lease-lost * * *\n"
RESOLVER = "/run/kiln/resolv.conf"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return labs.lab("keeper", tmp_path_factory.mktemp("dhcp"), further=("dhcp",))


def shown(text: str) -> str:
    """What the application says of the resolver's file when it holds this."""
    content = text.encode().ljust(96, b"\n")
    return f"{RESOLVER}: mode=0644 uid=0 gid=0 size=96 crc={zlib.crc32(content):08x}"


def facts(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "mono"}


def asked(server: dhcp_server.Server) -> list[tuple[int, bool]]:
    """The kinds of questions, and whether they were for everybody."""
    return [(question.type, question.target == ALL) for question in server.questions]


def stop(machine: Machine) -> None:
    machine.say("stop\n")
    assert machine.end() == 0
    assert not machine.named("error")


def test_the_machine_is_reached_where_qemu_says(lab: Lab) -> None:
    conf = ASKING + "port 8080\nagent-port 9100\n" + RULE
    with lab.boot("show", RESOLVER, "serve", "8080", "200", conf=conf, ports=(8080, 9100)) as machine:
        machine.wait_for_event("healthy")
        assert machine.get("/", 8080).text == "ok\n"
        assert machine.get("/healthz").ok
        stop(machine)
    [lease] = machine.named("lease")
    assert facts(lease) == {
        "event": "lease",
        "address": "10.0.2.15/24",
        "gateway": "10.0.2.2",
        "server": "10.0.2.2",
        "seconds": 86400,
        "renewed": False,
    }
    assert shown("nameserver 10.0.2.3\n") in machine.output
    names = [event["event"] for event in machine.events]
    assert names.index("lease") < names.index("start")
    assert not machine.named("alert", "lease-wait", "lease-lost")


def test_a_lease_is_renewed_with_its_server(lab: Lab) -> None:
    offer = Offer(seconds=600, renew_s=1, rebind_s=500)
    with dhcp_server.running(lambda question: dhcp_server.usual(question, offer)) as server:
        with lab.boot("forever", conf=ASKING, netdev=server.netdev, ports=()) as machine:
            machine.wait_for_event("lease", 3)
            stop(machine)
        first, second = server.questions[0], next(each for each in server.questions if each.type == REQUEST)
        renewals = [
            each for each in server.questions if each.current != NOBODY
        ]  # not those asked again on a slow machine
    assert [lease["renewed"] for lease in machine.named("lease")][:3] == [False, True, True]
    assert (first.type, first.source, first.target, first.is_to_all) == (DISCOVER, NOBODY, ALL, True)
    assert (second.type, second.source, second.target, second.is_to_all) == (REQUEST, NOBODY, ALL, True)
    assert second.address(dhcp_server.REQUESTED) == offer.address
    assert second.address(dhcp_server.SERVER) == OWN_ADDRESS
    assert second.xid == first.xid
    assert len(renewals) >= 2
    for question in renewals:
        assert (question.type, question.source, question.target) == (REQUEST, offer.address, OWN_ADDRESS)
        assert (question.current, question.is_to_all) == (offer.address, False)
        assert not {dhcp_server.REQUESTED, dhcp_server.SERVER} & question.options.keys()
    assert not machine.named("lease-lost")


def test_a_single_address_has_a_way_out(lab: Lab) -> None:
    offer = Offer(seconds=600, renew_s=1, rebind_s=500, mask="255.255.255.255")
    with (
        dhcp_server.running(lambda question: dhcp_server.usual(question, offer)) as server,
        lab.boot("forever", conf=ASKING, netdev=server.netdev, ports=()) as machine,
    ):
        machine.wait_for_event("lease", 2)
        stop(machine)
    assert machine.named("lease")[0]["address"] == "10.9.8.7/32"
    renewal = next(question for question in server.questions if question.current != NOBODY)
    assert renewal.target == OWN_ADDRESS  # only a route leads there


def test_when_its_server_is_silent_every_other_is_asked(lab: Lab) -> None:
    offer = Offer(seconds=600, renew_s=1, rebind_s=3)

    def answer(question: Question) -> list[bytes]:
        return dhcp_server.usual(question, offer) if question.target == ALL else []

    with (
        dhcp_server.running(answer) as server,
        lab.boot("forever", conf=ASKING, netdev=server.netdev, ports=()) as machine,
    ):
        machine.wait_for_event("lease", 2)
        stop(machine)
    assert (REQUEST, False) in asked(server)
    assert [lease["renewed"] for lease in machine.named("lease")][:2] == [False, True]
    rebinding = next(question for question in server.questions[2:] if question.target == ALL)
    assert (rebinding.type, rebinding.current, rebinding.is_to_all) == (REQUEST, offer.address, False)
    assert not machine.named("lease-lost")


def test_without_any_answer_the_address_is_given_back_and_another_taken(lab: Lab) -> None:
    first, second = Offer(seconds=4, renew_s=1, rebind_s=2), Offer(address=OWN_ADDRESS + 20, resolvers=())
    conf = ASKING + RULE
    with (
        dhcp_server.running(lambda question: dhcp_server.usual(question, first)) as server,
        lab.boot("forever", conf=conf, netdev=server.netdev, ports=()) as machine,
    ):
        machine.wait_for_event("lease")
        server.answer = lambda _: []
        machine.wait_for_event("lease-lost")
        leases = len(machine.named("lease"))
        server.answer = lambda question: dhcp_server.usual(question, second)
        machine.wait_for_event("lease", leases + 1)
        stop(machine)
    lost, again = machine.named("lease-lost")[0], machine.named("lease")[leases]
    assert facts(lost) == {"event": "lease-lost", "address": "10.9.8.7", "what": "expired"}
    assert (again["address"], again["renewed"]) == ("10.9.8.21/24", False)
    [alert] = machine.named("alert")
    assert (alert["rule"], alert["on"], alert["what"]) == ("address-lost", "lease-lost", "expired")
    assert asked(server)[-2:] == [(DISCOVER, True), (REQUEST, True)]
    assert server.questions[-2].source == NOBODY  # it has none any more


def test_a_refusal_ends_the_lease_at_once(lab: Lab) -> None:
    offer, other = Offer(seconds=600, renew_s=1, rebind_s=500), Offer(address=OWN_ADDRESS + 30)

    def answer(question: Question) -> list[bytes]:
        if question.current == offer.address:
            return [dhcp_server.message(question, NAK)]
        return dhcp_server.usual(question, other if machine.named("lease") else offer)

    with (
        dhcp_server.running(lambda _: []) as server,
        lab.boot("forever", conf=ASKING, netdev=server.netdev, ports=()) as machine,
    ):
        server.answer = answer
        machine.wait_for_event("lease", 2)
        stop(machine)
    assert [lost["what"] for lost in machine.named("lease-lost")] == ["refused by the server"]
    assert [lease["address"] for lease in machine.named("lease")] == ["10.9.8.7/24", "10.9.8.31/24"]


def nonsense(question: Question, offer: Offer) -> list[bytes]:
    """Replies that are wrong in one point each, all for another address than the right one."""
    wrong = Offer(address=OWN_ADDRESS + 66)
    kind = OFFER if question.type == DISCOVER else ACK
    right, bad = dhcp_server.message(question, kind, offer), dhcp_server.message(question, kind, wrong)
    stranger = OWN_ADDRESS + 1  # no other server may give what this one has offered
    return [
        b"",
        bad[:200],
        bad[:-1],
        bad[:-3],
        bytes([1]) + bad[1:],
        bad[:4] + b"\0\0\0\0" + bad[8:],
        bad[:28] + b"\0\0\0\0\0\0" + bad[34:],
        bad[:236] + b"\0\0\0\0" + bad[240:],
        bad[:16] + bytes(4) + bad[20:],
        bad[:16] + b"\xff\xff\xff\xff" + bad[20:],
        bad[:240] + b"\xff",
        bad[:-1] + bytes(1000),
        dhcp_server.message(question, NAK, server=stranger),
        *([] if kind == OFFER else [dhcp_server.message(question, kind, wrong, stranger)]),
        dhcp_server.message(question, kind, Offer(address=wrong.address, seconds=0)),
        bytes(range(256)) * 5,
        right,
        bad,
    ]


def test_nonsense_is_passed_over(lab: Lab) -> None:
    offer = Offer(seconds=600, renew_s=1, rebind_s=500)
    with (
        dhcp_server.running(lambda question: nonsense(question, offer)) as server,
        lab.boot("forever", conf=ASKING, netdev=server.netdev, ports=()) as machine,
    ):
        machine.wait_for_event("lease", 3)
        stop(machine)
    assert {lease["address"] for lease in machine.named("lease")} == {"10.9.8.7/24"}
    assert not machine.named("lease-lost")


def test_without_a_server_the_application_starts_and_the_address_comes_later(lab: Lab) -> None:
    conf = ASKING.replace("15000", "300")
    words = ("show", RESOLVER, "print", "started", "forever")
    with (
        dhcp_server.running(lambda _: []) as server,
        lab.boot(*words, conf=conf, netdev=server.netdev, ports=()) as machine,
    ):
        machine.wait_for(lambda: "started" in machine.output, "the application's start")
        assert not machine.named("lease")
        server.answer = lambda question: dhcp_server.usual(question, Offer())
        machine.wait_for_event("lease")
        stop(machine)
    assert [facts(event) for event in machine.named("lease-wait")] == [{"event": "lease-wait", "waited_ms": 300}]
    assert shown("") in machine.output
