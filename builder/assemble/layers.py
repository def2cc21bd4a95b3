"""The layers of a root file system: what of all that is available really goes in.

`etc` (device nodes, users, resolver), `agent` (PID 1 and its configuration), `app` (the program, its closure, declared
files, the overlay). Generated contents go to the store; everything else is choosing entries. Each layer has the
directories above its entries; where two layers have the same directory they agree about it.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from builder.agent_recipe import Agent
from builder.assemble import agent_conf, digests, users
from builder.assemble.users import Users
from builder.definition import Definition
from builder.definition_words import LEASE, SECRETS
from builder.edges.content import keep, read
from builder.edges.store import Store
from builder.errors import DefinitionError
from builder.model import ClosureFile, File, Tree
from builder.paths import DIGESTS, SCRATCH, expand, find, follow, normalise

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
WATCHDOG = (10, 130)
RESOLVER = "nameserver 10.0.2.3\n"  # QEMU's user network (docs/system/devices/net.rst)
LENT_RESOLVER = f"{LEASE}/resolv.conf"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"

Layers = tuple[tuple[str, Tree], ...]


def layers(
    definition: Definition,
    available: Tree,
    overlay: Tree,
    closure: Sequence[ClosureFile],
    agent: Tree,
    store: Store,
    protection: agent_conf.Directives = (),
    chosen: Agent | None = None,
) -> Layers:
    """All layers in the order they are unpacked; `agent` are the files of the agent that was `chosen`.
    Raises DefinitionError for a declared file that nothing brings."""
    companion = chosen.companion if chosen else None
    known = users.of(definition, _text(overlay, users.PASSWD), companion.user if companion else "")
    folders = [path for path, entry in overlay.items() if entry.kind == "directory"]
    app = app_layer(definition, available, overlay, closure, known)
    etc = {path: entry for path, entry in etc_layer(definition, known, store).items() if path not in app}
    etc |= _secret_links(definition, {**available, **app}, {**etc, **app})
    parts = (
        ("etc", etc),
        ("agent", _alone(agent_layer(definition, agent, known, store, protection, chosen), app)),
        ("app", app),
    )
    declared = {path: entry for _, tree in parts for path, entry in tree.items()}
    own = [found[0] for path in folders if (found := follow({**available, **app}, path))]
    whole = tuple(
        (name, _with_directories(tree, own if name == "app" else (), {**available, **declared})) for name, tree in parts
    )
    everything = {path: entry for _, tree in whole for path, entry in tree.items()}
    _check_directory(definition, everything)
    return tuple((name, {**tree, **_digests(definition, everything, known, store)} if name == "agent" else tree)
                 for name, tree in whole)  # fmt: skip


def _digests(definition: Definition, everything: Tree, known: Users, store: Store) -> Tree:
    """The list that the agent compares the files with; none where it never does."""
    if not definition.agent.verify_s and not definition.agent.verify_first:
        return {}
    mounts = [tmpfs.path for tmpfs in definition.files.tmpfs] + ([definition.disk.mount] if definition.disk else [])
    mounts += [SECRETS] if definition.secret else []
    writers = set(known.uids.values()) - {0}
    text = digests.render(everything, writers=writers, hidden=[normalise(path) for path in mounts])
    return {DIGESTS: keep(store, DIGESTS, text.encode(), mode=0o600)}


def app_layer(
    definition: Definition, available: Tree, overlay: Tree, closure: Sequence[ClosureFile], known: Users
) -> Tree:
    """The program, its closure with the links that lead there, declared files and directories, and the overlay."""
    own = {path: entry for path, entry in overlay.items() if entry.kind != "directory"}
    everything = {**available, **own}  # a folder of files/ says nothing about owner and mode, and hides no link
    chosen = {path: entry for wanted in closure for path, entry in with_links(everything, wanted.path)}
    for pattern in (*definition.files.include, *definition.files.plugins):
        for found in _matching(everything, pattern):
            chosen.update(with_links(everything, found))
    for wanted in definition.files.directories:
        uid, gid = known.uids[wanted.user], known.gids[wanted.user]
        entry = File(normalise(wanted.path), "directory", int(wanted.mode, 8), uid, gid, origin="image.toml")
        chosen.update(_in_place(everything, entry))
    for entry in own.values():
        chosen.update(_in_place(everything, entry))
    return chosen


def etc_layer(definition: Definition, known: Users, store: Store) -> Tree:
    """Device nodes, users, name service, and the directories that file systems are mounted on."""
    entries = [File(f"/dev/{name}", "character-device", PRIVATE.get(name, 0o666), device=NODES[name]) for name in NODES]
    if definition.agent.watchdog_s:
        entries.append(File("/dev/watchdog", "character-device", 0o600, device=WATCHDOG))
    if definition.disk:
        entries.append(File(DISK_NODE, "block-device", 0o600, device=DISK_DEVICE))
    texts = {"passwd": users.passwd(known.uids), "group": users.group(known.gids), "nsswitch.conf": NSSWITCH}
    if definition.network.ports:
        texts["hosts"] = f"127.0.0.1 localhost\n127.0.1.1 {definition.name}\n"
    if definition.network.is_lent:
        entries += [File("/etc/resolv.conf", "symlink", 0o777, target=LENT_RESOLVER), File(LEASE, "directory", 0o755)]
    elif definition.network.ports:
        texts["resolv.conf"] = RESOLVER
    entries += [keep(store, f"/etc/{name}", text.encode()) for name, text in texts.items()]
    entries.append(File(SCRATCH, "directory", 0o1777))
    mounts = ["/proc", "/run", *(tmpfs.path for tmpfs in definition.files.tmpfs if normalise(tmpfs.path) != SCRATCH)]
    mounts += [definition.disk.mount] if definition.disk else []
    mounts += ["/sys", SECRETS] if definition.secret else []  # on a read-only root the agent could not make them
    entries += [File(normalise(path), "directory", 0o755) for path in mounts]
    return {entry.path: replace(entry, origin="kiln") for entry in entries}


def _secret_links(definition: Definition, everything: Tree, taken: Tree) -> Tree:
    """Links from where secrets are wanted to where they are. Raises DefinitionError where a file is already."""
    links: dict[str, File] = {}
    for secret in definition.secret:
        wanted = normalise(secret.path or secret.place)
        if wanted == secret.place:
            continue
        entry = File(wanted, "symlink", 0o777, target=secret.place, origin="image.toml")
        for path, found in _in_place(everything, entry):
            if found.target == secret.place and path in taken:
                where = f"images/{definition.name}/image.toml: secret {secret.name}"
                raise DefinitionError(f"{where}: the image has a file at {wanted}", "give another path")
            links[path] = found
    return links


def _alone(agent: Tree, app: Tree) -> Tree:
    """The agent's files but for those that the application brings as well: the same library of the same package."""
    return {path: entry for path, entry in agent.items() if app.get(path) != entry}


