"""What an image's agent costs, worked out without building the image."""

from builder import agents, analysing, pipeline
from builder.analyse import implied
from builder.analysing import Subject
from builder.analysis_documents import AgentCost
from builder.configure import recipes
from builder.definition import Definition
from builder.edges.store import Store
from builder.inputs import lockfile
from builder.paths import follow
from builder.pipeline import Place


def of_image(place: Place, subject: Subject, definition: Definition, store: Store) -> AgentCost:
    """What an image would have for its agent alone; memory is known only where it was booted."""
    chosen = agents.choose(definition, place.recipes)
    lock = lockfile.read_lock(place.images / definition.name / "image.lock")
    gathered = analysing.gathered(place, definition, store, lock)
    init = agents.build(definition, place.recipes, store)
    needs = agents.analyse(chosen, init, gathered, place.recipes, store)
    others = implied.merge(subject.needs.needs, implied.by_definition(definition))
    platform = recipes.load_platform(place.recipes, definition.machine.platform)
    profile = recipes.load_profile(place.recipes, definition.profile)
    wanted = implied.merge(others, needs.needs)
    options = pipeline.options_of(wanted, platform, profile, definition, place)
    shared = {found[0] for file in subject.needs.closure if (found := follow(subject.tree, file.path))}
    own = {path: entry for path, entry in agents.files(init, gathered, needs).items() if path not in shared}
    return agents.cost(chosen, own, others, needs, options, store)
