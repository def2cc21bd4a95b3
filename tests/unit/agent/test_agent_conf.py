"""agent.conf: what Kiln writes is what the agent reads; what is wrong is named with its line."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Ask = Callable[..., list[Any]]
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOSUID, NODEV, NOEXEC, NOATIME, READ_ONLY = 2, 4, 8, 1024, 1  # MS_* of <sys/mount.h>

WHOLE = r"""hostname nginx
argument /usr/sbin/nginx
argument -g
argument daemon off;\nuser a\\b;
environment LANG=C.UTF-8
environment EMPTY=
directory /srv
uid 33
gid 34
group 4
group 5
restart always
stop-signal 3
stop-timeout-ms 2500
open-files 4096
mount proc proc /proc nosuid,nodev,noexec
mount tmpfs tmpfs /tmp nosuid,nodev,size=8m,mode=1777,uid=0
mount ext4 /dev/vda /data noatime,ro
mount tmpfs tmpfs /run
own /data 33 34
network yes
port 80
port 443
agent-port 9100
dhcp 15000
guard stance exec deny
guard program /bin/a b
processes 99
read-only yes
rule shell kill 3 60000 guard exec denied /bin/a b*
secret db-password /run/secrets/db-password 1000 1000 0400
secret tls.key /run/secrets/key 0 4 0444
check live http 80 10000 2000 3 500 /alive?a=b c
check ready tcp 443 100 10 1 0
process worker on-failure 64 0 1001 1002
process-argument /usr/bin/worker
process-argument two words\nand lines
process-environment COLOUR=light blue
process-directory /srv
companion exporter always 1024 9 0 0
process-argument /bin/exporter
"""


def test_every_directive_is_understood(ask: Ask) -> None:
    assert ask("conf", WHOLE) == [
        {
            "arguments": ["/usr/sbin/nginx", "-g", "daemon off;\nuser a\\b;"],
            "environment": ["LANG=C.UTF-8", "EMPTY="],
            "directory": "/srv",
            "hostname": "nginx",
            "mounts": [
                ["proc", "proc", "/proc", NOSUID | NODEV | NOEXEC, ""],
                ["tmpfs", "tmpfs", "/tmp", NOSUID | NODEV, "size=8m,mode=1777,uid=0"],
                ["ext4", "/dev/vda", "/data", NOATIME | READ_ONLY, ""],
                ["tmpfs", "tmpfs", "/run", 0, ""],
            ],
            "owners": [["/data", 33, 34]],
            "ports": [80, 443],
            "groups": [4, 5],
            "uid": 33,
            "gid": 34,
            "restart": 2,
            "stop_signal": 3,
            "stop_timeout_ms": 2500,
            "open_files": 4096,
            "processes": 99,
            "read_only": 1,
            "rules": [["shell", "kill", 3, 60000, "guard", "/bin/a b*"]],
            "network": 1,
            "agent_port": 9100,
            "dhcp_wait_ms": 15000,
            "guard": ["stance exec deny", "program /bin/a b"],
            "secrets": [
                ["db-password", "/run/secrets/db-password", 1000, 1000, 0o400],
                ["tls.key", "/run/secrets/key", 0, 4, 0o444],
            ],
            "checks": [[443, 100, 10, 1, 0, ""], [80, 10000, 2000, 3, 500, "/alive?a=b c"]],
            "beside": [
                [
                    "worker",
                    ["/usr/bin/worker", "two words\nand lines"],
                    ["COLOUR=light blue"],
                    "/srv",
                    1,
                    64,
                    0,
                    1001,
                    1002,
                    0,
                ],
                ["exporter", ["/bin/exporter"], [], "/", 2, 1024, 9, 0, 0, 1],
            ],
        }
    ]


def test_a_program_is_all_that_must_be_said(ask: Ask) -> None:
    [conf] = ask("conf", "argument /bin/app")
    assert conf["directory"] == "/"
    assert conf["uid"] == 0
    assert conf["restart"] == 0
    assert conf["agent_port"] == 0
    assert conf["dhcp_wait_ms"] == 0


@RELAXED
@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=8))
def test_arguments_come_through_unchanged(ask: Ask, arguments: list[str]) -> None:
    words = ["/bin/app", *arguments]
    text = "".join("argument " + word.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for word in words)
    [conf] = ask("conf", text)
    assert conf["arguments"] == words


@RELAXED
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_garbage_is_refused_and_nothing_else(ask: Ask, data: list[bytes]) -> None:
    assert all("reason" in answer for answer in ask("conf", *data))


KEYS = re.findall(r"^([a-z-]+) ", WHOLE, re.MULTILINE)


@RELAXED
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=30)), max_size=40))
def test_any_values_are_read_or_refused(ask: Ask, lines: list[tuple[str, str]]) -> None:
    ask("conf", "".join(f"{key} {value}\n" for key, value in lines).encode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 0, "no program"),
        ("uid 5\n", 0, "no program"),
        ("argument /a\nfoo bar\n", 2, "unknown"),
        ("argument /a\nprocess a always 64 0 0 0\n", 0, "a process without process-argument"),
        ("argument /a\nprocess a seldom 64 0 0 0\n", 2, "not `name restart"),
        ("argument /a\nprocess a always 3 0 0 0\n", 2, "not `name restart"),
        ("argument /a\nprocess a always 64 0 0\n", 2, "not `name restart"),
        ("argument /a\nprocess  always 64 0 0 0\n", 2, "a name has"),
        ("argument /a\n" + "process a always 64 0 0 0\nprocess-argument /b\n" * 10, 20, "too many"),
        ("argument /a\nprocess a always 64 0 0 0\n" + "process-argument /b\n" * 32, 34, "too many"),
        ("argument /a\nprocess a always 64 0 0 0\nprocess-argument b\n", 3, "absolute"),
        ("argument /a\nprocess a always 64 0 0 0\nprocess-environment b\n", 3, "NAME=value"),
        ("argument /a\nprocess a always 64 0 0 0\nprocess-directory b\n", 3, "absolute"),
        *(
            (f"argument /a\nprocess-{key} /b=c\n", 2, "of no process")
            for key in ("argument", "environment", "directory")
        ),
        ("argument\n", 1, "absolute"),
        ("argument app\n", 1, "absolute"),
        ("argument /a\\t\n", 1, "backslash"),
        ("argument /a\\", 1, "backslash"),
        ("argument /a\nenvironment PATH\n", 2, "NAME=value"),
        ("argument /a\nenvironment =x\n", 2, "NAME=value"),
        ("argument /a\ndirectory srv\n", 2, "absolute"),
        ("argument /a\nuid -1\n", 2, "number"),
        ("argument /a\nuid 4294967295\n", 2, "number"),
        ("argument /a\nuid 5x\n", 2, "number"),
        ("argument /a\nsecret\n", 2, "not `name /path uid gid mode`"),
        ("argument /a\nsecret a /b 0 0\n", 2, "not `name /path uid gid mode`"),
        ("argument /a\nsecret a b 0 0 0400\n", 2, "not `name /path uid gid mode`"),
        ("argument /a\nsecret a /b x 0 0400\n", 2, "not `name /path uid gid mode`"),
        ("argument /a\nsecret a /b 0 0 0600\n", 2, "0400, 0440, 0444"),
        ("argument /a\nsecret a /b 0 0 048 \n", 2, "0400, 0440, 0444"),
        ("argument /a\ncheck\n", 2, "not `kind"),
        ("argument /a\ncheck start tcp 80 100 100 1 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready udp 80 100 100 1 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready tcp 0 100 100 1 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready tcp 80 9 100 1 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready tcp 80 100 100 0 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready tcp 80 100 100 1\n", 2, "not `kind"),
        ("argument /a\ncheck ready tcp 80 100 100 1 0 /a\n", 2, "not `kind"),
        ("argument /a\ncheck ready http 80 100 100 1 0\n", 2, "not `kind"),
        ("argument /a\ncheck ready http 80 100 100 1 0 a\n", 2, "not `kind"),
        (f"argument /a\ncheck ready http 80 100 100 1 0 /{'a' * 255}\n", 2, "not `kind"),
        ("argument /a\n" + "check ready tcp 80 100 100 1 0\n" * 2, 3, "twice"),
        ("argument /a\n" + "secret a /b 0 0 0400\n" * 17, 18, "too many"),
        ("argument /a\ngid\n", 2, "number"),
        ("argument /a\nrestart sometimes\n", 2, "never"),
        ("argument /a\nstop-signal 0\n", 2, "number"),
        ("argument /a\nstop-signal 65\n", 2, "number"),
        ("argument /a\nstop-timeout-ms 99999999999999999999\n", 2, "number"),
        ("argument /a\nopen-files 3\n", 2, "number"),
        ("argument /a\nmount proc\n", 2, "type source"),
        ("argument /a\nmount proc proc proc\n", 2, "type source"),
        ("argument /a\nown /data 1\n", 2, "uid gid"),
        ("argument /a\nnetwork maybe\n", 2, "yes"),
        ("argument /a\nnetwork yes\nport 0\n", 3, "number"),
        ("argument /a\nnetwork yes\nport 65536\n", 3, "number"),
        ("argument /a\nport 80\n", 0, "without a network"),
        ("argument /a\nagent-port 80\n", 0, "without a network"),
        ("argument /a\ndhcp 1\n", 0, "dhcp without a network"),
        ("argument /a\nnetwork yes\ndhcp 0\n", 3, "not a number"),
        ("argument /a\nnetwork yes\ndhcp 600001\n", 3, "not a number"),
        ("argument /a\nnetwork yes\nport 80\nagent-port 80\n", 0, "agent-port"),
        ("argument /a\nhostname " + "x" * 65, 2, "64"),
        ("argument /a\0b\n", 0, "NUL"),
        ("argument /a\n" * 256, 256, "too many"),
        ("argument /a\n" + "group 1\n" * 33, 34, "too many"),
        ("argument /a\nnetwork yes\n" + "port 1\n" * 33, 35, "too many"),
        ("argument /a\n" + "guard seal\n" * 256, 257, "too many"),
        ("argument /a\n" + "mount a b /c\n" * 33, 34, "too many"),
        ("argument /a\n" + "own /c 1 1\n" * 33, 34, "too many"),
        ("argument /a\nrule a shout 1 0 guard * * *\n", 2, "responses"),
        ("argument /a\nrule a kill 0 0 guard * * *\n", 2, "number"),
        ("argument /a\nrule a kill 1 x guard * * *\n", 2, "number"),
        ("argument /a\nrule a kill 1 0 guard * *\n", 2, "name response"),
        ("argument /a\n" + "rule a kill 1 0 guard * * *\n" * 65, 66, "too many"),
    ],
)
def test_what_is_wrong_is_named(ask: Ask, text: str, line: int, reason: str) -> None:
    [answer] = ask("conf", text)
    assert answer["line"] == line
    assert reason in answer["reason"]
