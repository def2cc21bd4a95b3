"""What brings this in alone: the list people write hints from."""

import posixpath
from collections.abc import Sequence

from builder import agents, analysing
from builder.analyse import alone, implied
from builder.analyse import needs as analysis
from builder.analyse.reach import Node
from builder.analysing import CALL, Subject, switched_on
from builder.analysis_documents import Saving, Tier
from builder.configure import recipes, request
from builder.edges.store import Store
from builder.inputs import lockfile
from builder.model import Need
from builder.pipeline import Place


def kept_anyway(place: Place, subject: Subject, store: Store) -> frozenset[str]:
    """Kernel options an image has whatever its application asks: its agent's, definition's, platform's, profile's."""
    definition = subject.definition
    if definition is None:
        return frozenset()
    network = bool(definition.network.ports)
    chosen = agents.choose(definition, place.recipes)
    lock = lockfile.read_lock(place.images / definition.name / "image.lock")
    found = analysing.gathered(place, definition, store, lock)
    needs = agents.analyse(chosen, agents.build(definition, place.recipes, store), found, place.recipes, store)
    wanted = implied.merge(needs.needs, implied.by_definition(definition))
    platform = recipes.load_platform(place.recipes, definition.machine.platform)
    profile = recipes.load_profile(place.recipes, definition.profile)
    rules, disk = recipes.load_rules(place.recipes), definition.disk is not None
    asked = request.request(wanted, rules, platform, profile, network=network, disk=disk)
    return frozenset(option.name for option in asked)


def savings(subject: Subject, rules: Sequence[recipes.Rule], kept: frozenset[str]) -> tuple[Saving, ...]:
    """What would go without which function, largest savings first. `kept`: options that stay in any case."""
    ids: dict[str, Tier] = {need.id: "reachable" for need in subject.needs.needs}
    options = {option.name: option.needs for option in switched_on(rules, ids) if option.name not in kept}
    found = alone.losses(subject.reached, subject.told, options, _fixed(subject.needs.needs))
    return tuple(_saving(subject, loss) for loss in found)


def _fixed(needs: Sequence[Need]) -> frozenset[str]:
    """Needs that no function's removal takes away."""
    declared = {need.id for need in needs if need.evidence and need.evidence[0] == analysis.DECLARED}
    return frozenset(declared | {CALL + name for name in analysis.KERNEL_IMPLIES})


def _saving(subject: Subject, loss: alone.Loss) -> Saving:
    reached = subject.reached
    program = {i for i, member in enumerate(reached.members) if member.file.why == "program"}
    own = [node for node in loss.nodes if node[0] in program]
    others = [node for node in loss.nodes if node[0] not in program]
    best = _best(subject, own) or _best(subject, others)
    hintable = sorted(
        (node for node in (*own, *others) if alone.named(reached, node)),
        key=lambda n: not alone.is_function(reached, n),
    )
    library = _best(subject, others) if own else None
    return Saving(
        function=alone.shown(reached, best) if best else "",
        library=alone.shown(reached, library) if library else "",
        users=tuple(posixpath.basename(reached.members[i].file.path) for i in loss.users),
        hint=_hint(alone.named(reached, hintable[0])) if hintable else "",
        options=tuple(sorted(loss.options)),
        syscalls=tuple(sorted(n.removeprefix(CALL) for n in loss.needs if n.startswith(CALL))),
        features=tuple(sorted(n for n in loss.needs if not n.startswith(CALL))),
        chain=reached.chain(loss.nodes[0]),
    )


def _best(subject: Subject, nodes: Sequence[Node]) -> Node | None:
    """The topmost function with a name, else the topmost table with one, else the topmost."""
    things = [node for node in nodes if alone.named(subject.reached, node)]
    functions = [node for node in things if alone.is_function(subject.reached, node)]
    return next(iter((*functions, *things, *nodes)), None)


def _hint(function: str) -> str:
    return f'[[hint]]\nfunction = "{function}"\nreason = "…"'
