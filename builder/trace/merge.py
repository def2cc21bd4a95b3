"""One Trace from what the boots of an application have recorded (pure but for reading the files' headers)."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from builder.model import Tree
from builder.trace.places import Atlas
from builder.trace.recorded import Call, Recorded
from builder.traced import Spot, Trace, TracedCall

Key = tuple[str, str, int, tuple[tuple[int, int], ...], str, str]


def trace(app: str, boots: Sequence[Recorded], tree: Tree, names: Mapping[int, str]) -> Trace:
    """The trace of an application. `tree` are the image's files, `names` those of system calls by number.

    The same call of two boots is one, counted together. Everything is sorted, so that equal records give equal text.
    """
    files: dict[str, str] = {}
    calls: dict[Key, TracedCall] = {}
    reached: set[Spot] = set()
    for boot in boots:
        atlas = Atlas(boot, tree)
        files |= atlas.digests
        reached |= {atlas.spot(place) for place in boot.reached}
        for call in (_traced(record, atlas, names) for record in boot.calls):
            known = calls.get(key := _key(call))
            calls[key] = call if known is None else replace(known, count=known.count + call.count)
    opened = {path for boot in boots for path in boot.opened}
    merged = tuple(calls[key] for key in sorted(calls))
    more = reached - {caller for call in merged for caller in call.callers}
    return Trace(app, dict(sorted(files.items())), merged, tuple(sorted(opened)), tuple(sorted(more)))


def _traced(call: Call, atlas: Atlas, names: Mapping[int, str]) -> TracedCall:
    return TracedCall(
        name=names.get(call.number, f"unknown_{call.number}"),
        site=atlas.spot(call.site),
        arguments=dict(sorted(call.arguments.items())),
        text=call.text,
        callers=tuple(dict.fromkeys(atlas.spot(place) for place in call.callers if place.file >= 0)),
        count=call.count,
        command=call.command,
        program=atlas.path(call.program),
    )


def _key(call: TracedCall) -> Key:
    """What makes two calls the same, and their order."""
    return (call.name, call.site.file, call.site.address, tuple(call.arguments.items()), call.text, call.program)
