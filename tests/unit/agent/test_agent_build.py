"""The agent is compiled once, to the same bits everywhere, and reads what Kiln writes for it."""

import shutil
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from builder.assemble import agent_conf
from builder.compile import agent
from builder.definition import (
    BuildSource,
    Definition,
    Disk,
    Files,
    Health,
    HealthCheck,
    Network,
    Process,
    Run,
    Secret,
    Tmpfs,
)
from builder.edges.store import Store
from builder.errors import CompileError, DefinitionError, HostError

Ask = Callable[..., list[Any]]
FOLDER = Path(__file__).parents[3] / "recipes" / "agents" / "kiln"
PARTS = tuple(tomllib.loads((FOLDER / "agent.toml").read_text())["further"])
LIMIT_BYTES = 100_000
PAGE = 4096


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))
    return Store(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the agent's folder, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "agents" / "kiln"))


def test_it_is_one_small_static_program(store: Store) -> None:
    [init] = agent.build(FOLDER, store).values()
    assert (init.path, init.kind, init.mode, init.origin) == ("/init", "file", 0o755, "agent")
    assert init.size_bytes < LIMIT_BYTES
    content = Path(init.host).read_bytes()
    assert content.startswith(b"\x7fELF\x02\x01\x01")
    assert b"/lib/ld-musl" not in content
    assert Path(init.host).stat().st_mode & stat.S_IXUSR


def test_the_same_sources_give_the_same_bits_wherever_they_lie(store: Store, folder: Path, tmp_path: Path) -> None:
    here = agent.build(FOLDER, store)["/init"]
    there = agent.build(folder, Store(tmp_path / "other"))["/init"]
    assert here.sha256 == there.sha256


def test_it_is_made_once_and_again_when_a_source_changes(store: Store, folder: Path) -> None:
    agent.build(folder, store)
    agent.build(folder, store)
    assert len(store.made) == 1
    (folder / "main.c").write_text((folder / "main.c").read_text().replace("kiln/1", "kiln/2"))
    changed = agent.build(folder, store)["/init"]
    assert len(store.made) == 2
    assert b"kiln/2" in Path(changed.host).read_bytes()


def test_without_network_it_is_smaller_and_knows_no_page(store: Store) -> None:
    whole, offline = (agent.build(FOLDER, store, network=network)["/init"] for network in (True, False))
    assert offline.size_bytes < whole.size_bytes
    assert b"/proc/net/tcp" in Path(whole.host).read_bytes()
    assert b"/proc/net" not in Path(offline.host).read_bytes()
    assert b"/healthz" not in Path(offline.host).read_bytes()


def test_only_one_made_for_traces_knows_of_them(store: Store, folder: Path) -> None:
    usual, tracing = (agent.build(FOLDER, store, further=parts)["/init"] for parts in ([], ["trace"]))
    assert b"/proc/kiln_trace" in Path(tracing.host).read_bytes()
    assert b"/proc/kiln_trace" not in Path(usual.host).read_bytes()
    (folder / "trace.c").write_text("#error not for this one\n")
    assert agent.build(folder, store)["/init"].sha256 == usual.sha256


def test_only_one_for_secrets_knows_of_them(store: Store, folder: Path) -> None:
    usual, taking = (agent.build(FOLDER, store, further=parts)["/init"] for parts in ([], ["secrets"]))
    assert b"/sys/firmware/qemu_fw_cfg" in Path(taking.host).read_bytes()
    assert b"/sys" not in Path(usual.host).read_bytes()
    assert usual.size_bytes <= taking.size_bytes < LIMIT_BYTES  # in whole pages
    (folder / "secret.c").write_text("#error not for this one\n")
    (folder / "conf_secret.c").write_text("#error not for this one\n")
    assert agent.build(folder, store)["/init"].sha256 == usual.sha256


def test_only_one_for_health_checks_knows_of_them(store: Store, folder: Path) -> None:
    usual, asking = (agent.build(FOLDER, store, further=parts)["/init"] for parts in ([], ["health"]))
    assert b"ready check" in Path(asking.host).read_bytes()
    assert b"ready check" not in Path(usual.host).read_bytes()
    assert usual.size_bytes - PAGE < asking.size_bytes < LIMIT_BYTES  # the linker rounds a segment to pages
    for name in ("health.c", "probe.c", "conf_health.c"):
        (folder / name).write_text("#error not for this one\n")
    assert agent.build(folder, store)["/init"].sha256 == usual.sha256


def test_only_one_for_lent_addresses_knows_of_them(store: Store, folder: Path) -> None:
    usual, asking = (agent.build(FOLDER, store, further=parts)["/init"] for parts in ([], ["dhcp"]))
    assert b"lease-lost" in Path(asking.host).read_bytes()
    assert b"lease-lost" not in Path(usual.host).read_bytes()
    assert b"/run/kiln" not in Path(usual.host).read_bytes()
    assert usual.size_bytes - PAGE < asking.size_bytes < LIMIT_BYTES  # the linker rounds a segment to pages
    for name in ("dhcp.c", "dhcp_message.c", "resolver.c", "conf_dhcp.c"):
        (folder / name).write_text("#error not for this one\n")
    assert agent.build(folder, store)["/init"].sha256 == usual.sha256


def test_one_with_every_part_is_small_as_well(store: Store) -> None:
    [init] = agent.build(FOLDER, store, further=sorted({*PARTS} - {"companion"})).values()
    assert init.size_bytes < LIMIT_BYTES


def test_an_image_gets_the_agent_that_its_definition_asks_for(store: Store) -> None:
    plain = Definition(source=BuildSource(), run=Run(("/bin/app",)))
    asked = Health(live=HealthCheck(tcp=80))
    keeping = replace(plain, secret=(Secret("key"),), network=Network((80,)), health=asked)
    lent = replace(plain, network=Network((80,), "dhcp"))
    beside = replace(plain, process=(Process("worker", ("/bin/worker",)),))
    built = [agent.of(each, FOLDER.parent, store)["/init"].sha256 for each in (plain, keeping, lent, beside)]
    assert built[3] == agent.build(FOLDER, store, network=False, further=["companion"])["/init"].sha256
    assert built[0] == agent.build(FOLDER, store, network=False)["/init"].sha256
    assert built[1] == agent.build(FOLDER, store, further=["secrets", "health"])["/init"].sha256
    assert built[2] == agent.build(FOLDER, store, further=["dhcp"])["/init"].sha256


@pytest.mark.parametrize("part", PARTS)
def test_an_agent_that_lacks_a_part_is_named(store: Store, folder: Path, part: str) -> None:
    recipe = (folder / "agent.toml").read_text()
    (folder / "agent.toml").write_text(recipe.replace(f"[further.{part}", f"[further.other-{part}"))
    with pytest.raises(DefinitionError, match=f"kiln.*{part}"):
        agent.build(folder, store, further=[part])


def test_every_source_is_listed_and_no_file_is_long() -> None:
    recipe = (FOLDER / "agent.toml").read_text()
    for path in FOLDER.glob("*.[ch]"):
        assert f'"{path.name}"' in recipe
        assert len(path.read_text().splitlines()) <= 300, path.name


def test_what_the_compiler_says_is_shown(store: Store, folder: Path) -> None:
    (folder / "text.c").write_text("int main(void) { return nothing; }\n")
    with pytest.raises(CompileError) as caught:
        agent.build(folder, store)
    assert "nothing" in caught.value.tail
    assert store.find("agent", "") is None


def test_a_warning_is_an_error(store: Store, folder: Path) -> None:
    source = folder / "backoff.c"
    source.write_text(source.read_text() + "static int unused(void) { return 1; }\n")
    with pytest.raises(CompileError):
        agent.build(folder, store)


def test_an_agent_that_is_not_there_is_named_with_those_that_are(store: Store, folder: Path) -> None:
    with pytest.raises(DefinitionError) as caught:
        agent.build(folder.parent / "klin", store)
    assert "klin" in caught.value.message
    assert "kiln" in caught.value.hint


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("sources = []", "description"),
        ('description = "x"\nsources = ["a.c"]\nflags = []', "flags"),
        ("description = ", "agent.toml"),
        ('description = "x"\nsources = ["no.c"]', "no.c"),
    ],
)
def test_a_wrong_recipe_is_named(store: Store, folder: Path, recipe: str, words: str) -> None:
    (folder / "agent.toml").write_text(recipe)
    with pytest.raises(DefinitionError) as caught:
        agent.build(folder, store)
    assert "recipes/agents/kiln/agent.toml" in caught.value.message
    assert words in caught.value.message


