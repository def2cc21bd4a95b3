"""Kernel configurations as text with the reason beside every option (pure; the template is in `recipes/templates`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.model import Option, Reason

TEMPLATE = Path(__file__).parents[2] / "recipes" / "templates" / "kernel.config.j2"
NEEDS_SHOWN = 6


def render(options: Sequence[Option]) -> str:
    """The fragment for `KCONFIG_ALLCONFIG`: each option preceded by its reasons as comments."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - keeps the warm path short

    environment = Environment(  # noqa: S701 - the result is no HTML
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters |= {"because": because, "setting": setting}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(options=options)


def annotate(config_text: str, options: Sequence[Option], origins: Mapping[str, str] | None = None) -> str:
    """The whole `.config`: every option that is set or was asked for, preceded by why.

    That is the recipes' reasons, or what Kconfig says: `origins` maps an option nobody asked for to such words
    (`selected by X`, `default of Kconfig`).
    """
    wanted = {option.name: option for option in options}
    lines: list[str] = []
    for line in config_text.splitlines():
        name = assigned(line)
        asked = name or line.removeprefix("# CONFIG_").removesuffix(" is not set")
        if asked in wanted:
            lines += [f"# {reason.text} [{reason.recipe}{because(reason.needs)}]" for reason in wanted[asked].reasons]
        elif name and origins and name in origins:
            lines.append(f"# {origins[name]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def assigned(line: str) -> str:
    """The option a line of a `.config` sets (`CONFIG_NET=y` → `NET`), or an empty string."""
    name, equals, _ = line.partition("=")
    return name.removeprefix("CONFIG_") if equals and name.startswith("CONFIG_") else ""


def values(config_text: str) -> dict[str, str]:
    """Option → value of everything a `.config` sets."""
    return {name: line.partition("=")[2] for line in config_text.splitlines() if (name := assigned(line))}


def setting(option: Option) -> str:
    """The option's line in a `.config`; `n` is written the way Kconfig does."""
    return f"# CONFIG_{option.name} is not set" if option.value == "n" else f"CONFIG_{option.name}={option.value}"


def because(needs: Sequence[str]) -> str:
    """`: needed by a, b and 3 more`, or nothing."""
    if not needs:
        return ""
    more = len(needs) - NEEDS_SHOWN
    return ": " + ", ".join(needs[:NEEDS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def asked_by(reasons: Sequence[Reason]) -> str:
    """The recipe files behind an option, each once, for messages."""
    return ", ".join(sorted({reason.recipe for reason in reasons}))
