"""Faults: killed half-way, interrupted, run twice at once, no room, no network, tampered inputs, hostile files."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Checkout, make_checkout

pytestmark = [pytest.mark.vm, pytest.mark.slow]

NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there
BUILD = """
[source]
kind = "build"
toolchain = "{toolchain}"
packages = {packages}

[run]
command = ["/bin/app"]
restart = "never"
"""


def define(checkout: Checkout, name: str, source: str, *, toolchain: str = "musl", packages: str = "[]") -> Path:
    """An image whose application is one C file."""
    return checkout.define_program(name, BUILD.format(toolchain=toolchain, packages=packages), source)


def test_a_call_outside_the_set_fails_the_smoke_test_and_is_named(checkout: Checkout) -> None:
    # code written at run time: no analysis of the file can see it
    source = """
        #include <string.h>
        #include <sys/mman.h>
        static const unsigned char code[] = {0xb8, 144, 0, 0, 0, 0x0f, 0x05, 0xc3}; /* mov eax, 144; syscall; ret */
        int main(void) {
            void *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            memcpy(page, code, sizeof code);
            ((void (*)(void))page)(); /* sched_setscheduler */
            return 0;
        }
    """
    definition = define(checkout, "refused", source) / "image.toml"
    outcome = checkout.run("build", "--app", "refused")
    assert outcome.exit_code == 9, outcome.stderr
    assert "guard: kind code verdict denied" in outcome.stderr  # by default such code is not even made
    definition.write_text(f"{definition.read_text()}\n[protect]\nwritable_code = true\n")
    outcome = checkout.run("build", "--app", "refused")
    assert outcome.exit_code == 9, outcome.stderr
    assert "sched_setscheduler" in outcome.stderr
    assert (checkout.root / "dist" / "refused.failed" / "verdict.json").exists()
    assert not (checkout.root / "dist" / "refused").exists()


def test_a_crashing_application_fails_the_smoke_test(checkout: Checkout) -> None:
    define(checkout, "crash", "int main(void) { *(volatile int *)8 = 1; return 0; }")
    outcome = checkout.run("build", "--app", "crash")
    assert outcome.exit_code == 9
    assert "signal 11" in outcome.stderr or "SIGSEGV" in outcome.stderr


def test_a_failing_compiler_is_shown(checkout: Checkout) -> None:
    define(checkout, "typo", "int main(void) { return nothing; }")
    outcome = checkout.run("build", "--app", "typo")
    assert outcome.exit_code == 8
    assert "nothing" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("packages", "words"),
    [('["no-such-package-dev"]', ["no-such-package-dev"]), ('["libjansson-dev=1.0-1"]', ["libjansson-dev", "1.0-1"])],
)
def test_a_package_or_version_that_does_not_exist_is_named(checkout: Checkout, packages: str, words: list[str]) -> None:
    define(checkout, "nopackage", "int main(void) { return 0; }", toolchain="gnu", packages=packages)
    outcome = checkout.run("build", "--app", "nopackage")
    assert outcome.exit_code == 2, outcome.stderr
    assert "Traceback" not in outcome.stderr
    for word in words:
        assert word in outcome.stderr


def overlay_program(checkout: Checkout, name: str, content: bytes) -> None:
    """An image whose program is a file laid over the root file system."""
    folder = define(checkout, name, "int main(void) { return 0; }")
    (folder / "image.toml").write_text(BUILD.format(toolchain="musl", packages="[]").replace("/bin/app", "/bin/other"))
    program = folder / "files" / "bin" / "other"
    program.parent.mkdir(parents=True)
    program.write_bytes(content)
    program.chmod(0o755)


def elf32() -> bytes:
    return b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00\x03\x00\x01\x00\x00\x00" + bytes(28)


def elf_arm64() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00\x01\x00\x00\x00" + bytes(40)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, I am a text\n", "ELF"),
        (b"\x7fELF\x02\x01\x01", "truncated"),
        (elf32(), "32-bit"),
        (elf_arm64(), "AArch64"),
    ],
    ids=["empty", "text", "truncated", "32-bit", "other architecture"],
)
def test_a_program_that_is_no_good_elf_file_is_named(checkout: Checkout, content: bytes, word: str) -> None:
    overlay_program(checkout, "badelf", content)
    outcome = checkout.run("build", "--app", "badelf")
    assert outcome.exit_code == 6, outcome.stderr
    assert "/bin/other" in outcome.stderr
    assert word.lower() in outcome.stderr.lower()
    assert "Traceback" not in outcome.stderr


def test_a_missing_program_is_named(checkout: Checkout) -> None:
    folder = define(checkout, "absent", "int main(void) { return 0; }")
    (folder / "image.toml").write_text(BUILD.format(toolchain="musl", packages="[]").replace("/bin/app", "/bin/absent"))
    outcome = checkout.run("build", "--app", "absent")
    assert outcome.exit_code == 6
    assert "/bin/absent" in outcome.stderr


def test_a_missing_library_names_who_needs_it(checkout: Checkout, tmp_path: Path) -> None:
    stub = tmp_path / "stub.c"
    stub.write_text("int kiln_nowhere(void) { return 0; }")
    library, program = tmp_path / "libkilnnowhere.so.7", tmp_path / "other"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,libkilnnowhere.so.7", "-o", str(library), str(stub)], check=True
    )
    main = tmp_path / "main.c"
    main.write_text("int kiln_nowhere(void); int main(void) { return kiln_nowhere(); }")
    subprocess.run(["gcc", "-o", str(program), str(main), str(library)], check=True)
    overlay_program(checkout, "nolib", program.read_bytes())
    outcome = checkout.run("build", "--app", "nolib")
    assert outcome.exit_code == 6, outcome.stderr
    assert "libkilnnowhere.so.7" in outcome.stderr
    assert "/bin/other" in outcome.stderr


def test_without_network_a_warm_cache_is_enough(checkout: Checkout) -> None:
    assert checkout.run("build", "--app", "nginx").exit_code == 0
    shutil.rmtree(checkout.root / "dist")
    assert checkout.run("build", "--app", "nginx", http_proxy=NOWHERE, https_proxy=NOWHERE).exit_code == 0


def test_without_network_a_cold_cache_says_what_is_missing(cold_checkout: Checkout) -> None:
    outcome = cold_checkout.run("build", "--app", "nginx", http_proxy=NOWHERE, https_proxy=NOWHERE)
    assert outcome.exit_code == 5, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "nginx" in outcome.stderr


def test_an_input_that_is_not_what_it_is_locked_to_is_refused(cold_checkout: Checkout) -> None:
    lock = cold_checkout.root / "images" / "nginx" / "image.lock"
    text = lock.read_text()
    digest = next(word for word in text.replace('"', " ").split() if len(word) == 64)
    lock.write_text(text.replace(digest, "0" * 64))
    outcome = cold_checkout.run("build", "--app", "nginx")
    assert outcome.exit_code == 5, outcome.stderr
    assert "digest" in outcome.stderr or "sha256" in outcome.stderr.lower()


def own_mounts() -> list[str]:
    """The command that runs another with mounts of its own: as any user, or, where a chroot forbids that, as root."""
    ways = (["unshare", "-rm"], ["unshare", "-m"], ["unshare", "-m", "--propagation", "unchanged"])
    return next(way for way in ways if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0)


def test_a_full_disk_is_one_line(cold_checkout: Checkout) -> None:
    cache = Path(cold_checkout.environment["KILN_CACHE"])
    cache.mkdir()
    mount = f"mount -t tmpfs -o size=3m none '{cache}' && exec \"$@\""
    done = subprocess.run(
        [*own_mounts(), "sh", "-c", mount, "sh", *cold_checkout.argv("build", "--app", "hello")],
        cwd=cold_checkout.root,
        env=dict(cold_checkout.environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 11, done.stderr
    assert "full" in done.stderr
    assert "Traceback" not in done.stderr


KILLED_WITH = {signal.SIGINT: "geteuid", signal.SIGTERM: "getegid", signal.SIGKILL: "getgid"}  # a set of calls each


@pytest.mark.parametrize("number", list(KILLED_WITH), ids=lambda n: n.name)
def test_an_ended_build_leaves_nothing_broken(tmp_path: Path, number: signal.Signals) -> None:
    """The application and its set of system calls are new at each turn, so every stage but unpacking has work to do;
    the delays meet all of them, the kernel's among them."""
    root = tmp_path / "checkout"
    root.mkdir()
    checkout = make_checkout(root)
    for delay_s, call in ((0.3, "getppid"), (0.8, "times"), (1.5, "getpgid"), (2.5, "getsid"), (4.0, "sched_yield")):
        marker = f"{tmp_path.name} {delay_s} {time.time()}"
        folder = define(checkout, "ended", f'#include <stdio.h>\nint main(void) {{ puts("{marker}"); return 0; }}')
        with (folder / "image.toml").open("a") as stream:
            stream.write(f'\n[needs]\nsyscalls = ["{call}", "{KILLED_WITH[number]}"]\n')
        process = checkout.start("build", "--app", "ended", "--smoke")
        time.sleep(delay_s)
        os.killpg(process.pid, number) if number == signal.SIGKILL else process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        # -SIGINT: CPython remembers a KeyboardInterrupt that met exec() of a text (dataclasses), though it was handled
        assert process.returncode in (-number, -signal.SIGINT, 10, 0), stderr
        assert "Traceback" not in stderr
        again = checkout.run("build", "--app", "ended", "--json")
        assert again.exit_code == 0, again.stderr
        assert again.document["verdict"]["passed"]


