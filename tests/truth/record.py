"""Record traces of servers anew and keep them: `python -m tests.truth.record [NAME...]`, all without a name."""

import sys

from builder.edges.store import Store
from tests.truth import recorded, servers


def main() -> None:
    for name in sys.argv[1:] or servers.NAMES:
        case = servers.case(name, Store())
        try:
            trace = servers.record(case)
        except servers.CannotRun as error:
            print(f"{name}: {error}")
            continue
        path = servers.TRACES / f"{name}.json"
        recorded.save(trace, path)
        assert recorded.load(path) == trace
        print(f"{name}: {len(trace.syscalls())} system calls at {len(trace.calls)} places, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
