"""Which arguments tell something: of system calls by index, and of C library functions by parameter."""

from functools import cache

WATCHED = {
    "syscall": (0,),
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
    "ioctl": (1,),
    "fcntl": (1,),
    "fcntl64": (1,),
    "prctl": (0,),
    "madvise": (2,),
    "dlopen": (0,),
    "dlsym": (1,),
    "dlvsym": (1,),
    "setsockopt": (1, 2),
    "mmap": (3,),
    "mmap64": (3,),
}

TELL = {"ioctl": (1,), "madvise": (2,), "socket": (0, 1, 2), "socketpair": (0, 1, 2), "fcntl": (1,), "prctl": (0,)}


@cache
def telling(name: str) -> tuple[int, ...]:
    return TELL.get(name, ())


_NUM = {"ioctl": 16, "madvise": 28, "socket": 41, "socketpair": 53, "fcntl": 72, "prctl": 157}
_IDX = {"ioctl": 1, "madvise": 2, "socket": 0, "socketpair": 0, "fcntl": 1, "prctl": 0}


def need(kind, value):
    from builder.analyse.features import FEATURES

    n, i = kind
    return FEATURES[_NUM[n]].needs.get(value, "") if n in _NUM and _IDX[n] == i else ""


def assumed(kind):
    from builder.analyse.features import FEATURES

    n, i = kind
    return FEATURES[_NUM[n]].assumed if n in _NUM and _IDX[n] == i else ()
