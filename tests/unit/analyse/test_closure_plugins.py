"""What is opened at run time: what surely is joins the closure, what could be is reported, none is ignored."""

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from builder.analyse import closure, nss, opensslconf, plugins
from builder.analyse.candidates import Finder, imported, rules
from builder.analyse.elf import parse
from builder.analyse.guest import Guest
from builder.analyse.plugins import Complete, Plugin
from builder.model import File
from tests.unit.analyse.programs import SOURCES, Build, tree
from tests.unit.analyse.scene import LOADER, tree_of, write
from tests.unit.analyse.tiny import Tiny

LIBS = "/usr/lib/x86_64-linux-gnu"
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
Files = dict[str, Tiny | bytes | Path]


@pytest.fixture(scope="session")
def asking(build: Build) -> Path:
    """A program that asks the name service, converts characters and cancels threads."""
    return build("opening.c")


def guest(root: Path, files: Files) -> dict[str, File]:
    made = {path: content if isinstance(content, Path) else write(root / path.lstrip("/"), content)
            for path, content in files.items()}  # fmt: skip
    return tree({LOADER: Path(LOADER), LIBC: Path(LIBC), **made})


def packaged(found: Complete) -> list[str]:
    return [file.path for file in found.files if file.why == "plugin"]


def reported(found: Complete) -> dict[str, Plugin]:
    return {plugin.name: plugin for plugin in found.left_out()}


def test_the_c_librarys_own_library_joins_where_it_is_and_is_reported_where_not(asking: Path, tmp_path: Path) -> None:
    files: Files = {"/bin/app": asking}
    lacking = reported(plugins.complete(guest(tmp_path, files), ["/bin/app"]))
    assert lacking["libgcc_s.so.1"].needed_by == "/bin/app"
    assert "cancelled" in lacking["libgcc_s.so.1"].why
    files["/lib/libgcc_s.so.1"] = Tiny(soname="libgcc_s.so.1")
    found = plugins.complete(guest(tmp_path, files), ["/bin/app"])
    assert packaged(found) == ["/lib/libgcc_s.so.1"]
    assert "libgcc_s.so.1" not in reported(found)


def test_the_c_librarys_own_library_is_one_even_where_another_needs_it(asking: Path, tmp_path: Path) -> None:
    wanting = {"LD_PRELOAD": "/lib/libother.so"}
    files: Files = {"/bin/app": asking, "/lib/libgcc_s.so.1": Tiny(soname="libgcc_s.so.1"),
                    "/lib/libother.so": Tiny(["libgcc_s.so.1"])}  # fmt: skip
    assert packaged(plugins.complete(guest(tmp_path, files), ["/bin/app"], environment=wanting)) == [
        "/lib/libgcc_s.so.1"
    ]