def agent_layer(
    definition: Definition,
    agent: Tree,
    known: Users,
    store: Store,
    protection: agent_conf.Directives = (),
    chosen: Agent | None = None,
) -> Tree:
    """The agent's files and its configuration, which only root may read (`protection` as there)."""
    text = agent_conf.render(definition, known.uids, DISK_NODE, known.gids, protection=protection, agent=chosen)
    conf = keep(store, "/etc/kiln/agent.conf", text.encode(), mode=0o600)
    return {**agent, conf.path: conf}


def _text(tree: Tree, path: str) -> str:
    entry = find(tree, path)
    return b"".join(read(entry)).decode(errors="replace") if entry else ""


def _matching(tree: Tree, pattern: str) -> tuple[str, ...]:
    found = expand(tree, [pattern])
    if not found:
        raise DefinitionError(
            f"files: {pattern} matches nothing in the packages or files/", "name the package that brings it in [source]"
        )
    for path in found:
        if tree[path].kind == "directory" and any(other.startswith(f"{path}/") for other in tree):
            hint = f"for all that is in it write {path}/**; an empty one is declared in [[files.directories]]"
            raise DefinitionError(f"files: {path} is a directory", hint)
    return found


def with_links(tree: Tree, path: str) -> Iterator[tuple[str, File]]:
    """The entry a path leads to, and every symbolic link on the way."""
    found = follow(tree, path)
    if found is None:
        return
    for step in (*found[1], found[0]):
        if step in tree:
            yield step, tree[step]


def _in_place(tree: Tree, entry: File) -> Iterator[tuple[str, File]]:
    """The entry where the links above its path lead, and those links: the kernel writes a file through a link only
    when what that points to is there already, and otherwise not at all."""
    folder, name = posixpath.split(entry.path)
    found = follow(tree, folder)
    if found is None:
        raise DefinitionError(f"{entry.path}: the symbolic links that lead there go in circles")
    yield from ((link, tree[link]) for link in found[1])
    path = posixpath.join(found[0], name)
    yield path, entry if path == entry.path else replace(entry, path=path)


def _with_directories(tree: Tree, folders: Iterable[str], known: Tree) -> Tree:
    """The entries with these folders and all that are above them: as declared or packed, else root's and 0755."""
    whole = dict(tree)
    above = (parent for path in (*folders, *tree) for parent in _parents(path))
    for path in (*folders, *above):
        if path not in whole and path != "/":
            entry = known.get(path)
            usual = File(path, "directory", 0o755, origin="kiln")
            whole[path] = entry if entry and entry.kind == "directory" else usual
    return whole


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent not in ("", "/"):
        yield parent
        parent = posixpath.dirname(parent)


def _check_directory(definition: Definition, whole: Mapping[str, File]) -> None:
    beside = [(f"process[{n}].directory", process.directory) for n, process in enumerate(definition.process)]
    for key, directory in [("run.directory", definition.run.directory), *beside]:
        found = follow(whole, directory)
        entry = whole.get(found[0]) if found else None
        if normalise(directory) != "/" and (entry is None or entry.kind != "directory"):
            hint = "declare it in [[files.directories]], as a [[files.tmpfs]] or as the [disk]"
            where = f"images/{definition.name}/image.toml: {key}"
            raise DefinitionError(f"{where}: {directory} is not in the image", hint)
