"""What one ELF file contributes, independent of all others: made once per file content, then kept in the store."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping

from builder.analyse import contents, elf, golang, objects, tables
from builder.analyse.arch import Unit
from builder.analyse.bodies import bodies
from builder.analyse.body import Body
from builder.analyse.buildid import build_id
from builder.analyse.collecting import paused
from builder.analyse.decode import Reader
from builder.analyse.marks import marks
from builder.analyse.sites import Call, Site, look
from builder.analyse.table import names as syscall_names
from builder.analyse.units import cut
from builder.value import Value

NAME = re.compile(rb"[\x21-\x7e]{1,255}(?=\x00)")
PAGE = 4096  # bytes that one address may stand for (`Unit.pages`)
NO_LOOKUP = -2  # the unit of an exported symbol that leads nowhere


class Export(Value, frozen=True, array_like=True):
    """A symbol other files can bind to; `node` is -1 for data without pointers. `hidden`: only bound when its version
    is asked for. `code`: it is a function."""

    name: str
    version: str
    node: int
    hidden: bool = False
    code: bool = True


class Summary(Value, frozen=True, array_like=True):
    """One file's nodes and what connects them, by index: first its units (functions, as far as they can be told
    apart), then its data objects that contain pointers.

    `starts` are their addresses, `units` counts the units. `edges`: nodes a node calls, jumps to, takes the address
    of, or contains a pointer to. `uses`: imports it refers to. `roots`: nodes that are reached when the file is
    loaded, by how. `names`: known symbol names. `copies`: imports that are copied from the library that defines them.
    `words`: texts that could be function names asked for at run time. `texts`: the text at each constant passed on.
    `stubs`: units that are entries of a procedure linkage table. `marks`: for units with a system call whose number
    is not constant, a digest of their code without the distances in it. `undecoded`: addresses of bytes inside
    functions that are no instruction.
    """

    soname: str
    machine: str
    starts: tuple[int, ...]
    units: int
    edges: tuple[tuple[int, ...], ...]
    uses: dict[int, tuple[int, ...]]
    names: dict[int, str]
    imports: tuple[tuple[str, str], ...]
    copies: tuple[int, ...]
    exports: tuple[Export, ...]
    roots: dict[int, str]
    entry: int
    calls: tuple[Call, ...]
    sites: tuple[Site, ...]
    legacy: tuple[tuple[int, int], ...]
    paths: tuple[tuple[int, str], ...]
    words: tuple[str, ...]
    texts: dict[int, str]
    stubs: tuple[int, ...]
    marks: dict[int, str]
    undecoded: tuple[tuple[int, int], ...]
    go: bool = False
    build: str = ""  # build-id
    bodies: Mapping[int, Body] = {}  # of units whose parameters decide what runs

    def name(self, node: int) -> str:
        """A node's symbol name, or one made from its address."""
        kind = "sub" if node < self.units else "data"
        return self.names.get(node) or f"{kind}_{self.starts[node]:x}"

    def unit_at(self, address: int) -> int:
        """The unit an address lies in (the last one that begins before it), or -1."""
        return bisect_right(self.starts, address, 0, self.units) - 1


def summarise(data: bytes, name: str) -> Summary:
    """The summary of an ELF file's content; `name` is how errors call the file. Raises AnalysisError."""
    with paused():
        return File(data, name).summary()


