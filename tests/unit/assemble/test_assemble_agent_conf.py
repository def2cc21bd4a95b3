"""The agent's configuration: golden texts, and refusals of what the agent has no room for."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder.assemble import agent_conf, users
from builder.definition import (
    BuildSource,
    DebianSource,
    Definition,
    Directory,
    Disk,
    Files,
    Network,
    Process,
    Run,
    Tmpfs,
)
from builder.errors import DefinitionError
from builder.inputs import process_rules

REPOSITORY = Path(__file__).parents[3]
GOLDEN = REPOSITORY / "tests/golden/assemble"

PLAIN = Definition(source=BuildSource(toolchain="musl"), run=Run(("/bin/hello",), restart="never"), name="hello")
RICH = Definition(
    source=DebianSource(("redis-server",)),
    run=Run(
        ("/usr/bin/redis-server", "/etc/redis/redis.conf", "two words", "line\nfeed", r"back\slash"),
        user="redis",
        environment={"Z": "last", "LANG": "C.UTF-8", "EMPTY": ""},
        directory="/data",
        restart="always",
        stop_signal="INT",
        stop_timeout_s=2.5,
        open_files=10240,
    ),
    files=Files(
        directories=(Directory("/var/log/redis", user="redis"),),
        tmpfs=(Tmpfs("/tmp"), Tmpfs("/run", size_mib=4, user="www-data", mode="0750")),
    ),
    network=Network((6379, 80)),
    disk=Disk("/data", user="redis"),
    name="redis",
)


@pytest.mark.parametrize("definition", [PLAIN, RICH], ids=["plain", "rich"])
def test_the_configuration_is_the_golden_one(definition: Definition) -> None:
    name = "plain" if definition is PLAIN else "rich"
    known = users.of(definition)
    text = agent_conf.render(definition, known.uids, "/dev/vda", known.gids)
    assert text == (GOLDEN / f"agent-{name}.conf").read_text()


def test_a_group_of_another_number_is_the_users_own() -> None:
    uids, gids = {"redis": 101, "www-data": 33, "root": 0}, {"redis": 103, "www-data": 34, "root": 0}
    text = agent_conf.render(RICH, uids, "/dev/vda", gids)
    assert "uid 101\ngid 103\n" in text
    assert "mode=0750,uid=33,gid=34\n" in text
    assert "own /data 101 103\n" in text


def test_proc_comes_first_and_the_disk_last_of_the_mounts() -> None:
    known = users.of(RICH)
    text = agent_conf.render(RICH, known.uids, "/dev/vda")
    assert re.findall(r"^mount (\w+)", text, re.MULTILINE) == ["proc", "tmpfs", "tmpfs", "ext4"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": Network(tuple(range(1, 34)))}, "network.ports: 33 of them, the agent has room for 32"),
        ({"run": Run(tuple(["/a"] * 256))}, "run.command: 256 of them, the agent has room for 255"),
        ({"run": Run(("/a", "x" * 40000))}, r"run: 4\d+ bytes of configuration, the agent reads 32768"),
        ({"run": Run(("/a", "\0"))}, "run: a NUL character"),
        ({"files": Files(tmpfs=(Tmpfs("/my data"),))}, "'/my data' has a blank in it"),
    ],
)
def test_what_the_agent_could_not_read_is_refused(change: dict[str, object], said: str) -> None:
    definition = replace(PLAIN, **change)
    with pytest.raises(DefinitionError, match=f"images/hello/image.toml: .*{said}"):
        agent_conf.render(definition, users.of(definition).uids, "/dev/vda")


def test_the_limits_are_those_of_the_agent() -> None:
    header = (REPOSITORY / "recipes/agents/kiln/conf.h").read_text()
    defined = {name: int(value) for name, value in re.findall(r"#define CONF_(\w+) (\d+)", header)}
    assert defined["BYTES"] == agent_conf.SIZE_LIMIT
    assert {key: limit for key, (_, limit) in agent_conf.LIMITS.items()} == {
        "argument": defined["WORDS"],
        "environment": defined["WORDS"],
        "mount": defined["MOUNTS"],
        "port": defined["PORTS"],
        "guard": defined["WORDS"],
        "rule": defined["RULES"],
        "secret": defined["SECRETS"],
        "process": process_rules.MOST,
    }
    assert defined["PROCESSES"] == process_rules.MOST + 1
    assert defined["PROCESS_WORDS"] == process_rules.MOST_WORDS


def test_processes_come_in_order_with_all_that_is_theirs() -> None:
    beside = (
        Process("worker", ("/bin/w", "line\nfeed"), "www-data", {"B": "2", "A": "1"}, "/tmp", "never", 0, 64),
        Process("plain", ("/bin/p",)),
    )
    definition = replace(PLAIN, process=beside)
    text = agent_conf.render(definition, users.of(definition).uids, "/dev/vda")
    assert text[text.index("process ") : text.index("heartbeat-ms")] == (
        "process worker never 64 0 33 33\n"
        "process-argument /bin/w\nprocess-argument line\\nfeed\n"
        "process-environment A=1\nprocess-environment B=2\nprocess-directory /tmp\n"
        "process plain always 1024 256 1000 1000\nprocess-argument /bin/p\nprocess-directory /\n"
    )


def test_root_among_them_may_write_the_root_file_system() -> None:
    files = Files(tmpfs=(Tmpfs("/tmp"),))
    for user, said in (("worker", "yes"), ("root", "no")):
        definition = replace(PLAIN, files=files, process=(Process("one", ("/bin/w",), user),))
        assert f"read-only {said}\n" in agent_conf.render(definition, users.of(definition).uids, "/dev/vda")
