"""The layers: only what is needed goes in, with the links and directories that lead there."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builder.assemble import layers, rootfs, users
from builder.definition import BuildSource, Definition, Directory, Disk, Files, Network, Run, Secret, Tmpfs
from builder.edges.content import keep, read
from builder.edges.store import Store, digest_bytes
from builder.errors import DefinitionError
from builder.model import ClosureFile, File, Tree
from builder.paths import DIGESTS
from tests.unit.assemble.newc import tree

INIT = tree(File("/init", "file", 0o755, origin="agent"))
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
AVAILABLE = tree(
    File("/usr/sbin/server", "file", 0o755, origin="deb:server"),
    File("/usr/sbin/other", "file", 0o755, origin="deb:server"),
    File("/lib64", "symlink", target="usr/lib64"),
    File("/usr/lib64/ld.so", "symlink", target="../lib/x86_64-linux-gnu/ld.so"),
    File(f"{LIBRARIES}/ld.so", "file", 0o755),
    File(f"{LIBRARIES}/liba.so.1", "symlink", target="liba.so.1.2"),
    File(f"{LIBRARIES}/liba.so.1.2", "file"),
    File(f"{LIBRARIES}/libunused.so", "file"),
    File("/usr/share/server", "directory", 0o750, gid=33, origin="deb:server"),
    File("/usr/share/server/a.html", "file"),
    File("/usr/share/server/more/b.html", "file"),
    File("/var/run", "symlink", target="/run"),
)
CLOSURE = (
    ClosureFile("/usr/sbin/server", why="program"),
    ClosureFile("/lib64/ld.so", why="interpreter"),
    ClosureFile(f"{LIBRARIES}/liba.so.1"),
)
NEEDED = {
    "/usr/sbin/server",
    "/lib64",
    "/usr/lib64/ld.so",
    f"{LIBRARIES}/ld.so",
    f"{LIBRARIES}/liba.so.1",
    f"{LIBRARIES}/liba.so.1.2",
}


def definition(
    files: Files | None = None,
    *,
    network: Sequence[int] = (),
    disk: Disk | None = None,
    user: str = "app",
    directory: str = "/",
) -> Definition:
    return Definition(
        source=BuildSource(),
        run=Run(("/usr/sbin/server",), user=user, directory=directory),
        files=files or Files(),
        network=Network(tuple(network)),
        disk=disk,
        name="server",
    )


def app(files: Files | None = None, overlay: Tree | None = None) -> Tree:
    wanted = definition(files)
    return layers.app_layer(wanted, AVAILABLE, overlay or {}, CLOSURE, users.of(wanted))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def whole(store: Store, wanted: Definition, overlay: Tree | None = None) -> dict[str, Tree]:
    """All layers by name, which must go together."""
    found = layers.layers(wanted, AVAILABLE, overlay or {}, CLOSURE, INIT, store)
    rootfs.check(found)
    return dict(found)


class TestTheApplicationsLayer:
    def test_it_has_the_program_and_its_closure_with_the_links_that_lead_there_and_nothing_else(self) -> None:
        assert set(app()) == NEEDED

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("/usr/share/server/*", {"/usr/share/server/a.html"}),
            ("/usr/share/server/**", {"/usr/share/server/a.html", "/usr/share/server/more/b.html"}),
            ("/usr/share/server/more/b.html", {"/usr/share/server/more/b.html"}),
        ],
    )
    def test_included_files_come_by_path_or_pattern(self, pattern: str, found: set[str]) -> None:
        assert set(app(Files(include=(pattern,)))) == NEEDED | found

    def test_plugins_come_with_the_links_that_lead_there(self) -> None:
        assert set(app(Files(plugins=(f"{LIBRARIES}/libun*",)))) == NEEDED | {f"{LIBRARIES}/libunused.so"}

    @pytest.mark.parametrize(
        "files", [Files(include=("/usr/share/absent/*",)), Files(plugins=("/usr/share/absent/*",))]
    )
    def test_a_pattern_that_matches_nothing_is_an_error_that_names_it(self, files: Files) -> None:
        with pytest.raises(DefinitionError, match=r"files: /usr/share/absent/\* matches nothing"):
            app(files)

    def test_a_directory_is_not_included_by_its_name_alone(self) -> None:
        with pytest.raises(DefinitionError, match="files: /usr/share/server is a directory") as raised:
            app(Files(include=("/usr/share/server",)))
        assert "/usr/share/server/**" in raised.value.hint

    def test_declared_directories_belong_to_their_user(self) -> None:
        made = app(Files(directories=(Directory("/var/cache/server/", user="app", mode="0700"),)))
        entry = made["/var/cache/server"]
        assert (entry.kind, entry.mode, entry.uid, entry.gid) == ("directory", 0o700, 1000, 1000)

    def test_the_overlay_always_wins(self) -> None:
        own = File("/usr/sbin/server", "file", 0o755, origin="overlay")
        made = app(Files(include=("/usr/share/server/a.html",)), tree(own, File("/extra", "symlink", target="/tmp")))
        assert made["/usr/sbin/server"] == own
        assert made["/extra"].target == "/tmp"

    def test_what_lies_behind_a_link_is_put_where_the_link_leads(self) -> None:
        overlay = tree(File("/lib64", "directory", 0o755), File("/lib64/libmine.so", "file", origin="overlay"))
        made = app(Files(directories=(Directory("/var/run/server"),)), overlay)
        assert set(made) == NEEDED | {"/usr/lib64/libmine.so", "/var/run", "/run/server"}
        assert made["/usr/lib64/libmine.so"].path == "/usr/lib64/libmine.so"

    def test_links_in_circles_are_an_error(self) -> None:
        overlay = tree(File("/a", "symlink", target="/b"), File("/b", "symlink", target="/a"), File("/a/x", "file"))
        with pytest.raises(DefinitionError, match="/a/x: the symbolic links that lead there go in circles"):
            app(overlay=overlay)


class TestTheEtcLayer:
    def test_it_has_the_device_nodes_and_a_disk_only_when_there_is_one(self, store: Store) -> None:
        etc = whole(store, definition())["etc"]
        nodes = {path: (entry.device, entry.mode) for path, entry in etc.items() if entry.kind.endswith("device")}
        assert nodes == {
            "/dev/null": ((1, 3), 0o666),
            "/dev/zero": ((1, 5), 0o666),
            "/dev/full": ((1, 7), 0o666),
            "/dev/random": ((1, 8), 0o666),
            "/dev/urandom": ((1, 9), 0o666),
            "/dev/kmsg": ((1, 11), 0o600),
            "/dev/tty": ((5, 0), 0o666),
            "/dev/console": ((5, 1), 0o600),
            "/dev/ttyS0": ((4, 64), 0o600),
        }
        with_disk = whole(store, definition(disk=Disk("/data")))["etc"]
        assert (with_disk["/dev/vda"].kind, with_disk["/data"].kind) == ("block-device", "directory")

    def test_every_mount_point_is_there(self, store: Store) -> None:
        files = Files(tmpfs=(Tmpfs("/var/cache/x"), Tmpfs("/tmp/")))
        etc = whole(store, definition(files, disk=Disk("/data")))["etc"]
        mounts = ("/proc", "/run", "/tmp", "/data", "/var/cache/x")
        assert {etc[path].kind for path in mounts} == {"directory"}
        assert etc["/tmp"].mode == 0o1777

    def test_name_service_comes_with_a_network(self, store: Store) -> None:
        names = ("/etc/hosts", "/etc/resolv.conf")
        assert not set(names) & set(whole(store, definition())["etc"])
        etc = whole(store, definition(network=(80,)))["etc"]
        assert [Path(etc[name].host).read_text() for name in names] == [
            "127.0.0.1 localhost\n127.0.1.1 server\n",
            "nameserver 10.0.2.3\n",
        ]

    def test_resolvers_that_the_network_names_are_where_the_agent_can_write(self, store: Store) -> None:
        lent = replace(definition(), network=Network((80,), "dhcp"))
        etc = whole(store, lent)["etc"]
        assert (etc["/etc/resolv.conf"].kind, etc["/etc/resolv.conf"].target) == ("symlink", "/run/kiln/resolv.conf")
        assert (etc["/run/kiln"].kind, etc["/run/kiln"].mode) == ("directory", 0o755)
        assert etc["/etc/hosts"].kind == "file"
        own = keep(store, "/etc/resolv.conf", b"nameserver 10.0.0.53\n", origin="overlay")
        assert "/etc/resolv.conf" not in whole(store, lent, tree(own))["etc"]
        assert "/run/kiln" not in whole(store, definition(network=(80,)))["etc"]

    def test_what_the_application_brings_wins(self, store: Store) -> None:
        own = keep(store, "/etc/hosts", b"10.0.2.2 host\n", origin="overlay")
        found = whole(store, definition(network=(80,)), tree(own))
        assert "/etc/hosts" not in found["etc"]
        assert found["app"]["/etc/hosts"] == own

    def test_a_passwd_file_of_files_decides_about_users(self, store: Store) -> None:
        own = keep(store, "/etc/passwd", b"db:x:7:8::/:/bin/sh\n", origin="overlay")
        found = whole(store, definition(Files(directories=(Directory("/d", user="db"),)), user="db"), tree(own))
        assert (found["app"]["/d"].uid, found["app"]["/d"].gid) == (7, 8)
        assert "uid 7\ngid 8\n" in Path(found["agent"]["/etc/kiln/agent.conf"].host).read_text()
        assert "/etc/passwd" not in found["etc"]
        assert Path(found["etc"]["/etc/group"].host).read_text() == "db:x:8:\nroot:x:0:\n"


class TestTheAgentsLayer:
    def test_it_has_the_agent_and_a_configuration_only_root_reads(self, store: Store) -> None:
        agent = whole(store, definition())["agent"]
        conf = agent["/etc/kiln/agent.conf"]
        assert agent["/init"] == INIT["/init"]
        assert (conf.mode, conf.uid, conf.sha256) == (0o600, 0, digest_bytes(Path(conf.host).read_bytes()))
        assert Path(conf.host).read_text().startswith("hostname server\nargument /usr/sbin/server\n")

    def test_nothing_else_may_take_its_place(self, store: Store) -> None:
        with pytest.raises(DefinitionError, match="/init: the layers agent and app both bring it"):
            whole(store, definition(), tree(File("/init", "file", origin="overlay")))


class TestDirectories:
    def test_each_layer_has_those_above_its_entries_as_the_packages_have_them(self, store: Store) -> None:
        found = whole(store, definition(Files(include=("/usr/share/server/more/*",))))
        made = found["app"]
        assert made["/usr/share/server"] == AVAILABLE["/usr/share/server"]
        assert (made["/usr/share/server/more"].mode, made["/usr/share/server/more"].uid) == (0o755, 0)
        assert found["agent"]["/etc/kiln"].mode == 0o755

    def test_a_folder_of_the_overlay_changes_no_other_ones_mode(self, store: Store) -> None:
        overlay = tree(File("/tmp", "directory", 0o755, origin="overlay"), keep(store, "/tmp/a", b"", origin="overlay"))
        found = whole(store, definition(), overlay)
        assert [found[name]["/tmp"].mode for name in ("etc", "app")] == [0o1777, 0o1777]

    def test_an_empty_folder_of_the_overlay_is_made(self, store: Store) -> None:
        overlay = tree(File("/srv", "directory", 0o755), File("/srv/empty", "directory", 0o755))
        assert whole(store, definition(), overlay)["app"]["/srv/empty"].kind == "directory"

    def test_a_declared_mount_point_keeps_its_owner_in_every_layer(self, store: Store) -> None:
        declared = Directory("/data", user="app", mode="0700")
        found = whole(store, definition(Files(directories=(declared,)), disk=Disk("/data/disk")))
        owners = {(found[name]["/data"].mode, found[name]["/data"].uid) for name in ("etc", "app")}
        assert owners == {(0o700, 1000)}

    @pytest.mark.parametrize("directory", ["/", "/usr/sbin", "/data", "/data/", "/lib64", "/proc"])
    def test_a_working_directory_that_is_there_is_accepted(self, store: Store, directory: str) -> None:
        assert whole(store, definition(directory=directory, disk=Disk("/data")))

    @pytest.mark.parametrize("directory", ["/absent", "/usr/sbin/server", "/data/below"])
    def test_a_working_directory_that_is_not_is_an_error(self, store: Store, directory: str) -> None:
        said = f"images/server/image.toml: run.directory: {directory} is not in the image"
        with pytest.raises(DefinitionError, match=said):
            whole(store, definition(directory=directory, disk=Disk("/data")))


PATHS = st.lists(st.sampled_from(["a", "b", "lib64", "usr", "etc", "tmp"]), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(PATHS, max_size=6), st.lists(PATHS, max_size=3))
def test_whatever_is_laid_over_either_goes_together_or_is_refused(
    store: Store, files: list[str], directories: list[str]
) -> None:
    overlay = tree(*(keep(store, path, b"x", origin="overlay") for path in files))
    declared = Files(directories=tuple(Directory(path) for path in directories))
    try:
        found = whole(store, definition(declared), overlay)
    except DefinitionError:
        return  # a file where a directory has to be
    present = {path: entry for part in found.values() for path, entry in part.items()}
    assert all(path.rpartition("/")[0] in {"", *present} for path in present)
    assert all(path in present or path.startswith("/lib64/") for path in files)


# ---- secrets ----------------------------------------------------------------------------------------------------


def keeping(*secrets: Secret) -> Definition:
    return replace(definition(), secret=secrets)


def test_a_secret_is_a_link_where_it_is_wanted_and_nothing_where_it_will_be(store: Store) -> None:
    found = whole(store, keeping(Secret("one"), Secret("two", path="/etc/tls/key"), Secret("x", path="/run/secrets/y")))
    etc = found["etc"]
    assert (etc["/etc/tls/key"].kind, etc["/etc/tls/key"].target) == ("symlink", "/run/secrets/two")
    assert etc["/etc/tls"].kind == "directory"
    assert not [path for tree in found.values() for path in tree if path.startswith("/run/secrets/")]


def test_a_link_to_a_secret_stands_where_the_links_above_it_lead(store: Store) -> None:
    etc = whole(store, keeping(Secret("one", path="/var/run/app/key")))["etc"]
    assert etc["/run/app/key"].target == "/run/secrets/one"


@pytest.mark.parametrize("path", ["/usr/sbin/server", "/etc/passwd", "/etc/taken"])
def test_a_secret_cannot_take_the_place_of_a_file(store: Store, path: str) -> None:
    overlay = tree(File("/etc/taken", "file"))
    with pytest.raises(DefinitionError, match=rf"secret one: the image has a file at {path}"):
        layers.layers(keeping(Secret("one", path=path)), AVAILABLE, overlay, CLOSURE, INIT, store)


def test_files_below_the_secrets_are_not_compared_with_digests(store: Store) -> None:
    overlay = tree(File("/run/secrets/old", "file", sha256=digest_bytes(b"x")))
    listed = read(whole(store, keeping(Secret("one")), overlay)["agent"][DIGESTS])
    assert b"/run/secrets" not in b"".join(listed)


def test_users_that_secrets_alone_name_are_users_of_the_image(store: Store) -> None:
    found = whole(store, keeping(Secret("one", user="vault")))["agent"]["/etc/kiln/agent.conf"]
    assert b"secret one /run/secrets/one 1001 1001 0400\n" in b"".join(read(found))
