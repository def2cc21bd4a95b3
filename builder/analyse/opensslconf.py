"""Modules that OpenSSL's configuration activates. Source: OpenSSL's config(5), providers and engines."""

import re
from collections.abc import Iterator, Mapping

PLACES = ("/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/usr/local/ssl/openssl.cnf")
BUILT_IN = ("default", "base", "null")
Sections = Mapping[str, Mapping[str, str]]


def modules(text: str) -> tuple[tuple[str, str], ...]:
    """(kind, name) of what the configuration loads: kind `ossl-modules` or `engines`, the name a path or a stem."""
    sections = _sections(text)
    start = sections.get(sections.get("", {}).get("openssl_conf", ""), {})
    return (*_providers(sections, start), *_engines(sections, start))


def _providers(sections: Sections, start: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, section in sections.get(start.get("providers", ""), {}).items():
        settings = sections.get(section, {})
        identity = settings.get("identity", name.partition(".")[2] or name)
        if "activate" in settings and (identity not in BUILT_IN or "module" in settings):
            yield "ossl-modules", settings.get("module", identity)


def _engines(sections: Sections, start: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, section in sections.get(start.get("engines", ""), {}).items():
        settings = sections.get(section, {})
        yield "engines", settings.get("dynamic_path", settings.get("engine_id", name.partition(".")[2] or name))


def _sections(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"": {}}
    current = found[""]
    for line in re.sub(r"\\\n", "", text).splitlines():
        plain = line.partition("#")[0].strip()
        if header := re.fullmatch(r"\[\s*([^\]]*?)\s*\]", plain):
            current = found.setdefault(header[1], {})
        elif "=" in plain:
            key, _, value = plain.partition("=")
            current[key.strip()] = value.strip().strip("\"'")
    return found
