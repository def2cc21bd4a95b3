"""What one ELF file contributes, independent of all others: made once per file content, then kept in the store."""

import re
import struct
from collections.abc import Iterable, Iterator

from builder.analyse import elf, tables
from builder.analyse.decode import Reader
from builder.analyse.elf import Elf
from builder.analyse.sites import Call, Site, look
from builder.analyse.tables import Relocation, Symbol
from builder.analyse.units import Code, cut
from builder.model import Value

CODE_KINDS = (tables.STT_FUNC, tables.STT_GNU_IFUNC)
POINTERS = (tables.R_RELATIVE, tables.R_IRELATIVE)
GO_MARK = b"\xff Go buildinf:"
IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,127}(?=\x00)")
NAME = re.compile(rb"[\x21-\x7e]{1,255}(?=\x00)")
SYSTEM_PATH = re.compile(rb"/(?:proc|sys|dev)/[\x21-\x7e]*(?=\x00)")


class Export(Value, frozen=True, array_like=True):
    """A symbol other files can bind to; `unit` is -1 for data. `hidden`: only when its version is asked for."""

    name: str
    version: str
    unit: int
    hidden: bool = False


class Summary(Value, frozen=True, array_like=True):
    """One file's units (functions, as far as they can be told apart) and what connects them, by index.

    `edges`: units a unit calls, jumps to or takes the address of. `uses`: imports it refers to. `roots`: units that
    are reached when the file is loaded, by how. `names`: known function names. `words`: texts that could be function
    names asked for at run time. `texts`: the text at each constant passed to dlopen and dlsym. `stubs`: units that
    are entries of a procedure linkage table.
    """

    soname: str
    starts: tuple[int, ...]
    edges: tuple[tuple[int, ...], ...]
    uses: dict[int, tuple[int, ...]]
    names: dict[int, str]
    imports: tuple[tuple[str, str], ...]
    exports: tuple[Export, ...]
    roots: dict[int, str]
    root_imports: tuple[int, ...]
    entry: int
    calls: tuple[Call, ...]
    sites: tuple[Site, ...]
    legacy: tuple[tuple[int, int], ...]
    paths: tuple[tuple[int, str], ...]
    words: tuple[str, ...]
    texts: dict[int, str]
    stubs: tuple[int, ...]

    def name(self, unit: int) -> str:
        """A unit's function name, or one made from its address."""
        return self.names.get(unit) or f"sub_{self.starts[unit]:x}"


def summarise(data: bytes, name: str) -> Summary:
    """The summary of an ELF file's content; `name` is how errors call the file. Raises AnalysisError."""
    file = elf.parse(data, name)
    symbols, moves = tables.dynamic_symbols(file), tuple(tables.relocations(file))
    functions = _functions(file, symbols)
    wanted = {r.address: r.symbol for r in moves if r.kind in tables.SLOT_TYPES and r.symbol < len(symbols)}
    reader = Reader(file, wanted)
    pointers = _pointers(file, reader, moves)
    code = cut(reader, [*functions.values(), *_specials(file)], pointers)
    imports = {s: i for i, s in enumerate(sorted(set(wanted.values())))}
    slots = {a: imports[s] for a, s in wanted.items()}
    uses = {i: tuple(sorted({slots[a] for a in u.slots})) for i, u in enumerate(code.units) if u.slots}
    named = tuple((symbols[s].name, symbols[s].version) for s in imports)
    calls, sites = look(reader, code, slots, [n for n, _ in named])
    return Summary(
        soname=file.soname,
        starts=code.starts,
        edges=tuple(_edges(code)),
        uses=uses,
        names={i: n for n, a in sorted(functions.items()) if (i := code.index(a)) >= 0},
        imports=named,
        exports=tuple(_exports(code, symbols)),
        roots=_roots(file, code, pointers),
        root_imports=tuple(sorted({slots[r.address] for r in moves if r.kind == tables.R_64 and r.address in slots})),
        entry=code.index(file.entry),
        calls=calls,
        sites=sites,
        legacy=tuple((i, a) for i, u in enumerate(code.units) for a in sorted(u.legacy)),
        paths=tuple(_paths(file, code, moves)),
        words=_words(file, [n for n, _ in named]),
        texts=_texts(file, sites, named),
        stubs=tuple(i for i, u in enumerate(code.units) if u.stub),
    )


def _functions(file: Elf, symbols: Iterable[Symbol]) -> dict[str, int]:
    """Addresses of the functions that have a name; exported names win over local ones."""
    both = [*tables.static_symbols(file), *symbols]
    return {s.name: s.address for s in both if s.section and s.kind in CODE_KINDS and s.name}