def test_two_builds_of_the_same_image_at_once_both_pass(checkout: Checkout, tmp_path: Path) -> None:
    define(checkout, "twice", f'#include <stdio.h>\nint main(void) {{ puts("{tmp_path.name}"); return 0; }}')
    processes = [checkout.start("build", "--app", "twice") for _ in range(2)]
    ends = [(process.communicate(timeout=600), process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends


def test_a_damaged_artifact_is_made_again(checkout: Checkout, tmp_path: Path) -> None:
    define(checkout, "damaged", f'#include <stdio.h>\nint main(void) {{ puts("{tmp_path.name}"); return 0; }}')
    assert checkout.run("build", "--app", "damaged").exit_code == 0
    files = Path(checkout.root, "dist", "damaged", "rootfs.cpio")
    first = files.read_bytes()
    store = Path(checkout.environment.get("KILN_CACHE", Path.home() / ".cache" / "kiln")) / "store"
    victims = [path for path in store.rglob("*") if path.is_file() and path.read_bytes() == first]
    assert victims
    for victim in victims:
        victim.chmod(0o644)
        victim.write_bytes(first[:100])
    shutil.rmtree(checkout.root / "dist")
    assert checkout.run("build", "--app", "damaged", "--smoke").exit_code == 0
    assert files.read_bytes() == first
