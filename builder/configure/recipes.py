"""Recipes: TOML data that says which need enables which kernel options, what a platform offers, what a profile trades.

`recipes/options/<area>/*.toml` holds `[[option]]` tables:

- `name`: the Kconfig symbol without `CONFIG_`; `value`: what to set it to (default `"y"`; `"n"`, a number, or a
  quoted string `'"text"'`).
- `reason`: one sentence that ends up beside the option in the kernel's configuration.
- `source`: where that is known from: file and line of Linux 6.12, or documentation.
- `needs`: need ids any one of which triggers the rule, with `*` and `?` as wildcards (`syscall:epoll_*`); or
  `always = true`. `image:network` and `image:disk` are the needs of an image that has a network or a data disk.

and `[[free]]` tables (`needs`, `reason`, `source`): needs that cost no option, so that they are known and not typing
mistakes. `recipes/platforms/*.toml` are `model.Platform` and `recipes/profiles/*.toml` are `model.Profile` without the
name, which is the file's.
"""

import difflib
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from builder.definition_guard import RuleEntry
from builder.edges import content
from builder.errors import DefinitionError
from builder.model import Platform, Profile
from builder.value import Value

Text = Annotated[str, Meta(min_length=1)]
Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Za-z0-9_]*$")]
Setting = Annotated[str, Meta(pattern=r'^(y|n|-?[0-9]+|0x[0-9a-fA-F]+|"[^"\n]*")$')]
Pattern = Annotated[str, Meta(pattern=r"^[A-Za-z][^\n]*$")]
Loaded = TypeVar("Loaded")


class Rule(Value, frozen=True):
    """One option and the needs that enable it; `recipe` is the file it stands in. Without a name: a free need."""

    name: str
    value: str
    reason: str
    source: str
    recipe: str
    needs: tuple[str, ...] = ()
    always: bool = False


class _Option(Value, frozen=True):
    name: Symbol
    reason: Text
    source: Text
    value: Setting = "y"
    needs: tuple[Pattern, ...] = ()
    always: bool = False


class _Free(Value, frozen=True):
    needs: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    reason: Text
    source: Text


class _File(Value, frozen=True):
    option: tuple[_Option, ...] = ()
    free: tuple[_Free, ...] = ()


class _Responses(Value, frozen=True):
    rule: tuple[RuleEntry, ...] = ()


def load_rules(recipes: Path) -> tuple[Rule, ...]:
    """All rules of `recipes/options/*/*.toml` in the order of file names. Raises DefinitionError with the key path."""
    return _all_rules(recipes, content.stamp(recipes / "options", "*/*.toml"))


@lru_cache(maxsize=4)  # asked for several times by a build, and once for every image of a fleet
def _all_rules(recipes: Path, _stamp: object) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for path in sorted((recipes / "options").glob("*/*.toml")):
        rules += _rules(path, f"{recipes.name}/{path.relative_to(recipes)}")
    if not rules:
        raise DefinitionError(f"{recipes / 'options'}: no recipes found", "run Kiln in its own checkout")
    return tuple(rules)


def load_platform(recipes: Path, name: str) -> Platform:
    """The platform `recipes/platforms/<name>.toml`. Raises DefinitionError (unknown name: near names suggested)."""
    return _load_named(recipes, "platforms", name, Platform)


def load_profile(recipes: Path, name: str) -> Profile:
    """The profile `recipes/profiles/<name>.toml`. Raises DefinitionError (unknown name: near names suggested)."""
    return _load_named(recipes, "profiles", name, Profile)


def load_responses(recipes: Path, agent: str) -> tuple[RuleEntry, ...]:
    """What an agent does about its findings, `recipes/agents/<name>/rules.toml`; none where it has no such file. Raises
    DefinitionError."""
    path = recipes / "agents" / agent / "rules.toml"
    return _convert(_read(path), _Responses, path).rule if path.is_file() else ()


def names(recipes: Path, kind: str) -> tuple[str, ...]:
    """Names of the recipes of a kind (`platforms`, `profiles`), sorted."""
    return tuple(sorted(path.stem for path in (recipes / kind).glob("*.toml")))


def _rules(path: Path, recipe: str) -> list[Rule]:
    found = _convert(_read(path), _File, path)
    for number, option in enumerate(found.option):
        if option.always == bool(option.needs):
            raise DefinitionError(
                f"{path}: option[{number}] ({option.name}): needs either `needs` or `always = true`, and not both",
                "name the needs that enable the option, or say that every kernel has it",
            )
    options = [Rule(o.name, o.value, o.reason, o.source, recipe, o.needs, o.always) for o in found.option]
    return options + [Rule("", "", f.reason, f.source, recipe, f.needs) for f in found.free]


def _load_named(recipes: Path, kind: str, name: str, wanted: type[Loaded]) -> Loaded:
    known = names(recipes, kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known {kind}: {', '.join(known) or 'none'}"
        raise DefinitionError(f"no {kind[:-1]} is called {name!r} in {recipes / kind}", hint)
    path = recipes / kind / f"{name}.toml"
    table = _read(path)
    if "name" in table:
        raise DefinitionError(f"{path}: name: a {kind[:-1]} is named by its file", "remove the key `name`")
    return _convert({**table, "name": name}, wanted, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path}: not valid TOML: {error}", "see https://toml.io for the syntax") from error


def _convert(table: dict[str, Any], wanted: type[Loaded], path: Path) -> Loaded:
    try:
        return msgspec.convert(table, wanted)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        key = where.strip("`").removeprefix("$").lstrip(".")
        raise DefinitionError(
            f"{path}: {key + ': ' if key else ''}{what}", "the keys of recipes: docs/reference/recipes.md"
        ) from error