def _specials(file: Elf) -> Iterator[int]:
    yield file.entry
    yield from (file.value(tag) for tag in (elf.DT_INIT, elf.DT_FINI) if file.value(tag))


def _pointers(file: Elf, reader: Reader, moves: Iterable[Relocation]) -> set[int]:
    """Code addresses that stand in data: what the loader writes there, and every word of a program that is linked to
    a fixed address and needs no writing."""
    found = {m.addend for m in moves if m.kind in POINTERS}
    if reader.fixed:
        for s in file.loads():
            start = s.offset + (-s.address % 4)
            for at in (start, start + 4):
                size = max(s.offset + s.file_size - at, 0) // 8 * 8
                found.update(v for (v,) in struct.iter_unpack("<Q", file.data[at : at + size]))
    return {a for a in found if reader.low <= a < reader.high and reader.place(a) >= 0}


def _edges(code: Code) -> Iterator[tuple[int, ...]]:
    for i, unit in enumerate(code.units):
        targets = {code.index(a) for a in unit.calls | unit.jumps | unit.addresses}
        if unit.falls and i + 1 < len(code.units):
            targets.add(i + 1)
        yield tuple(sorted(targets - {-1, i}))


def _exports(code: Code, symbols: Iterable[Symbol]) -> Iterator[Export]:
    for s in symbols:
        if s.section and s.binding != tables.STB_LOCAL and s.name:
            yield Export(s.name, s.version, code.index(s.address) if s.kind != 1 else -1, s.hidden)


def _roots(file: Elf, code: Code, pointers: Iterable[int]) -> dict[int, str]:
    if GO_MARK in file.data:  # Go's method tables hold distances from the code's start: every function may be called
        return dict.fromkeys(range(len(code.units)), "part of a Go program")
    found = {code.index(a): "its address stands in the file's data" for a in pointers}
    found |= {code.index(file.value(t)): "run when the file is loaded" for t in (elf.DT_INIT, elf.DT_FINI)}
    for at, size in ((elf.DT_INIT_ARRAY, elf.DT_INIT_ARRAYSZ), (elf.DT_FINI_ARRAY, elf.DT_FINI_ARRAYSZ),
                     (elf.DT_PREINIT_ARRAY, elf.DT_PREINIT_ARRAYSZ)):  # fmt: skip
        length = file.value(size) // 8 * 8
        if file.value(at) and length and file.offset_of(file.value(at)) >= 0:
            raw = file.bytes_at(file.value(at), length, "an array of start-up functions")
            found |= {code.index(a): "run when the file is loaded" for (a,) in struct.iter_unpack("<Q", raw)}
    found.pop(-1, None)
    return found


def _text(file: Elf, pattern: "re.Pattern[bytes]", address: int) -> str:
    offset = file.offset_of(address)
    match = pattern.match(file.data, offset) if offset >= 0 else None
    return match[0].decode() if match else ""


def _paths(file: Elf, code: Code, moves: Iterable[Relocation]) -> Iterator[tuple[int, str]]:
    """Names under /proc, /sys and /dev: by the unit that refers to them, or -1 where data does."""
    for i, unit in enumerate(code.units):
        for text in sorted({_text(file, SYSTEM_PATH, a) for a in unit.tables} - {""}):
            yield i, text
    for text in sorted({_text(file, SYSTEM_PATH, m.addend) for m in moves if m.kind == tables.R_RELATIVE} - {""}):
        yield -1, text


def _texts(file: Elf, sites: Iterable[Site], imports: tuple[tuple[str, str], ...]) -> dict[int, str]:
    asking = {-1 - i for i, (n, _) in enumerate(imports) if n in ("dlopen", "dlsym", "dlvsym")}
    found = {v for s in sites if s.callee in asking for known in s.values.values() for v in known or ()}
    return {v: t for v in found if isinstance(v, int) and (t := _text(file, NAME, v))}


def _words(file: Elf, imports: list[str]) -> tuple[str, ...]:
    """Texts that could be names for dlsym, of files that use it (the loader itself imports nothing but looks up)."""
    if imports and not {"dlsym", "dlvsym"} & set(imports) and file.soname != "ld-linux-x86-64.so.2":
        return ()
    strings = file.offset_of(file.value(elf.DT_STRTAB))
    skip = range(strings, strings + file.value(elf.DT_STRSZ))
    found = {
        m[0].decode()
        for s in file.loads()
        if not s.flags & elf.PF_X
        for m in IDENTIFIER.finditer(file.data, s.offset, s.offset + s.file_size)
        if m.start() not in skip
    }
    return tuple(sorted(found))
