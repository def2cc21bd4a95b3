"""`images/<app>/trace.json`: canonical JSON, one call, one file, one opened path per line: diffs stay short."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from builder.errors import DefinitionError
from builder.traced import Trace, TracedCall
from builder.value import SCHEMA_VERSION

NAME = "trace.json"
OPTIONAL = ("arguments", "text", "callers", "command", "program")  # left out where empty


def render(trace: Trace) -> str:
    """The document's text. What is empty in a call is left out."""
    parts = (
        f' "app": {_json(trace.app)}',
        f' "schema": {trace.schema}',
        f' "files": {_block("{}", (f"{_json(path)}: {_json(digest)}" for path, digest in trace.files.items()))}',
        f' "opened": {_block("[]", map(_json, trace.opened))}',
        f' "calls": {_block("[]", map(_call, trace.calls))}',
        f' "reached": {_block("[]", map(_json, trace.reached))}',
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def parse(text: bytes, where: str) -> Trace:
    """The trace in a document. Raises DefinitionError naming `where` for anything else."""
    try:
        trace = msgspec.json.decode(text, type=Trace)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError(f"{where}: {error}", "restore it from version control, or record it anew") from error
    if trace.schema != SCHEMA_VERSION:
        raise DefinitionError(f"{where}: schema {trace.schema} is of another Kiln", "record it anew")
    return trace


def read(folder: Path) -> Trace | None:
    """The trace in an image definition's folder; None where none was recorded. Raises DefinitionError for a bad one."""
    try:
        text = (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None
    return parse(text, f"images/{folder.name}/{NAME}")


def write(folder: Path, trace: Trace) -> Path:
    """Write the trace whole or not at all; its path."""
    scratch = folder / f".{NAME}.{os.getpid()}"
    try:
        scratch.write_text(render(trace), encoding="utf-8")
        scratch.replace(folder / NAME)
    finally:
        scratch.unlink(missing_ok=True)
    return folder / NAME


def _call(call: TracedCall) -> str:
    found = msgspec.to_builtins(call, str_keys=True)
    return _json({name: value for name, value in found.items() if value or name not in OPTIONAL})


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _block(brackets: str, items: Iterable[str]) -> str:
    lines = ",\n".join(f"  {item}" for item in items)
    return f"{brackets[0]}\n{lines}\n {brackets[1]}" if lines else brackets
