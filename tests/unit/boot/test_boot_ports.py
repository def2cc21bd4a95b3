"""Which host port stands for which guest port, and whether it is to be had."""

import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.commands_run import published
from builder.edges import net
from builder.errors import DefinitionError, HostError
from builder.model import Image

SERVING = Image("service", "", "", "", 64, "microvm", (8080,), agent_port=9100)


def test_without_a_wish_every_port_is_published_as_itself() -> None:
    assert published([], SERVING) == {8080: 8080, 9100: 9100}


def test_low_ports_are_published_from_8000_up_since_they_are_not_ours() -> None:
    assert published([], Image("web", "", "", "", 64, "microvm", (80, 443))) == {80: 8080, 443: 8443}


def test_an_image_without_a_network_publishes_nothing() -> None:
    assert published([], Image("hello", "", "", "", 32, "microvm")) == {}


@given(st.lists(st.integers(1, 65535), unique=True, max_size=20))
def test_no_two_ports_share_a_host_port(ports: list[int]) -> None:
    found = published([], Image("many", "", "", "", 64, "microvm", tuple(ports)))
    assert set(found) == set(ports)
    assert len(set(found.values())) == len(ports)
    assert all(1024 <= host <= 65535 for host in found.values())


def test_wishes_are_all_that_is_published() -> None:
    assert published(["1234:80", "5678:9100"], SERVING) == {80: 1234, 9100: 5678}


@pytest.mark.parametrize("wish", ["", ":", "80", "80:", ":80", "a:b", "1:2:3", "-1:80", "8 0:80", "²:80", "0x1:80"])
def test_a_wish_that_is_not_two_ports_is_refused(wish: str) -> None:
    with pytest.raises(DefinitionError, match="not HOST:GUEST") as caught:
        published([wish], SERVING)
    assert caught.value.hint


@pytest.mark.parametrize("wish", ["0:80", "80:0", "65536:80", "80:65536", "99999:80", "80:" + "9" * 5000])
def test_so_is_a_number_that_is_no_port(wish: str) -> None:
    with pytest.raises(DefinitionError, match="not HOST:GUEST"):
        published([wish], SERVING)


@pytest.mark.parametrize("wishes", [["1000:80", "1000:81"], ["1000:80", "1001:80"]])
def test_a_port_cannot_be_published_twice(wishes: list[str]) -> None:
    with pytest.raises(DefinitionError, match=wishes[1]):
        published(wishes, SERVING)


def test_a_taken_port_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        with pytest.raises(HostError, match=f"port {port} .*in use"):
            net.need_free([port])


def test_free_ports_are_free_and_different() -> None:
    found = net.free_ports([80, 443, 9100])
    assert set(found) == {80, 443, 9100}
    assert len(set(found.values())) == 3
    net.need_free(found.values())
