"""How well and how fast the analysis is: against the traces of servers and of this machine's small programs.

    .venv/bin/python -m tests.bench.analysis [NAME...] [--source DIR] [--live] [--why]

Names are those of servers (tests/truth/servers.py) and small programs (tests/truth/small.toml); `servers` and `small`
stand for all of them, nothing for both. Each miss is shown with the place and the chain of return addresses that lack
an edge. `--source` measures the builder/ and recipes/ of another checkout.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parents[2]
if "--source" in sys.argv[:-1]:  # before anything of builder/ is imported
    sys.path.insert(0, str(Path(sys.argv[sys.argv.index("--source") + 1]).absolute()))

import msgspec  # noqa: E402

from builder.edges.store import Store  # noqa: E402
from tests.truth import judge, score, servers, small  # noqa: E402

MEAN_OF = ("nginx", "redis", "memcached")
LIMIT_S = 400.0  # of one program's analysis
HEAD = (
    f"{'program':<22}{'static':>7}{'traced':>7}{'missed':>7}{'prec':>6}{'recall':>7}{'F1':>6}"
    f"{'gates':>10}{'gprec':>6}{'open':>5}{'cold s':>8}{'warm s':>8}"
)


def row(one: score.Score, cold_s: float, warm_s: float) -> str:
    """One line of the table."""
    gates = f"{len(one.static_gates)}/{len(one.traced_gates)}"
    cold, warm = (f"{seconds:8.2f}" if seconds else f"{'-':>8}" for seconds in (cold_s, warm_s))
    return (
        f"{one.name:<22}{len(one.static):7}{len(one.traced):7}{len(one.missed):7}{one.precision:6.2f}"
        f"{one.recall:7.2f}{one.f1:6.2f}{gates:>10}{one.gate_precision:6.2f}{one.unresolved:5}{cold}{warm}"
    )


def details(one: score.Score, *, gates: bool, why: bool, earlier: bool = True) -> None:
    """What was missed and by which path, files that the closure lacks, gates too many. The `earlier` study had
    another configuration than hints are given."""
    for miss in one.misses:
        print(f"    MISSED {miss.name} ({miss.count} times) at {miss.site}")
        for number, place in enumerate(miss.chain):
            print(f"      {'from' if number == 0 else '    '} {place}")
    for place in one.any_call:
        print(f"    any call: {place}")
    if one.feature_misses:
        print(f"    features missed: {' '.join(one.feature_misses)}")
    if one.missed_gates:
        print(f"    gates missed: {' '.join(one.missed_gates)}")
    if one.unfound_files:
        print(f"    opened, not in the closure: {' '.join(one.unfound_files)}")
    if gates and one.extra_gates:
        print(f"    gates too many: {' '.join(one.extra_gates)}")
    lacking = set(servers.earlier().get(one.name, ())) - set(one.static) if earlier else set()
    if lacking:
        print(f"    MISSED of an earlier trace: {' '.join(sorted(lacking))}")
    for reason in one.reasons if why else ():
        print(f"    not traced: {reason}")


def of_servers(names: Sequence[str], live: bool, why: bool) -> list[tuple[score.Score, score.Score]]:
    """Each server without and with hints, measured in a process of its own with an empty store."""
    found = []
    for name in names:
        try:
            truth = servers.truth(name, Store(), live=live)
        except servers.CannotRun as error:
            print(f"{name:<22}skipped: {error}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                cold, warm = measured(name, folder)
            except subprocess.TimeoutExpired:
                print(f"{name:<22}the analysis took more than {LIMIT_S} s", flush=True)
                continue
            except subprocess.CalledProcessError as error:
                print(f"{name:<22}the analysis failed: {error.stderr.decode().strip().splitlines()[-1]}", flush=True)
                continue
            one = judge.judged(truth, Store(Path(folder)))
            with_hints = judge.judged(truth, Store(Path(folder)), hinted=True)
        found.append((one, with_hints))
        print(row(one, cold, warm), flush=True)
        details(one, gates=True, why=why)
        print(row(msgspec.structs.replace(with_hints, name="  with hints"), 0.0, 0.0), flush=True)
        details(msgspec.structs.replace(with_hints, any_call=()), gates=True, why=why, earlier=False)
    return found


def measured(name: str, store: str) -> tuple[float, float]:
    """Seconds of a server's analysis with an empty store, and with its files' summaries in the store."""
    start = f"import sys; sys.path[:0] = {sys.path[:2]!r}; from tests.bench.analysis import timed; timed(*sys.argv[1:])"
    argv = [sys.executable, "-c", start, name, store]
    done = subprocess.run(argv, cwd=HERE, capture_output=True, check=True, timeout=LIMIT_S)
    cold, warm = json.loads(done.stdout.splitlines()[-1])
    return cold, warm


def timed(name: str, folder: str) -> None:
    """Print the seconds of two analyses, the second with the first one's summaries."""
    case, store, times = servers.case(name, Store()), Store(Path(folder)), []
    for _ in range(2):
        started = time.perf_counter()
        judge.analysed(case, store)
        times.append(time.perf_counter() - started)
        judge.forget_results(store)
    print(json.dumps(times))


