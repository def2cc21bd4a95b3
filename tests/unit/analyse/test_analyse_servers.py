"""Servers of every language and way of linking, traced under load: no call they make is missed by the analysis."""

import os

import pytest

from builder.edges.store import Store
from tests.truth import judge, recorded, servers

pytestmark = pytest.mark.slow


def truth_of(name: str, *, live: bool) -> judge.Truth:
    """The server and its trace; unprivileged users may not be allowed a root folder of their own."""
    try:
        return servers.truth(name, Store(), live=live)
    except servers.CannotRun as error:
        if os.geteuid() == 0:
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("name", servers.NAMES)
def test_no_call_of_a_server_is_missed(name: str, store: Store) -> None:
    truth = truth_of(name, live=False)
    found = judge.judged(truth, store)
    assert found.misses == ()
    assert [need for need in found.feature_misses if not need.startswith("path:")] == []
    assert set(servers.earlier().get(name, ())) - set(found.static) == set()
    hinted = judge.judged(truth, store, hinted=True)
    assert hinted.misses == ()
    assert set(hinted.feature_misses) <= set(found.feature_misses)
    if truth.case.start is None:  # else the hints know a configuration, and the earlier study had another
        assert set(servers.earlier().get(name, ())) - set(hinted.static) == set()


@pytest.mark.parametrize("name", ["nginx", "redis", "memcached", "httpd-musl"])
def test_a_server_that_is_run_now_does_nothing_the_analysis_lacks(name: str, store: Store) -> None:
    found = judge.judged(truth_of(name, live=True), store)
    assert found.misses == ()
    assert {"socket", "bind", "listen"} <= set(found.traced)


@pytest.mark.parametrize("name", servers.NAMES)
def test_a_kept_trace_is_a_server_s_under_load(name: str) -> None:
    path = servers.TRACES / f"{name}.json"
    if servers.SERVERS[name].compile:
        assert not path.exists()  # compiled anew on each machine, so never of the same files
        return
    trace = recorded.load(path)
    assert len(trace.syscalls()) >= 30
    assert {call.program for call in trace.calls} == {trace.calls[0].program}
