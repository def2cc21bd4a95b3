"""The layers of a root file system: what of all that is available really goes in.

`etc` (device nodes, users, resolver), `agent` (PID 1 and its configuration), `app` (the program, its closure, declared
files, the overlay). Generated contents go to the store; everything else is choosing entries.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from builder.assemble import agent_conf, users
from builder.definition import Definition
from builder.edges.content import keep
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.model import ClosureFile, File, Tree
from builder.paths import expand, follow, normalise

# Documentation/admin-guide/devices.txt; the disk's major is the first that register_blkdev() gives (block/genhd.c).
NODES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "kmsg": (1, 11),
    "tty": (5, 0),
    "console": (5, 1),
    "ttyS0": (4, 64),
}
PRIVATE = {"console": 0o600, "kmsg": 0o600, "ttyS0": 0o600}
DISK_NODE, DISK_DEVICE = "/dev/vda", (254, 0)
SCRATCH = "/tmp"  # noqa: S108 - of the guest
RESOLVER = "nameserver 10.0.2.3\n"  # QEMU's user network (docs/system/devices/net.rst)
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"

Layers = tuple[tuple[str, Tree], ...]


def layers(
    definition: Definition,
    available: Tree,
    overlay: Tree,
    closure: Sequence[ClosureFile],
    agent: Tree,
    store: Store,
) -> Layers:
    """All layers in the order they are unpacked. Raises DefinitionError for a declared file that nothing brings."""
    known = users.ids(definition)
    app = app_layer(definition, available, overlay, closure, known)
    etc = {path: entry for path, entry in etc_layer(definition, known, store).items() if _may_add(app, entry)}
    return (("etc", etc), ("agent", agent_layer(definition, agent, known, store)), ("app", app))


def app_layer(
    definition: Definition, available: Tree, overlay: Tree, closure: Sequence[ClosureFile], known: Mapping[str, int]
) -> Tree:
    """The program, its closure with the links that lead there, declared files and directories, and the overlay."""
    everything = {**available, **overlay}
    chosen = {path: entry for wanted in closure for path, entry in _with_links(everything, wanted.path)}
    for pattern in (*definition.files.include, *definition.files.plugins):
        for found in _matching(everything, pattern):
            chosen.update(_with_links(everything, found))
    for directory in definition.files.directories:
        path, owner = normalise(directory.path), known[directory.user]
        chosen[path] = File(path, "directory", int(directory.mode, 8), owner, owner, origin="image.toml")
    return _with_parents({**chosen, **overlay}, everything)


def etc_layer(definition: Definition, known: Mapping[str, int], store: Store) -> Tree:
    """Device nodes, users, name service, and the directories that file systems are mounted on."""
    entries = [File(f"/dev/{name}", "character-device", PRIVATE.get(name, 0o666), device=NODES[name]) for name in NODES]
    if definition.disk:
        entries.append(File(DISK_NODE, "block-device", 0o600, device=DISK_DEVICE))
    texts = {"passwd": users.passwd(known), "group": users.group(known), "nsswitch.conf": NSSWITCH}
    if definition.network.ports:
        texts |= {"hosts": f"127.0.0.1 localhost\n127.0.1.1 {definition.name}\n", "resolv.conf": RESOLVER}
    entries += [keep(store, f"/etc/{name}", text.encode()) for name, text in texts.items()]
    entries.append(File(SCRATCH, "directory", 0o1777))
    mounts = ["/proc", "/run", *(tmpfs.path for tmpfs in definition.files.tmpfs if normalise(tmpfs.path) != SCRATCH)]
    mounts += [definition.disk.mount] if definition.disk else []
    entries += [File(normalise(path), "directory", 0o755) for path in mounts]
    return _with_parents({entry.path: _of_kiln(entry) for entry in entries}, {})


def agent_layer(definition: Definition, agent: Tree, known: Mapping[str, int], store: Store) -> Tree:
    """The agent's files and its configuration, which only root may read."""
    text = agent_conf.render(definition, known, DISK_NODE)
    conf = keep(store, "/etc/kiln/agent.conf", text.encode(), mode=0o600)
    return _with_parents({**agent, conf.path: conf}, {})


def _of_kiln(entry: File) -> File:
    return replace(entry, origin="kiln")


def _matching(tree: Tree, pattern: str) -> tuple[str, ...]:
    found = expand(tree, [pattern])
    if not found:
        raise DefinitionError(
            f"files: {pattern} matches nothing in the packages or files/", "name the package that brings it in [source]"
        )
    return found


def _with_links(tree: Tree, path: str) -> Iterator[tuple[str, File]]:
    """The entry a path leads to, and every symbolic link on the way."""
    found = follow(tree, path)
    if found is None:
        return
    for step in (*found[1], found[0]):
        if step in tree:
            yield step, tree[step]


def _with_parents(chosen: Mapping[str, File], origin: Tree) -> Tree:
    """The entries with all directories above them: as the packages have them, else owned by root and 0755."""
    whole = dict(chosen)
    for path in list(chosen):
        for parent in _parents(path):
            known = origin.get(parent)
            if parent not in whole:
                whole[parent] = known if known and known.kind == "directory" else File(parent, "directory", 0o755)
    return whole


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent != "/":
        yield parent
        parent = posixpath.dirname(parent)


def _may_add(app: Tree, entry: File) -> bool:
    """What the application's layer brings wins; directories may be in both."""
    return entry.path not in app or (entry.kind == "directory" and app[entry.path].kind == "directory")
