"""Where in a TOML document a value is wrong, and what may stand there: msgspec's words made into a user's (pure)."""

import difflib
import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

REFERENCE = "docs/reference/image-toml.md has every key"


def explain(table: Mapping[str, Any], kind: type[msgspec.Struct], said: str) -> tuple[str, str, str]:
    """Key path (`smoke.check[0].path`), what is wrong and a hint, from msgspec's words on a table that is no `kind`."""
    what, _, place = said.partition(" - at `$")
    key, here, expected = _locate(table, kind, re.findall(r"\[[^]]+\]|[^.\[\]`]+", place))
    if match := re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return _joined(key, match[1]), "unknown key", _near(match[1], _keys(_struct(expected, here)))
    if match := re.match(r"Object missing required field `(.*)`", what):
        choices = _tags(expected) if match[1] == "kind" else ()
        return _joined(key, match[1]), "is required", f"one of {', '.join(choices)}" if choices else REFERENCE
    if key.endswith(".kind") and what.startswith("Invalid value"):
        return key, what, _near(str(here), _tags(expected))
    if "matching regex '^/" in what:
        return key, f"{here!r} is not an absolute path in the guest", REFERENCE
    if choices := _words(expected):
        return key, what, _near(str(here), choices)
    return key or "top level", what, REFERENCE


def _locate(table: Any, kind: Any, parts: list[str]) -> tuple[str, Any, Any]:
    """The key path that leads along msgspec's parts, the value there, and the type that is expected."""
    key, here = "", table
    for part in parts:
        struct = _struct(kind, here)
        if part.startswith("["):  # an index, or `[...]` for one of a table's values
            kind = typing.get_args(_plain(kind))[-1 if part == "[...]" else 0]
            step, here = _first_wrong(here, kind) if part == "[...]" else (part, here[int(part[1:-1])])
            key += step
        else:
            key = _joined(key, part)
            here = here.get(part) if isinstance(here, Mapping) else None
            if part != "kind" or "kind" in _keys(struct, tags=False):
                kind = typing.get_type_hints(struct, include_extras=True)[part] if struct else None
    return key, here, kind


def _first_wrong(values: Mapping[str, Any], kind: Any) -> tuple[str, Any]:
    for key, value in values.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return f".{key}", value
    return "", None


def _plain(kind: Any) -> Any:
    """A type without its annotation and without None."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    rest = [choice for choice in typing.get_args(kind) if choice is not type(None)]
    return _plain(rest[0]) if len(rest) == 1 and type(None) in typing.get_args(kind) else kind


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    kind = _plain(kind)
    found = [kind, *typing.get_args(kind)]
    return [choice for choice in found if isinstance(choice, type) and issubclass(choice, msgspec.Struct)]


def _struct(kind: Any, here: Any) -> type[msgspec.Struct] | None:
    """The struct that a value is meant to be: of several, the one whose tag it has."""
    found = _structs(kind)
    tagged = [s for s in found if isinstance(here, Mapping) and s.__struct_config__.tag == here.get("kind")]
    return (tagged or found or [None])[0]  # type: ignore[list-item]


def _keys(struct: type[msgspec.Struct] | None, *, tags: bool = True) -> list[str]:
    if struct is None:
        return []
    tag = struct.__struct_config__.tag_field
    return [*struct.__struct_fields__, *([tag] if tag and tags else [])]


def _tags(kind: Any) -> tuple[str, ...]:
    return tuple(str(s.__struct_config__.tag) for s in _structs(kind) if s.__struct_config__.tag)


def _words(kind: Any) -> tuple[str, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _near(wrong: str, known: typing.Sequence[str]) -> str:
    """A hint for a word that should be one of the known ones."""
    if near := difflib.get_close_matches(wrong, known, 1):
        return f"did you mean {near[0]}?"
    return f"one of {', '.join(known)}" if known else REFERENCE


def _joined(key: str, part: str) -> str:
    word = part if part.isprintable() else repr(part)
    return f"{key}.{word}" if key else word
