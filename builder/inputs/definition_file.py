"""Reading `images/<app>/image.toml`: strict, and clear about what is wrong and where."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from builder import definition as values
from builder.definition import Definition, ExitCheck, HttpCheck, TcpCheck
from builder.errors import DefinitionError
from builder.paths import normalise

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def names(images: Path) -> tuple[str, ...]:
    """The names of all image definitions, sorted."""
    return tuple(sorted(path.parent.name for path in images.glob("*/image.toml")))


def load(images: Path, name: str) -> Definition:
    """One image definition. Raises DefinitionError naming the file and the key path (or line)."""
    path = images / name / "image.toml"
    if not NAME.fullmatch(name) or not path.is_file():
        known = names(images)
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
        raise DefinitionError(f"no image named {name!r} in images/", hint)
    try:
        return parse(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError as error:
        raise DefinitionError(f"images/{name}/image.toml: not UTF-8 text (byte {error.start})") from error


def parse(text: str, name: str) -> Definition:
    """A definition from its text. Raises DefinitionError and nothing else."""
    file = f"images/{name}/image.toml"
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # besides TOMLDecodeError: a number of more than 4300 digits
        raise DefinitionError(f"{file}: {error}", "see https://toml.io for the syntax") from error
    if "name" in table:
        raise DefinitionError(f"{file}: name: not a key; the folder's name is the image's name")
    try:
        found = msgspec.convert({**table, "name": name}, Definition)
    except msgspec.ValidationError as error:
        raise _wrong(file, str(error)) from error
    for key, problem in _problems(found):
        raise DefinitionError(f"{file}: {key}: {problem}")
    return found


def _wrong(file: str, said: str) -> DefinitionError:
    """msgspec's words as a key path (`smoke.check[0].path`) and what is wrong with it."""
    what, _, place = said.partition(" - at `")
    key = place.rstrip("`").removeprefix("$").removeprefix(".").replace("[...]", "[]")
    if match := re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        wrong = match[1] if match[1].isprintable() else repr(match[1])
        near = difflib.get_close_matches(wrong, _known_keys(), 1)
        hint = f"did you mean {near[0]}?" if near else "docs/reference/image-toml.md has every key"
        return DefinitionError(f"{file}: {f'{key}.' if key else ''}{wrong}: unknown key", hint)
    if match := re.match(r"Object missing required field `(.*)`", what):
        key, what = f"{key}.{match[1]}" if key else match[1], "is required"
    return DefinitionError(f"{file}: {key or 'top level'}: {what}", "docs/reference/image-toml.md has every key")


def _known_keys() -> list[str]:
    kinds: list[Any] = [value for value in vars(values).values() if isinstance(value, type)]
    return sorted({key for kind in kinds if issubclass(kind, msgspec.Struct) for key in kind.__struct_fields__})


def _problems(found: Definition) -> Iterator[tuple[str, str]]:
    """What is well-formed but cannot work."""
    if not found.run.command[0].startswith("/"):
        yield "run.command", f"{found.run.command[0]!r} is not an absolute path in the guest"
    if any("\0" in argument for argument in found.run.command):
        yield "run.command", "holds a NUL character"
    for name, value in found.run.environment.items():
        if not name or "=" in name or "\0" in name + value:
            yield f"run.environment.{name}", "a name is not empty and has no =, and neither has a NUL character"
    mounts = [normalise(tmpfs.path) for tmpfs in found.files.tmpfs]
    mounts += [normalise(found.disk.mount)] if found.disk else []
    for mount in mounts:
        if mount in ("/", "/proc", "/dev", "/etc"):
            yield "files.tmpfs / disk.mount", f"nothing may be mounted on {mount}"
        if re.search(r"\s", mount):
            yield "files.tmpfs / disk.mount", f"{mount!r} holds white space"
        if mounts.count(mount) > 1:
            yield "files.tmpfs / disk.mount", f"{mount} is mounted twice"
    if found.agent.port in found.network.ports:
        yield "agent.port", f"{found.agent.port} is one of network.ports; choose another"
    for number, check in enumerate(found.smoke.check):
        yield from _check_problems(f"smoke.check[{number}]", check, found)


def _check_problems(key: str, check: values.Check, found: Definition) -> Iterator[tuple[str, str]]:
    if isinstance(check, HttpCheck | TcpCheck):
        if not found.network.ports:
            yield key, "the image has no network.ports to ask"
        elif check.port is not None and check.port not in (*found.network.ports, found.agent.port):
            yield f"{key}.port", f"{check.port} is not one of network.ports"
    if isinstance(check, ExitCheck) and found.run.restart == "always":
        yield key, 'never comes true with run.restart = "always"'
    expect = getattr(check, "expect", "")
    try:
        re.compile(expect)
    except (re.error, OverflowError, RecursionError) as error:
        yield f"{key}.expect", f"not a regular expression: {error}"
