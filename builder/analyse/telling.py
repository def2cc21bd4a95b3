"""Which arguments of system calls are looked at, and which parameters of C library functions lead to them (pure)."""

from collections.abc import Mapping
from functools import cache

from builder.analyse.arguments import FEATURES, WRAPPERS, Argument, needs_of, text_need

# Parameters that say more than a feature: a system call's number, a library's and a symbol's name.
NAMES: Mapping[str, tuple[int, ...]] = {"syscall": (0,), "dlopen": (0,), "dlsym": (1,), "dlvsym": (1,)}
# Parameters that decide what of a function runs, wherever it is called, in the library that has it too.
ASKED: Mapping[str, tuple[int, ...]] = {
    "clock_nanosleep": (0,), "confstr": (0,), "event_config_set_flag": (1,), "fpathconf": (1,), "glob": (1,),
    "glob64": (1,), "lockf": (1,), "lockf64": (1,), "nftw": (3,), "nftw64": (3,), "pathconf": (1,), "sysconf": (0,),
    "wordexp": (2,),
}  # fmt: skip
FILES = ("open", "openat", "openat2")  # their paths are found wherever code names them


@cache
def rules(call: str) -> tuple[Argument, ...]:
    """What is looked at of a system call."""
    return () if call in FILES else FEATURES.get(call, ())


def places(rule: Argument) -> tuple[int, ...]:
    """The arguments a rule looks at: one, or a pair."""
    return (rule.index,) if rule.also is None else (rule.index, rule.also)


@cache
def telling(call: str) -> tuple[int, ...]:
    """Indexes of a system call's arguments that are looked at, sorted."""
    return tuple(sorted({place for rule in rules(call) for place in places(rule)}))


@cache
def watched(function: str) -> tuple[int, ...]:
    """Parameters of a function of the C library that are looked at wherever another file calls it."""
    if function in NAMES or function in ASKED:
        return NAMES.get(function) or ASKED[function]
    wrapper = WRAPPERS.get(function)
    if wrapper is None:
        return ()
    return tuple(sorted({wrapper.places[i] for i in telling(wrapper.call) if i in wrapper.places}))


def needs(call: str, rule: int, values: tuple[int, ...], text: str) -> tuple[str, ...]:
    """The needs that known arguments give; `text` is what stands at the first of them."""
    argument = rules(call)[rule]
    if argument.kind == "text":
        return (found,) if (found := text_need(argument, text)) else ()
    return needs_of(argument, *values)
