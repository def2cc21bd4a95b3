"""From needs to the options to ask Kconfig for (pure): rules that a need triggers, the platform's, the profile's."""

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence

from builder.configure.recipes import Rule
from builder.errors import ConfigurationError
from builder.model import Need, Option, OptionSetting, Platform, Profile, Reason

NETWORK = "image:network"
DISK = "image:disk"


def request(
    needs: Sequence[Need], rules: Sequence[Rule], platform: Platform, profile: Profile, *, network: bool, disk: bool
) -> tuple[Option, ...]:
    """The options to ask for, sorted by name, each with every recipe's reason and the needs that triggered it.

    The order of needs and rules does not matter, nor does asking twice for the same. Raises ConfigurationError when
    two recipes want different values of one option.
    """
    machine = [NETWORK] * network + [DISK] * disk
    ids = tuple(sorted({*machine, *(need.id for need in needs)}))
    wanted = [*_triggered(rules, ids), *_of_platform(platform, network=network, disk=disk), *_of_profile(profile)]
    return _merged(wanted)


def unknown_needs(needs: Sequence[Need], rules: Sequence[Rule]) -> tuple[tuple[str, str], ...]:
    """Needs other than system calls that no rule mentions, each with the nearest known id or an empty string."""
    patterns = sorted({pattern for rule in rules for pattern in rule.needs})
    ids = sorted({need.id for need in needs if not need.id.startswith("syscall:")})
    unknown = [i for i in ids if not any(fnmatch.fnmatchcase(i, p) for p in patterns)]
    return tuple((i, next(iter(difflib.get_close_matches(i, patterns, n=1)), "")) for i in unknown)


def matching(rule: Rule, ids: Sequence[str]) -> tuple[str, ...]:
    """Those of the need ids that trigger the rule, in their order."""
    exact = {pattern for pattern in rule.needs if not _is_glob(pattern)}
    globs = [pattern for pattern in rule.needs if _is_glob(pattern)]
    return tuple(i for i in ids if i in exact or any(fnmatch.fnmatchcase(i, glob) for glob in globs))


def _is_glob(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


Wanted = tuple[str, str, Reason]  # option, value, why


def _triggered(rules: Sequence[Rule], ids: Sequence[str]) -> Iterator[Wanted]:
    for rule in rules:
        found = matching(rule, ids)
        if rule.name and (rule.always or found):
            yield rule.name, rule.value, Reason(rule.recipe, rule.reason, found)


def _of_platform(platform: Platform, *, network: bool, disk: bool) -> Iterator[Wanted]:
    recipe = f"recipes/platforms/{platform.name}.toml"
    yield from _settings(platform.options, recipe, ())
    if network:
        yield from _settings(platform.network_options, recipe, (NETWORK,))
    if disk:
        yield from _settings(platform.block_options, recipe, (DISK,))


def _of_profile(profile: Profile) -> Iterator[Wanted]:
    return _settings(profile.options, f"recipes/profiles/{profile.name}.toml", ())


def _settings(options: Iterable[OptionSetting], recipe: str, needs: tuple[str, ...]) -> Iterator[Wanted]:
    return ((option.name, option.value, Reason(recipe, option.reason, needs)) for option in options)


def _merged(wanted: Sequence[Wanted]) -> tuple[Option, ...]:
    values: dict[str, str] = {}
    reasons: dict[str, list[Reason]] = {}
    for name, value, reason in sorted(wanted, key=lambda w: (w[0], w[1], w[2].recipe, w[2].text, w[2].needs)):
        if values.setdefault(name, value) != value:
            other = reasons[name][0]
            raise ConfigurationError(
                f"CONFIG_{name}: {other.recipe} wants {values[name]}, {reason.recipe} wants {value}",
                "two recipes must not want different values: change one of them",
            )
        if reason not in reasons.setdefault(name, []):
            reasons[name].append(reason)
    return tuple(Option(name, values[name], tuple(reasons[name])) for name in sorted(values))
