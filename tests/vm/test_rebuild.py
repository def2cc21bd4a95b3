"""Patches, for real: old and new packages from an archive, images rebuilt, checked, promoted, rolled back.

The service's packages are made here and served by apt from a folder beside Debian's own archive: it prints a greeting
as the image `hello` does, so that its kernel is shared with that one.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from builder.edges.apt_state import sources_list
from builder.paths import DIGESTS
from tests.conftest import REPOSITORY, Checkout, make_checkout
from tests.unit.inputs.archives import LocalArchive

pytestmark = [pytest.mark.vm, pytest.mark.slow]

DEFINITION = """
[source]
kind = "debian"
packages = ["greeter"]

[run]
command = ["/bin/hello"]
restart = "never"

[machine]
memory_mib = 32

[[smoke.check]]
kind = "log"
expect = "^Hello from a machine of its own"
"""
INCLUDES = "#include <sys/syscall.h>\n#include <unistd.h>\n"
GROWN = """
    if (system.sysname[0] == 'x')
        return (int)syscall(SYS_sched_setscheduler, 0, 0, 0);
    printf("Hello"""


class Archive:
    """Debian's archive, and a folder with versions of the greeter."""

    def __init__(self, folder: Path) -> None:
        self.local = LocalArchive(folder)
        debian = sources_list("bookworm", {**os.environ, "KILN_APT_SOURCES": ""}, Path("/etc"))
        self.local.sources.write_text(debian + self.local.sources.read_text())
        self.folder = folder

    def publish(self, version: str, source: str, **more: bytes) -> None:
        """A new version of the greeter."""
        place = self.folder / "greeter.c"
        place.write_text(source)
        program = self.folder / "greeter"
        flags = ["-O2", "-static", "-Wl,--build-id=none", "-s", "-D_GNU_SOURCE"]
        subprocess.run(["musl-gcc", *flags, "-o", str(program), str(place)], check=True)
        files = {"bin/hello": program.read_bytes()} | {f"usr/share/greeter/{n}": data for n, data in more.items()}
        self.local.add("greeter", files, version=version)
        for stamp in self.cache_stamps():
            stamp.unlink()

    def cache_stamps(self) -> list[Path]:
        """What tells Kiln that it has asked the archive lately."""
        root = Path(os.environ.get("KILN_CACHE") or Path.home() / ".cache" / "kiln")
        lists = [p.parent for p in root.glob("apt/*/sources.list") if str(self.local.folder) in p.read_text()]
        return [folder / "stamp" for folder in lists if (folder / "stamp").exists()]


SOURCE = (REPOSITORY / "images/hello/src/hello.c").read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    found = Archive(tmp_path_factory.mktemp("archive"))
    found.publish("1.0", SOURCE)
    return found


@pytest.fixture(scope="module")
def greeter(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with one image, built from the first version."""
    checkout = make_checkout(tmp_path_factory.mktemp("greeter"), KILN_APT_SOURCES=str(archive.local.sources))
    checkout.define("greeter", DEFINITION)
    outcome = checkout.run("build", "--app", "greeter")
    assert outcome.exit_code == 0, outcome.stderr
    return checkout


def asked(checkout: Checkout, exit_code: int, *words: str) -> Any:
    """The document of a command that ends with an exit code."""
    outcome = checkout.run(*words, "--app", "greeter", "--json")
    assert outcome.exit_code == exit_code, outcome.stderr + outcome.stdout
    return outcome.document


def only_change(document: Any) -> Any:
    """The one changed input of the one image."""
    (image,) = document["images"]
    (change,) = image["changes"]
    return change


def version(checkout: Checkout) -> str:
    return (checkout.root / "dist/greeter/current").readlink().name


def test_nothing_newer_is_nothing_to_do(greeter: Checkout) -> None:
    assert asked(greeter, 0, "outdated")["affected"] == []
    assert asked(greeter, 0, "rebuild", "--outdated")["images"] == []


def test_a_new_version_of_which_nothing_is_in_the_image_does_not_touch_it(greeter: Checkout, archive: Archive) -> None:
    before = version(greeter)
    archive.publish("1.1", SOURCE, NEWS=b"documentation only")
    change = only_change(asked(greeter, 0, "outdated"))
    assert (change["verdict"], change["files"]) == ("unaffected", [])
    # by brute force: the image under the new lock is the same, bit for bit
    moved = asked(greeter, 0, "lock", "--update")["moved"]
    assert [(m["name"], m["old"], m["new"]) for m in moved] == [("greeter", "1.0", "1.1")]
    assert greeter.run("build", "--app", "greeter").exit_code == 0
    assert version(greeter) == before
    assert greeter.run("lock", "--app", "greeter", "--check").exit_code == 0


def test_changed_contents_are_rebuilt_checked_and_promoted(greeter: Checkout, archive: Archive) -> None:
    before = version(greeter)
    archive.publish("1.2", SOURCE.replace("called %s", "known as %s"))
    document = asked(greeter, 3, "outdated")
    change = only_change(document)
    assert document["affected"] == ["greeter"]
    assert change["verdict"] == "contents only"
    assert [(file["path"], file["what"]) for file in change["files"]] == [("/bin/hello", "changed")]
    plan = asked(greeter, 0, "rebuild", "--outdated", "--dry-run")
    assert plan["images"][0]["moves"][0]["new"] == "1.2"
    assert version(greeter) == before
    (row,) = asked(greeter, 0, "rebuild", "--outdated")["images"]
    assert (row["outcome"], row["kernel_built"]) == ("promoted", False)
    assert version(greeter) != before
    assert asked(greeter, 0, "outdated")["affected"] == []


def test_going_back_takes_the_lock_along(greeter: Checkout) -> None:
    now = version(greeter)
    assert greeter.run("rollback", "--app", "greeter").exit_code == 0
    assert version(greeter) != now
    assert asked(greeter, 3, "outdated")["affected"] == ["greeter"]
    assert greeter.run("rollback", "--app", "greeter").exit_code == 0
    assert version(greeter) == now
    assert asked(greeter, 0, "outdated")["affected"] == []


def test_a_patch_that_breaks_the_application_leaves_the_last_good_image(greeter: Checkout, archive: Archive) -> None:
    before, lock = version(greeter), (greeter.root / "images/greeter/image.lock").read_bytes()
    archive.publish("1.3", SOURCE.replace("Hello from", "Nothing from"))
    (row,) = asked(greeter, 9, "rebuild", "--outdated")["images"]
    assert row["outcome"] == "failed"
    assert "Hello from a machine of its own" in row["why"]
    assert (Path(greeter.root) / row["evidence"] / "serial.log").exists()
    assert version(greeter) == before
    assert (greeter.root / "images/greeter/image.lock").read_bytes() == lock


def test_growth_is_told_and_refused_until_somebody_approves(greeter: Checkout, archive: Archive) -> None:
    text = DEFINITION + '\n[policy]\ngrowth = "approved"\n'
    greeter.define("greeter", text)
    refused = greeter.run("build", "--app", "greeter")
    assert refused.exit_code == 12
    assert "nothing is approved yet" in refused.stderr
    assert greeter.run("approve", "--app", "greeter").exit_code == 0
    archive.publish("1.4", INCLUDES + SOURCE.replace('    printf("Hello', GROWN))
    changes = asked(greeter, 3, "outdated")["images"][0]["changes"]
    change = next(change for change in changes if change["input"] == "greeter")
    assert change["verdict"] == "needs change"
    assert [c["name"] for c in change["difference"]["syscalls"]] == ["sched_setscheduler"]
    outcome = greeter.run("rebuild", "--outdated", "--app", "greeter")
    assert outcome.exit_code == 12
    assert "+ syscall:sched_setscheduler" in outcome.stderr
    assert "asks for what nobody has approved: syscall:sched_setscheduler" in outcome.stderr
    greeter.define("greeter", DEFINITION)


def test_a_version_that_left_the_archive_or_went_backwards_is_told(greeter: Checkout, archive: Archive) -> None:
    archive.local.index = [entry for entry in archive.local.index if "Version: 1.0\n" in entry]
    archive.local.write_index()
    for stamp in archive.cache_stamps():
        stamp.unlink()
    (image,) = asked(greeter, 0, "outdated")["images"]
    assert image["notes"] == ["greeter: went backwards: locked 1.2, archives 1.0"]
    archive.local.index = []
    archive.local.write_index()
    for stamp in archive.cache_stamps():
        stamp.unlink()
    (image,) = asked(greeter, 0, "outdated")["images"]
    assert image["notes"] == ["greeter: no longer in the archives"]


def test_killed_while_it_promotes_an_image_is_whole(greeter: Checkout) -> None:
    good = {path.name for path in (greeter.root / "dist/greeter/current").iterdir()}
    for wait in (0.8, 1.2, 1.6, 2.0):
        process = greeter.start("rebuild", "--app", "greeter")
        time.sleep(wait)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        current = greeter.root / "dist/greeter/current"
        assert {path.name for path in current.iterdir()} == good
    assert greeter.run("rebuild", "--app", "greeter").exit_code == 0


def test_without_an_index_nobody_says_that_all_is_well(greeter: Checkout, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.list"
    nowhere.write_text("deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n")
    outcome = greeter.run("outdated", "--app", "greeter", KILN_APT_SOURCES=str(nowhere))
    assert outcome.exit_code == 5
    assert "the package index could not be fetched" in outcome.stderr


@pytest.fixture(scope="module")
def older_nginx(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """nginx under the lock of an earlier day."""
    checkout = make_checkout(tmp_path_factory.mktemp("nginx"))
    pins = ["libssl3=3.0.20-1~deb12u2", "nginx=1.22.1-9+deb12u9", "libc6=2.36-9+deb12u7"]
    words = [word for pin in pins for word in ("--package", pin)]
    outcome = checkout.run("lock", "--app", "nginx", *words, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert {move["name"] for move in outcome.document["moved"]} == {"libssl3", "nginx", "nginx-common", "libc6"}
    assert checkout.run("build", "--app", "nginx").exit_code == 0
    return checkout


def test_debians_own_patches_are_judged_file_by_file_and_function_by_function(older_nginx: Checkout) -> None:
    outcome = older_nginx.run("outdated", "--app", "nginx", "--json")
    assert outcome.exit_code == 3, outcome.stderr
    changes = {change["input"]: change for change in outcome.document["images"][0]["changes"]}
    assert changes.keys() == {"glibc", "openssl", "nginx"}
    assert all(change["security"] and change["cves"] for change in changes.values())
    assert changes["openssl"]["packages"][0]["suites"] == ["bookworm-security"]
    files = {file["path"].rpartition("/")[2]: file for change in changes.values() for file in change["files"]}
    assert {"libc.so.6", "libssl.so.3", "libcrypto.so.3", "nginx"} <= files.keys()
    functions = {f["name"]: f for f in files["libcrypto.so.3"]["functions"]}
    assert any(f["reachable"] for f in functions.values())
    assert any(not f["reachable"] for f in functions.values())

    before = placed(older_nginx)
    outcome = older_nginx.run("rebuild", "--outdated", "--app", "nginx", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    after = placed(older_nginx)
    # by brute force: just the files that were named differ
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert differ == {file["path"] for change in changes.values() for file in change["files"]}


def placed(checkout: Checkout) -> dict[str, str]:
    """Every file of the image by path, with its digest."""
    import json  # noqa: PLC0415

    document = json.loads((checkout.root / "dist/nginx/files.json").read_text())
    return {
        file["path"]: file["sha256"] for file in document["files"] if file["path"] != DIGESTS
    }  # follows from the rest


def test_the_same_in_a_clean_clone_with_a_restored_cache(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    checkout = Checkout(clone, {**os.environ, "NO_COLOR": "1", "KILN_DATA": str(tmp_path / "data")})
    assert checkout.run("lock", "--app", "nginx", "--package", "libssl3=3.0.20-1~deb12u2").exit_code == 0
    outcome = checkout.run("outdated", "--json")
    assert outcome.exit_code == 3, outcome.stderr
    assert {image["app"] for image in outcome.document["images"]} >= {"hello", "myservice", "nginx", "redis"}
    assert "nginx" in outcome.document["affected"]
    assert not (clone / "dist").exists()
    outcome = checkout.run("rebuild", "--outdated", "--app", "nginx", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (row,) = outcome.document["images"]
    assert row["outcome"] == "promoted"
