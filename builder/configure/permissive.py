"""The permissive kernel: every need a recipe knows, but for those that `recipes/trace/permissive.toml` leaves out.

That file holds `description`, `[[options]]` as a profile does, and `[[left_out]]` tables: `needs`, spelled as the
recipes spell them, with the `reason` why no trace is worth what they would cost.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from builder.configure import request
from builder.configure.recipes import Rule
from builder.errors import DefinitionError
from builder.model import Need, Option, OptionSetting, Platform, Profile
from builder.value import Value

FILE = "trace/permissive.toml"
HINT = "needs are spelled there as in recipes/options/"


class LeftOut(Value, frozen=True):
    """Needs that the permissive kernel does not serve, and why."""

    needs: Annotated[tuple[str, ...], Meta(min_length=1)]
    reason: Annotated[str, Meta(min_length=1)]


class Permissive(Value, frozen=True):
    """The contents of `recipes/trace/permissive.toml`."""

    description: str
    options: tuple[OptionSetting, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def profile(self) -> Profile:
        """Its options as a profile."""
        return Profile("trace", self.description, self.options)


def load(recipes: Path) -> Permissive:
    """What the file says. Raises DefinitionError for a file that is not there or says something else."""
    path = recipes / FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Permissive)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DefinitionError(f"{path}: {error}", HINT) from error


def needs(permissive: Permissive, rules: Sequence[Rule]) -> tuple[str, ...]:
    """The needs to serve, sorted, in the spelling of the recipes (which may have wildcards).

    Raises DefinitionError when one that is left out is in no recipe: it would leave out nothing.
    """
    known = {pattern for rule in rules for pattern in rule.needs}
    left_out = {need for group in permissive.left_out for need in group.needs}
    if unknown := sorted(left_out - known):
        raise DefinitionError(f"recipes/{FILE}: left_out: {unknown[0]}: no recipe knows it", HINT)
    return tuple(sorted(known - left_out))


def options(permissive: Permissive, rules: Sequence[Rule], platform: Platform) -> tuple[Option, ...]:
    """The options to ask Kconfig for, with the platform's network and disk: one kernel for all applications."""
    wanted = tuple(Need(need, ()) for need in needs(permissive, rules))
    return request.request(wanted, rules, platform, permissive.profile, network=True, disk=True)
