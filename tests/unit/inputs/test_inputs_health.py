"""Health checks in image definitions: each asks one thing of the image's own application."""

import pytest

from builder.definition import Health, HealthCheck
from builder.errors import DefinitionError
from builder.inputs.definition_file import parse

BUILT = '[source]\nkind = "build"\ntoolchain = "musl"\n[run]\ncommand = ["/bin/a"]\n'
SERVING = BUILT + "[network]\nports = [8080, 8081]\n"


def test_without_checks_nothing_is_asked() -> None:
    assert parse(SERVING, "web").health == Health()
    assert not parse(SERVING, "web").health.is_asked


def test_a_check_is_one_line() -> None:
    found = parse(
        SERVING + '[health]\nready = { http = "/ready" }\nlive = { tcp = 8081, failures = 5 }\n', "web"
    ).health
    assert found == Health(HealthCheck(http="/ready"), HealthCheck(tcp=8081, failures=5))
    assert found.is_asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BUILT + "[health]\nlive = { tcp = 80 }\n", "health.live: the image has no network: it has no network.ports"),
        (SERVING + "[health]\nlive = {}\n", "health.live: asks one thing"),
        (SERVING + '[health]\nlive = { tcp = 80, http = "/" }\n', "health.live: asks one thing"),
        (SERVING + "[health]\nlive = { tcp = 80, port = 80 }\n", "health.live.port: belongs to http"),
        (SERVING + "[health]\nlive = { tcp = 9100 }\n", "health.live: 9100 is the agent's own port"),
        (SERVING + '[health]\nready = { http = "/", port = 9100 }\n', "health.ready: 9100 is the agent's own port"),
        (SERVING + '[health]\nready = { http = "ready" }\n', "health.ready.http: 'ready' is not an absolute path"),
        (SERVING + '[health]\nready = { http = "/a b" }\n', "health.ready.http"),
        (SERVING + '[health]\nready = { http = "/a\\r\\nX: y" }\n', "health.ready.http"),
        (SERVING + f'[health]\nready = {{ http = "/{"a" * 255}" }}\n', "health.ready.http"),
        (SERVING + "[health]\nlive = { tcp = 0 }\n", "health.live.tcp"),
        (SERVING + "[health]\nlive = { tcp = 80, failures = 0 }\n", "health.live.failures"),
        (SERVING + "[health]\nlive = { tcp = 80, interval_s = 0 }\n", "health.live.interval_s"),
        (
            SERVING + "[health]\nlive = { tcp = 80, timeout_s = nan }\n",
            "health.live.timeout_s: Expected",
        ),
        (SERVING + "[health]\nalive = { tcp = 80 }\n", "health.alive: unknown key"),
    ],
)
def test_what_cannot_work_is_refused(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text, "web")
    assert caught.value.message.startswith(f"images/web/image.toml: {said}")
