"""Why a system call or another need is in an image, built or not: everybody who asks for it, with evidence."""

from collections.abc import Iterable

from builder import analysing, results
from builder.analyse import implied
from builder.analysing import CALL, Subject
from builder.analysis_documents import Explained, Feature, Proof
from builder.configure import recipes
from builder.documents import ImageNeeds, ImageOptions
from builder.edges.store import Store
from builder.errors import BuilderError, DefinitionError
from builder.inputs import definition_file
from builder.model import Need
from builder.pipeline import Place


def need(place: Place, app: str, name: str, store: Store) -> Explained:
    """The answer for a need id (`syscall:mremap`, `socket:AF_UNIX`); for an image that is not built, of what a build
    would find. Errors as those of a build."""
    definition_file.load(place.images, app)  # names what is near when there is no such image
    built, options = _built(place, app)
    subject = _subject(place, app, store, optional=built is not None)
    asked = tuple(_asked(name, built, subject))
    short = name.removeprefix(CALL)
    if options is None:
        rules = recipes.load_rules(place.recipes)
        return Explained(
            app, short, None, asked, tuple(o.name for o in analysing.switched_on(rules, {name: "reachable"}))
        )
    brought = tuple(o.name for o in options.options if any(name in reason.needs for reason in o.reasons))
    kept = short in options.syscalls if name.startswith(CALL) else bool(asked)
    return Explained(app, short, kept, asked, brought)


def known(place: Place, app: str, store: Store) -> tuple[str, ...]:
    """Names of all system calls and needs an image has, to find near ones."""
    built, _ = _built(place, app)
    if built is None:
        needs: Iterable[Need] = analysing.load_app(place, app, store).needs.needs
    else:
        needs = (*built.application.needs, *built.agent.needs, *built.definition)
    return tuple(sorted({one.id.removeprefix(CALL) for one in needs}))


def _built(place: Place, app: str) -> tuple[ImageNeeds | None, ImageOptions | None]:
    try:
        return results.load(place, app, ImageNeeds), results.load(place, app, ImageOptions)
    except DefinitionError:
        return None, None


def _subject(place: Place, app: str, store: Store, *, optional: bool) -> Subject | None:
    """The application as it is now; where the image is built, its own documents are enough without."""
    try:
        return analysing.load_app(place, app, store)
    except BuilderError:
        if optional:
            return None
        raise


def _asked(name: str, built: ImageNeeds | None, subject: Subject | None) -> Iterable[Feature]:
    """What the application, the agent and the definition say of a need."""
    if built is not None:
        same = subject is not None and subject.needs.needs == built.application.needs
        groups = [*built.application.needs, *built.agent.needs, *built.definition]
        yield from (_feature(one, subject if same else None) for one in groups if one.id == name)
        return
    assert subject is not None
    assert subject.definition is not None
    groups = [*subject.needs.needs, *analysing.hinted_out(subject), *implied.by_definition(subject.definition)]
    yield from (_feature(one, subject) for one in groups if one.id == name)


def _feature(one: Need, subject: Subject | None) -> Feature:
    if subject is None:
        proofs = tuple(Proof("found", e.how, e.file, e.address, e.function, e.chain) for e in one.evidence)
        return Feature(one.id, "reachable", one.by, one.sites, proofs)
    tier = analysing.tier(one, subject, analysing.assumed(subject))
    return Feature(one.id, tier, one.by, one.sites, tuple(analysing.proof(subject, e) for e in one.evidence))
