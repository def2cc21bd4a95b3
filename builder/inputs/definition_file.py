"""Reading `images/<app>/image.toml`: strict, and clear about what is wrong and where."""

import difflib
import re
import tomllib
from pathlib import Path

import msgspec

from builder.definition import Definition
from builder.errors import DefinitionError
from builder.inputs import key_path
from builder.inputs.definition_rules import problems

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
        there_are = f"there are: {', '.join(known)}" if known else "make one: docs/tutorial/your-own-service.md"
        hint = f"did you mean {', '.join(near)}?" if near else there_are
        raise DefinitionError(f"no image named {name!r} in images/" if name else "which image? give --app NAME", hint)
    try:
        return parse(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError as error:
        raise DefinitionError(f"images/{name}/image.toml: not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise DefinitionError(f"images/{name}/image.toml: cannot be read: {error.strerror}") from error


def parse(text: str, name: str) -> Definition:
    """A definition from its text. Raises DefinitionError and nothing else."""
    file = f"images/{name}/image.toml"
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; others are for absurd numbers
        line = re.search(r"at line (\d+)", str(error))
        place = line[1] if line else text.count("\n") + 1
        raise DefinitionError(f"{file}:{place}: {error}", "see https://toml.io for the syntax") from error
    if "name" in table:
        raise DefinitionError(f"{file}: name: not a key; the folder's name is the image's name", "remove it")
    try:
        found = msgspec.convert({**table, "name": name}, Definition)
    except msgspec.ValidationError as error:
        key, problem, hint = key_path.explain(table, Definition, str(error))
        raise DefinitionError(f"{file}: {key}: {problem}", hint) from error
    for key, problem in problems(found):
        raise DefinitionError(f"{file}: {key}: {problem}", key_path.REFERENCE)
    return found