@pytest.mark.parametrize("argument", ["localhost", "ISO-8859-2"])
def test_all_that_a_program_really_opens_was_found_before(asking: Path, argument: str) -> None:
    done = subprocess.run([str(asking), argument], env={"LD_DEBUG": "files"}, capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    opened = set(re.findall(r"file=(\S+) \[0\];  dynamically loaded by", done.stderr))
    converters = sorted(Path(LIBS, "gconv").glob("*.so"))
    host = ("/etc/nsswitch.conf", LIBC, LOADER, f"{LIBS}/libgcc_s.so.1", *map(str, converters))
    found = plugins.complete(tree_of(asking.parent, tuple(p for p in host if Path(p).exists())), [str(asking)])
    assert "libgcc_s.so.1" in opened
    assert {name for name in opened if not any(fnmatch(name, plugin.name) for plugin in found.plugins)} == set()


def test_a_program_that_uses_none_of_it_opens_nothing(build: Build, tmp_path: Path) -> None:
    files: Files = {"/bin/app": build("identity.c"), "/lib/libgcc_s.so.1": Tiny(), f"{LIBS}/gconv/A.so": Tiny(),
                    "/etc/nsswitch.conf": b"passwd: files sss\n"}  # fmt: skip
    assert plugins.complete(guest(tmp_path, files), ["/bin/app"]).plugins == ()


def test_name_services_are_those_the_configuration_names_for_the_databases_asked(asking: Path, tmp_path: Path) -> None:
    files: Files = {
        "/bin/app": asking,
        "/etc/nsswitch.conf": b"passwd: files sss # all\nhosts: files [!UNAVAIL=return] myhostname dns\naliases: db\n",
        f"{LIBS}/libnss_myhostname.so.2": Tiny(["libhelp.so"]),
        f"{LIBS}/libhelp.so": Tiny(),
    }
    found = plugins.complete(guest(tmp_path, files), ["/bin/app"])
    assert packaged(found) == [f"{LIBS}/libnss_myhostname.so.2"]
    assert found.files[-1].path == f"{LIBS}/libhelp.so"
    assert reported(found)["libnss_sss.so.2"].why == "the name service asks sss for passwd"
    assert not {"libnss_files.so.2", "libnss_dns.so.2", "libnss_db.so.2"} & set(reported(found))
    del files["/etc/nsswitch.conf"]
    assert packaged(plugins.complete(guest(tmp_path, files), ["/bin/app"])) == []


def test_before_glibc_2_34_files_and_dns_are_libraries_too(tmp_path: Path, asking: Path) -> None:
    old = tree({LOADER: Path(LOADER), "/bin/app": asking,
                LIBC: write(tmp_path / "libc", Tiny(soname="libc.so.6", defines=("GLIBC_2.2.5", "GLIBC_2.31"))),
                f"{LIBS}/libnss_dns.so.2": write(tmp_path / "dns", Tiny())})  # fmt: skip
    files = closure.walked(Guest(old), ["/bin/app"], [], {}).files
    named = {candidate.name for candidate in Finder(Guest(old)).named(files, {})}
    assert {"libnss_files.so.2", "libnss_dns.so.2"} <= named


def test_lines_of_nsswitch_conf_are_read_as_glibc_does() -> None:
    text = "hosts: files mdns4_minimal [NOTFOUND=return] dns\n# passwd: x\n group :\tfiles compat\nbad line\n"
    assert nss.services(text, {"hosts", "passwd", "initgroups"}) == (
        ("hosts", "files"), ("hosts", "mdns4_minimal"), ("hosts", "dns"), ("initgroups", "files"),
        ("initgroups", "compat"), ("passwd", "files"))  # fmt: skip
    assert nss.services("", {"hosts"}) == (("hosts", "dns"), ("hosts", "files"))


def test_converters_are_reported_and_go_in_where_the_definition_lists_them(asking: Path, tmp_path: Path) -> None:
    files: Files = {"/bin/app": asking, f"{LIBS}/gconv/A.so": Tiny(), f"{LIBS}/gconv/B.so": Tiny()}
    there = guest(tmp_path, files)
    found = plugins.complete(there, ["/bin/app"])
    assert packaged(found) == []
    assert reported(found)[f"{LIBS}/gconv/*.so"].files == 2
    found = plugins.complete(there, ["/bin/app"], [f"{LIBS}/gconv/A.so"])
    assert reported(found)[f"{LIBS}/gconv/*.so"].files == 1
    found = plugins.complete(there, ["/bin/app"], [f"{LIBS}/gconv/*.so"])
    assert packaged(found) == [f"{LIBS}/gconv/A.so", f"{LIBS}/gconv/B.so"]
    assert f"{LIBS}/gconv/*.so" not in reported(found)


@pytest.mark.parametrize(
    ("program", "conf", "text", "module"),
    [
        ("/usr/sbin/nginx", "/etc/nginx/nginx.conf", "# load_module x.so;\nload_module modules/m.so;\n",
         "/usr/share/nginx/modules/m.so"),
        ("/usr/sbin/nginx", "/etc/nginx/modules-enabled/50.conf", 'load_module "/opt/m.so";', "/opt/m.so"),
        ("/usr/bin/redis-server", "/etc/redis/redis.conf", "# loadmodule /x.so\nloadmodule /opt/m.so a\n", "/opt/m.so"),
        ("/usr/sbin/apache2", "/etc/apache2/mods-enabled/m.load", "LoadModule m_module /usr/lib/apache2/m.so\n",
         "/usr/lib/apache2/m.so"),
        ("/usr/sbin/httpd", "/etc/httpd/conf/httpd.conf", "  loadmodule m_module modules/m.so\n",
         "/etc/httpd/modules/m.so"),
    ],
)  # fmt: skip
def test_modules_that_configuration_names_join_the_closure(
    tmp_path: Path, program: str, conf: str, text: str, module: str
) -> None:
    files: Files = {program: Tiny(interpreter=LOADER), conf: text.encode()}
    lacking = plugins.complete(guest(tmp_path, files), [program])
    assert packaged(lacking) == []
    assert [plugin.why for plugin in lacking.left_out()] == [f"{rules_word(program)} in {conf}"]
    files[module] = Tiny(["libpart.so"])
    assert plugins.missing(guest(tmp_path, files), [program]) == ("libpart.so",)
    files["/lib/libpart.so"] = Tiny()
    found = plugins.complete(guest(tmp_path, files), [program])
    assert packaged(found) == [module]
    assert found.files[-1].path == "/lib/libpart.so"


def rules_word(program: str) -> str:
    return next(rule.why for rule in rules().setting if Path(program).name in rule.programs)


def test_pam_modules_join_where_the_library_is_used(tmp_path: Path) -> None:
    conf = b"auth [success=1 default=ignore] pam_unix.so nullok\n-session optional pam_x.so\n"
    files: Files = {"/bin/app": Tiny(["libpam.so.0"], interpreter=LOADER), "/etc/pam.d/app": conf,
                    "/lib/libpam.so.0": Tiny(soname="libpam.so.0"),
                    "/lib/x86_64-linux-gnu/security/pam_unix.so": Tiny(),
                    "/lib/x86_64-linux-gnu/security/pam_other.so": Tiny()}  # fmt: skip
    found = plugins.complete(guest(tmp_path, files), ["/bin/app"])
    assert packaged(found) == ["/lib/x86_64-linux-gnu/security/pam_unix.so"]
    assert set(reported(found)) == {"/lib/x86_64-linux-gnu/security/pam_x.so", "/lib/x86_64-linux-gnu/security/*.so"}


OPENSSL = """openssl_conf = start # the first section
[start]
providers = some
engines = more
[some]
default = the_default
legacy = the_legacy
idle = the_idle
own = the_own
[the_default]
activate = 1
[the_legacy]
activate = 1
[the_idle]
[the_own]
module = /opt/own.so
activate = yes
[more]
e = the_engine
[the_engine]
engine_id = afalg
"""


def test_openssl_modules_join_where_its_configuration_activates_them(tmp_path: Path) -> None:
    assert opensslconf.modules(OPENSSL) == (
        ("ossl-modules", "legacy"),
        ("ossl-modules", "/opt/own.so"),
        ("engines", "afalg"),
    )
    assert opensslconf.modules("[a]\nb = c\n=\n[") == ()
    files: Files = {"/bin/app": Tiny(["libcrypto.so.3"], interpreter=LOADER),
                    "/lib/libcrypto.so.3": Tiny(soname="libcrypto.so.3"), "/etc/ssl/openssl.cnf": OPENSSL.encode(),
                    f"{LIBS}/ossl-modules/legacy.so": Tiny(), f"{LIBS}/engines-3/afalg.so": Tiny(),
                    f"{LIBS}/engines-3/padlock.so": Tiny()}  # fmt: skip
    found = plugins.complete(guest(tmp_path, files), ["/bin/app"])
    assert packaged(found) == [f"{LIBS}/ossl-modules/legacy.so", f"{LIBS}/engines-3/afalg.so"]
    assert set(reported(found)) == {"/opt/own.so", f"{LIBS}/engines-3/*.so"}


def test_extension_modules_are_reported_by_folder(tmp_path: Path) -> None:
    files: Files = {"/usr/bin/python3.11": Tiny(interpreter=LOADER), "/usr/lib/python3.11/lib-dynload/_a.so": Tiny(),
                    "/usr/lib/python3/dist-packages/deep/er/_b.so": Tiny()}  # fmt: skip
    there = {**guest(tmp_path, files), "/usr/bin/python3": File("/usr/bin/python3", "symlink", target="python3.11")}
    found = plugins.complete(there, ["/usr/bin/python3"])
    assert set(reported(found)) == {"/usr/lib/python3*/lib-dynload/*.so", "/usr/lib/python3*/**/*-packages/**/*.so"}
    patterns = tuple(reported(found))
    assert plugins.complete(there, ["/usr/bin/python3"], patterns).left_out() == ()


def test_names_given_to_dlopen_are_searched_as_the_opener_would(tmp_path: Path) -> None:
    files: Files = {"/bin/app": Tiny(["libmid.so"], interpreter=LOADER, runpath="/opt/a"),
                    "/opt/a/libmid.so": Tiny(runpath="/opt/b"), "/opt/b/libdeep.so": Tiny(["libc.so.6"]),
                    "/opt/b/libbroken.so": Tiny(["libabsent.so"]), "/opt/b/text.so": b"no ELF file"}  # fmt: skip
    there = guest(tmp_path, files)
    mid = "/opt/a/libmid.so"
    asked = [(mid, "libdeep.so"), ("/bin/app", "libdeep2.so"), (mid, "libbroken.so"), (mid, "text.so"),
             ("/bin/app", "libmid.so")]  # fmt: skip
    found = plugins.complete(there, ["/bin/app"], opened=asked)
    assert packaged(found) == ["/opt/b/libdeep.so"]
    assert set(reported(found)) == {"libdeep2.so", "libbroken.so", "text.so"}
    assert found.files[-1].path == LIBC  # what the opened one needs
    alone = plugins.complete(there, ["/bin/app"], opened=[("/bin/app", "libdeep.so")])
    assert set(reported(alone)) == {"libdeep.so"}  # the program's own folders do not lead there


def test_discovering_over_a_known_closure_says_the_same(asking: Path, tmp_path: Path) -> None:
    there = guest(tmp_path, {"/bin/app": asking, "/lib/libgcc_s.so.1": Tiny()})
    found = plugins.complete(there, ["/bin/app"])
    again = plugins.discover(there, found.files)
    assert {(p.name, p.packaged) for p in again} == {(p.name, p.packaged) for p in found.plugins}


def test_a_static_program_that_has_the_name_service_in_it_opens_services(build: Build, tmp_path: Path) -> None:
    static = build("opening.c", "-static")
    files: Files = {"/bin/app": static, "/etc/nsswitch.conf": b"passwd: sss\n"}
    assert "libnss_sss.so.2" in reported(plugins.complete(guest(tmp_path, files), ["/bin/app"]))


def test_every_rule_says_where_the_fact_is_from_and_when_it_applies() -> None:
    for rule in (*rules().library, *rules().setting, *rules().folder):
        assert rule.source
        assert rule.programs or rule.loaded or rule.symbols


def test_imported_names_are_those_readelf_calls_undefined(asking: Path) -> None:
    file = parse(asking.read_bytes(), "app")
    assert imported(file, {"getpwnam", "iconv_open", "main", "no"}) == {"getpwnam", "iconv_open"}
    assert imported(parse(Path(LIBC).read_bytes(), "libc"), rules().symbols()) == frozenset()
    assert SOURCES.is_dir()
