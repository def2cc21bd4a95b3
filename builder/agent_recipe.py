"""The agent layer as data: `recipes/agents/<name>/agent.toml`, and what an image has chosen of it (pure).

How to write one: `docs/how-to/choose-an-agent.md`.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, field

from builder.definition_guard import Peer
from builder.definition_words import Pinned, User
from builder.errors import DefinitionError
from builder.value import Value

MONITOR, PAGES = "monitor", "pages"  # the parts that the rest of Kiln knows of
Sources = tuple[str, ...]


class Part(Value, frozen=True):
    """Sources that an agent may leave out, and those that then stand in their place."""

    sources: Sources
    instead: Sources = ()


class Further(Value, frozen=True):
    """A part that is added where it is asked for: what the agent then does, and `needs` that come with it, each with
    its reason."""

    does: str
    sources: Annotated[Sources, Meta(min_length=1)]
    cflags: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)


class Companion(Value, frozen=True):
    """A program of Debian packages that process 1 runs beside the application, as `user`.

    In `command` `{port}` stands for agent.port. `connect` are the peers it connects to, as in `[protect]` (None: not
    known, so that the guard reports every connection if the analysis finds that it makes any).
    """

    packages: Annotated[tuple[Pinned, ...], Meta(min_length=1)]
    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=31)]
    user: User
    connect: tuple[Peer, ...] | None = None


class AgentRecipe(Value, frozen=True):
    """`agent.toml`: which files are compiled together to be process 1, and what runs beside the application.

    `network_sources` are added for images with a network, `offline_sources` for those without, and of the `further`
    parts those that an image asks for. An agent with a `base` takes the base's sources but for the `parts` in
    `leave_out`. `pages` are what is served on agent.port: path → the samples that are all 1 there. `needs` says why
    the agent asks for what the analysis finds in it: need id → reason (`network_needs`: only with a network).
    """

    description: str
    base: str = ""
    leave_out: tuple[str, ...] = ()
    companion: Companion | None = None
    pages: Mapping[str, str] = field(default_factory=dict)
    sources: Sources = ()
    network_sources: Sources = ()
    offline_sources: Sources = ()
    further: Mapping[str, Further] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    headers: Sources = ()
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    network_needs: Mapping[str, str] = field(default_factory=dict)

    def left(self, found: Sources) -> Sources:
        """Of the sources that were chosen those that are compiled."""
        for name in self.leave_out:
            part = self.parts[name]
            if set(part.sources) & set(found):
                found = tuple(source for source in found if source not in part.sources) + part.instead
        return found


class Agent(Value, frozen=True):
    """The agent of one image: what is known of it before anything is compiled."""

    name: str
    recipe: AgentRecipe
    port: int = 0  # that its pages are served on in the guest; 0: there are none

    @property
    def base(self) -> str:
        """The folder that its process 1 is made from."""
        return self.recipe.base or self.name

    @property
    def companion(self) -> Companion | None:
        return self.recipe.companion

    @property
    def packages(self) -> tuple[str, ...]:
        """The Debian packages it is made of."""
        return self.companion.packages if self.companion else ()

    @property
    def command(self) -> tuple[str, ...]:
        """How the companion is started; empty without one."""
        words = self.companion.command if self.companion else ()
        return tuple(word.replace("{port}", str(self.port)) for word in words)

    @property
    def monitors(self) -> bool:
        """Whether process 1 tells of the machine, verifies files and seals the guard's policy."""
        return MONITOR not in self.recipe.leave_out

    @property
    def own_pages(self) -> bool:
        """Whether process 1 itself serves them."""
        return bool(self.port) and PAGES not in self.recipe.leave_out

    @property
    def pages(self) -> tuple[tuple[str, str], ...]:
        """What is served on the port: path, and the samples that are all 1 there."""
        return tuple(self.recipe.pages.items()) if self.port else ()


def wrong(name: str, what: str, hint: str = "see recipes/agents/kiln/agent.toml for the keys") -> DefinitionError:
    """The error for a recipe that is none."""
    return DefinitionError(f"recipes/agents/{name}/agent.toml: {what}", hint)
