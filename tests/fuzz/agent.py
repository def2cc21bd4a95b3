"""Coverage-guided fuzzing of the agent's parsers: HTTP, agent.conf, the kernel's messages and tables, the guard's text.

    python -m tests.fuzz.agent CORPUS [options of libFuzzer, such as -max_total_time=1800]

The agent's own sources under libFuzzer with address and undefined-behaviour sanitizers. See README.md beside this file.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.unit.agent.conftest import AGENT, HARNESS, PARTS, PURE

COMPILER = "clang-14"
ENTRY = HARNESS.with_name("fuzz.c")
LONGEST = 4096
# One input, or a few, for each of the harness's modes; the fuzzer tries every input with every mode.
SEEDS = (
    b'a "quoted" \xff\xc3\xa9 line\x00\x1b',
    b"argument /bin/app\nenvironment A=b\nmount tmpfs tmpfs /tmp nosuid,nodev,size=8m\nown /d 1 2\nuid 5\nport 80\n"
    b"network yes\nagent-port 9100\nguard stance exec deny\nrule a kill 3 60000 guard exec denied /bin/a b*\n",
    b"\x05first line\nsecond\n\nlast",
    b"4,1,2,-;kiln: refused syscall nr=101 comm=a pid=b pid=17 ip=4011d6\n SUBSYSTEM=x\n",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"17 (na) me) S 1 17 17 0 -1 4194304 120 5 0 0 3 4 5 6 20 0 3 0 99 1234567 300 18446744073709551615 1 1 0 0 0 0\n",
    b"Inter-|   Receive\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    b"  eth0:99 1 0 0 0 0 0 0 1 2 3 4 0 0 0 0\n",
    b"  sl  local_address rem_address   st\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 0 0\n",
    b"Tcp: A B C\nTcp: 1 -1 3\nTcpExt: D\nTcpExt: 9\n",
    b"Name:\ta\nVmHWM:\t  123 kB\nctxt 99\nprocesses 7\n",
    b" 254       0 vda 10 0 20 5 30 0 40 6 0 0 0\n",
    b"10.0.2.15/24",
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 /etc/hosts",
    rb"exec denied 57 1000 4011d6 12 a\x20b\x5c /tmp/x y\x0az",
    bytes.fromhex("5254001234560badcafe020106000badcafe" + "00" * 8 + "0a00020f" + "00" * 8 + "525400123456")
    + bytes(202)
    + bytes.fromhex("6382536335010536040a0002020104ffffff0003040a00020206040a000203330400015180ff"),
    b"sealed 1\nlost 7\nevent exec denied 3\ncall 0 12 1\ncall 462 1 0\n",
)


def build(program: Path) -> None:
    """The fuzzer, from the sources as they are."""
    flags = [
        "-std=c11",
        "-D_GNU_SOURCE",
        "-g",
        "-O1",
        "-fsanitize=fuzzer,address,undefined",
        "-fno-sanitize-recover=all",
        *PARTS,
    ]
    sources = [str(AGENT / f"{name}.c") for name in PURE]
    subprocess.run([COMPILER, *flags, f"-I{AGENT}", "-o", str(program), str(ENTRY), *sources], check=True)


def seed(corpus: Path, modes: int = 32) -> None:
    """Every seed with every mode's first byte."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(SEEDS):
        for mode in range(modes):
            (corpus / f"seed-{number}-{mode}").write_bytes(bytes([mode]) + text)


def main() -> int:
    corpus = Path(sys.argv[1])
    seed(corpus)
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "fuzz"
        build(program)
        argv = [
            str(program),
            str(corpus),
            f"-max_len={LONGEST}",
            "-close_fd_mask=1",
            "-print_final_stats=1",
            *sys.argv[2:],
        ]
        return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