def test_a_missing_compiler_is_named_with_its_package(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as caught:
        agent.build(FOLDER, store)
    assert "musl-gcc" in caught.value.message
    assert "musl-tools" in caught.value.hint


def test_what_kiln_writes_is_what_the_agent_reads(ask: Ask) -> None:
    command = ("/bin/app", "a b", "line\nfeed \\n")
    definition = Definition(
        source=BuildSource(),
        run=Run(command, environment={"A": "b=c\\"}, restart="always", stop_signal="QUIT"),
        files=Files(tmpfs=(Tmpfs("/tmp", size_mib=3, user="app"),)),
        network=Network((80, 443), "dhcp"),
        disk=Disk("/data"),
        health=Health(HealthCheck(http="/ready", interval_s=2.5), HealthCheck(tcp=443, start_s=0.25, failures=9)),
        secret=(Secret("one"), Secret("two", path="/etc/two.key", user="root", mode="0444")),
        name="app",
    )
    [conf] = ask("conf", agent_conf.render(definition, {"root": 0, "app": 1000}, "/dev/vda"))
    assert conf["arguments"] == ["/bin/app", "a b", "line\nfeed \\n"]
    assert conf["environment"] == ["A=b=c\\"]
    assert (conf["hostname"], conf["uid"], conf["gid"]) == ("app", 1000, 1000)
    assert (conf["restart"], conf["stop_signal"]) == (2, 3)
    assert (conf["ports"], conf["agent_port"], conf["network"]) == ([80, 443], 9100, 1)
    assert conf["dhcp_wait_ms"] == agent_conf.DHCP_WAIT_MS
    assert ["tmpfs", "tmpfs", "/tmp", 6, "size=3m,mode=1777,uid=1000,gid=1000"] in conf["mounts"]
    assert conf["owners"] == [["/data", 1000, 1000]]
    assert conf["checks"] == [[80, 2500, 2000, 3, 10000, "/ready"], [443, 10000, 2000, 9, 250, ""]]
    assert conf["secrets"] == [
        ["one", "/run/secrets/one", 1000, 1000, 0o400],
        ["two", "/run/secrets/two", 0, 0, 0o444],
    ]
