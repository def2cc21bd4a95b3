"""Serving metrics to Prometheus."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from builder.errors import HostError


class _Live(Collector):
    """Families that are made at each scrape."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families()

    def describe(self) -> list[Metric]:
        """Nothing is known before the first scrape; without this the registry would ask for one at once."""
        return []


def serve(host: str, port: int, families: Callable[[], Iterable[Metric]]) -> int:
    """Answer `GET /metrics` from now on, from a thread; returns the port. Raises HostError where it is taken."""
    registry = CollectorRegistry()
    registry.register(_Live(families))
    try:
        server, _thread = start_http_server(port, host, registry)
    except OSError as error:
        raise HostError(f"{host}:{port}: {error.strerror}", "choose another: --listen HOST:PORT") from error
    return int(server.server_port)
