"""What all values are: frozen, strict, with a digest."""

import hashlib

from msgspec import Struct, json

SCHEMA_VERSION = 1  # of every JSON document Kiln prints or writes


class Value(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """Base of all values: immutable, comparable, and strict about unknown keys when decoded."""


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON: equal values have equal digests on every machine."""
    return hashlib.sha256(json.encode(value, order="sorted")).hexdigest()