def of_small(programs: Sequence[small.Small], why: bool) -> list[score.Score]:
    """Each small program traced now and analysed with one store for all."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store"))
        for program in programs:
            truth = judge.small_truth(program, Path(folder))
            started = time.perf_counter()
            one = judge.judged(truth, store)
            print(row(one, time.perf_counter() - started, 0.0), flush=True)
            details(one, gates=len(programs) < 5, why=why)
            found.append(one)
    return found


FILE = """
import pathlib, resource, sys, time
from builder.analyse.summary import summarise
data = pathlib.Path(sys.argv[1]).read_bytes()
started = time.perf_counter()
found = summarise(data, sys.argv[1])
seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{sys.argv[1]}: {len(data) / 1e6:.0f} MB, {seconds:.1f} s, {peak / 1024:.0f} MiB, {len(found.starts)} nodes")
"""


def of_file(path: Path) -> None:
    """Seconds and memory of one file's summary, in a process of its own."""
    subprocess.run([sys.executable, "-c", FILE, str(path)], cwd=HERE, check=True)


def summary(what: str, scores: Sequence[score.Score]) -> None:
    """Means over some programs and the sum of what was missed."""
    if scores:
        static = statistics.mean(len(s.static) for s in scores)
        traced = statistics.mean(len(s.traced) for s in scores)
        print(
            f"{what} ({len(scores)}): missed {sum(len(s.missed) for s in scores)},"
            f" features missed {sum(len(s.feature_misses) for s in scores)},"
            f" files not in the closure {sum(len(s.unfound_files) for s in scores)}; means: static {static:.1f},"
            f" traced {traced:.1f}, F1 {statistics.mean(s.f1 for s in scores):.3f},"
            f" gate precision {statistics.mean(s.gate_precision for s in scores):.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["servers", "small"])
    parser.add_argument("--source", help="a checkout whose builder/ and recipes/ are measured (default: this one)")
    parser.add_argument("--live", action="store_true", help="record servers anew instead of using the kept traces")
    parser.add_argument("--why", action="store_true", help="the evidence of every need that was not traced")
    parser.add_argument("--file", type=Path, help="only the seconds and the memory that this file's summary takes")
    wanted = parser.parse_args()
    if wanted.file:
        of_file(wanted.file)
        return
    every = {program.name: program for program in small.programs()}
    names = [n for name in wanted.names for n in (servers.NAMES if name == "servers" else [name])]
    chosen = [n for name in names for n in (every if name == "small" else [name])]
    print(HEAD)
    big = of_servers([n for n in chosen if n in servers.NAMES], wanted.live, wanted.why)
    little = of_small([every[n] for n in chosen if n in every and n not in servers.NAMES], wanted.why)
    for unknown in set(chosen) - set(servers.NAMES) - set(every):
        print(f"{unknown}: not on this machine, or no such program")
    for number, what in enumerate(("", " with hints")):
        summary(f"nginx, redis, memcached{what}", [pair[number] for pair in big if pair[0].name in MEAN_OF])
        summary(f"servers{what}", [pair[number] for pair in big])
    summary("small programs", little)


if __name__ == "__main__":
    main()
