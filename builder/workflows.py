"""Ready workflows for a provider of continuous integration: `invoke ci`."""

from pathlib import Path

from builder.edges.content import write_whole
from builder.errors import DefinitionError
from builder.inputs import definition_file
from builder.pipeline import Place

# by provider: the template, and where its file belongs in a checkout
PROVIDERS = {"github": ("github.yml.j2", ".github/workflows/images.yml"), "gitlab": ("gitlab.yml.j2", ".gitlab-ci.yml")}
MINUTE = 17  # not the full hour, when every scheduler runs


def render(place: Place, provider: str, *, branch: str = "main") -> str:
    """A provider's workflow for the images of a checkout. Raises DefinitionError for a provider that is not known."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - slow to import

    if provider not in PROVIDERS:
        raise DefinitionError(f"--provider {provider}: not known", f"there are: {', '.join(PROVIDERS)}")
    environment = Environment(  # the workflows themselves are full of braces; what is made is no HTML
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    template = (place.recipes / "templates" / "ci" / PROVIDERS[provider][0]).read_text(encoding="utf-8")
    apps = definition_file.names(place.images)
    return environment.from_string(template).render(apps=apps, branch=branch, minute=MINUTE)


def write(place: Place, provider: str, *, branch: str = "main") -> Path:
    """Write the workflow to its place in the checkout."""
    text = render(place, provider, branch=branch)
    path = place.root / PROVIDERS[provider][1]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode())
    return path