class File:
    """One file while it is summarised."""

    def __init__(self, data: bytes, name: str) -> None:
        self.file = elf.parse(data, name, "")
        self.symbols = tables.dynamic_symbols(self.file)
        self.static = tuple(tables.static_symbols(self.file))
        self.moves = tuple(tables.relocations(self.file))
        self.functions = contents.functions(self.static, self.symbols)
        roles = tables.SLOT_ROLES
        wanted = {r.address: r.symbol for r in self.moves if r.role in roles and r.symbol < len(self.symbols)}
        self.reader = Reader(self.file, wanted)
        copied = {r.symbol for r in self.moves if r.role == "copy" and r.symbol < len(self.symbols)}
        number = {s: i for i, s in enumerate(sorted(set(wanted.values()) | copied))}
        self.imports = tuple((self.symbols[s].name, self.symbols[s].version) for s in number)
        self.number = number
        self.slots = self.reader.imports = {a: number[s] for a, s in wanted.items()}
        self.copies = tuple(sorted(number[s] for s in copied))
        self.links = objects.pointers(self.file, self.reader, self.moves, self.symbols)
        self.resolvers = {m.addend for m in self.moves if m.role == "irelative"}
        targets = {k.target for k in self.links if self.reader.place(k.target) >= 0} | self.resolvers
        self.go = golang.functions(self.file, self.reader) if golang.is_go(self.file) else {}
        self.functions = {name: a for a, name in self.go.items()} | self.functions
        self.code = cut(self.reader, [*self.functions.values(), *contents.specials(self.file)], targets, self.go)
        places = {a for u in self.code.units for a in u.places}
        if self.go:  # variables that nothing changes keep the value they are linked with
            self.reader.changed = (
                {a for u in self.code.units for a in u.writes | u.maybe}
                | {a for u in self.code.units for page in u.pages for a in range(page, page + PAGE)}
                | places
                | {k.target for k in self.links}
            )
        self.nodes: dict[int, int] = {}  # by address, those that were asked for
        self.named = contents.system_paths(self.file)
        self.objects = objects.cut(self.file, self.reader, self.links, places, [*self.symbols, *self.static])

    def summary(self) -> Summary:
        """All of it put together."""
        code, file, count = self.code, self.file, len(self.code.units)
        names = syscall_names(file.machine)
        calls, sites = look(self.reader, code, self.slots, [n for n, _ in self.imports], self.functions, names)
        edges, uses = self.edges(), self.uses()
        return Summary(
            soname=file.soname,
            machine=file.machine,
            starts=(*code.starts, *self.objects.starts),
            units=count,
            edges=edges,
            uses=uses,
            names={i: n for n, a in sorted(self.functions.items()) if (i := code.index(a)) >= 0} | self.data_names(),
            imports=self.imports,
            copies=self.copies,
            exports=tuple(self.exports()),
            roots=self.roots(),
            entry=code.index(file.entry),
            calls=calls,
            sites=sites,
            legacy=tuple((i, a) for i, u in enumerate(code.units) if u.legacy for a in sorted(u.legacy)),
            paths=tuple(self.paths()),
            words=contents.words(file, [n for n, _ in self.imports]),
            texts=self.texts(sites, calls),
            stubs=tuple(i for i, u in enumerate(code.units) if u.stub),
            marks=marks(self.reader, code, [n for n, _ in self.imports], calls, sites),
            go=bool(self.go),
            build=build_id(self.file),
            bodies=bodies(self.reader, code, self.functions, (calls, sites), self.refers),
            undecoded=tuple((i, a) for i, u in enumerate(code.units) if u.undecoded for a in sorted(u.undecoded)),
        )

    def node(self, address: int) -> int:
        """The node an address lies in, or -1."""
        found = self.nodes.get(address)
        if found is None:
            if self.reader.place(address) >= 0:
                found = self.code.index(address)
            else:
                found = self.objects.index(address)
                found = found if found < 0 else found + len(self.code.units)
            self.nodes[address] = found
        return found

    def around(self, page: int) -> set[int]:
        """The nodes in a 4 KiB page."""
        count = len(self.code.units)
        return self.code.within(page, page + PAGE) | {count + n for n in self.objects.within(page, page + PAGE)}

    def leads(self, unit: Unit) -> set[int]:
        """The nodes that a stretch of code refers to; -1 stands for what is no node."""
        nodes, node = self.nodes, self.node
        targets: set[int] = set()
        for addresses in (unit.calls, unit.jumps, unit.addresses, unit.places, unit.data, unit.maybe):
            for a in addresses:
                targets.add(nodes[a] if a in nodes else node(a))
        for page in unit.pages:
            targets |= self.around(page)
        return targets

    def refers(self, unit: Unit) -> tuple[set[int], set[int], set[str]]:
        """The nodes, imports and system paths that a stretch of code refers to: a unit, or a part of one."""
        i = self.code.index(unit.start)
        if unit is not self.code.units[i]:
            self.reader.read(unit, unit.start)
        return self.leads(unit) - {-1, i}, {self.slots[a] for a in unit.slots}, self.system_paths(unit)

    def edges(self) -> tuple[tuple[int, ...], ...]:
        """Nodes every node leads to."""
        found: list[tuple[int, ...]] = []
        for i, unit in enumerate(self.code.units):
            targets = self.leads(unit)
            if unit.falls and i + 1 < len(self.code.units):
                targets.add(i + 1)
            found.append(tuple(sorted(targets - {-1, i})))
        first = len(self.code.units)
        for i, links in enumerate(self.objects.links):
            targets = {self.node(link.target) for link in links if link.symbol < 0}
            if i in self.objects.before:
                targets.add(first + self.objects.before[i])
            found.append(tuple(sorted(targets - {-1, first + i})))
        return tuple(found)

    def uses(self) -> dict[int, tuple[int, ...]]:
        """Imports every node refers to."""
        found = {i: {self.slots[a] for a in u.slots} for i, u in enumerate(self.code.units) if u.slots}
        for i, links in enumerate(self.objects.links):
            mine = {self.number[link.symbol] for link in links if link.symbol >= 0}
            if mine:
                found[len(self.code.units) + i] = mine
        return {i: tuple(sorted(v)) for i, v in found.items()}

    def exports(self) -> Iterator[Export]:
        """What other files can bind to."""
        for s in self.symbols:
            if s.section and s.binding != tables.STB_LOCAL and s.name:
                yield Export(s.name, s.version, self.node(s.address), s.hidden, s.kind in contents.CODE_KINDS)

    def data_names(self) -> dict[int, str]:
        """Names of data objects."""
        found = {}
        for s in (*self.static, *self.symbols):
            i = self.objects.index(s.address) if s.section and s.name and s.kind == tables.STT_OBJECT else -1
            if i >= 0 and self.objects.starts[i] == s.address:
                found[len(self.code.units) + i] = s.name
        return found

    def roots(self) -> dict[int, str]:
        """Nodes that count as reached when the file is loaded."""
        found = self.go_roots() if golang.is_go(self.file) else {}
        found |= {self.code.index(a): "chooses a variant of a function" for a in self.resolvers}
        found |= {
            self.code.index(a): "run when the file is loaded"
            for a in contents.run_at_load(self.file, self.links, self.symbols)
        }
        found |= self.unreferenced()
        found.pop(-1, None)
        return found

    def go_roots(self) -> dict[int, str]:
        """The functions of a Go program: all of them, those that data refers to apart."""
        tables = golang.tables(self.file)
        known = {k.target for k in self.links if not any(low <= k.address < high for low, high in tables)}
        known |= set(golang.methods(self.file, self.reader, frozenset(self.code.starts)))
        held = {self.code.index(a) for a in known if self.reader.place(a) >= 0}
        why = "its address stands in the data of a Go program"
        return {i: why if i in held else golang.PART for i in range(len(self.code.units))}

    def unreferenced(self) -> dict[int, str]:
        """Objects with pointers that nothing refers to in a way that is seen here."""
        seen = {self.node(a) for u in self.code.units for a in u.places | u.data | u.maybe}
        seen |= {n for u in self.code.units for page in u.pages for n in self.around(page)}
        seen |= {self.node(link.target) for link in self.links if link.symbol < 0}
        seen |= {self.node(s.address) for s in self.symbols if s.section}
        first = len(self.code.units)
        seen |= {first + b for b in self.objects.before.values()}
        why = "in data that nothing is seen to refer to"
        skip = [(s.address, s.address + s.size) for s in self.file.sections if s.name in contents.NOT_DATA]
        return {
            first + i: why
            for i, start in enumerate(self.objects.starts)
            if first + i not in seen and not any(low <= start < high for low, high in skip)
        }

    def paths(self) -> Iterator[tuple[int, str]]:
        """Names under /proc, /sys and /dev by the node that refers to them, or -1 where it is not an own node."""
        for i, unit in enumerate(self.code.units):
            if unit.places or unit.maybe:
                yield from ((i, text) for text in sorted(self.system_paths(unit)))
        for link in self.links:
            if link.symbol < 0 and (text := self.named.get(link.target)):
                yield self.node(link.address), text

    def system_paths(self, unit: Unit) -> set[str]:
        """Names under /proc, /sys and /dev that a stretch of code refers to."""
        return {self.named[a] for a in (unit.places | unit.maybe) & self.named.keys()}

    def texts(self, sites: Iterable[Site], calls: Iterable[Call]) -> dict[int, str]:
        """Texts at the constants that are passed on."""
        passed = [known for s in sites for known in s.values.values()]
        passed += [known for c in calls for known in c.arguments.values()]
        values = {v for known in passed for v in known or () if isinstance(v, int)}
        return {v: t for v in values if (t := contents.text(self.file, NAME, v))}
