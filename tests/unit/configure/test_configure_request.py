"""From needs to options: what is asked of Kconfig depends on needs, platform and profile, and on nothing else."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.configure import recipes
from builder.configure.recipes import Rule
from builder.configure.request import request, unknown_needs
from builder.errors import ConfigurationError
from builder.model import Need, Option, OptionSetting, Platform, Profile

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"
GOLDEN = REPOSITORY / "tests" / "golden"
RULES = recipes.load_rules(RECIPES)
PLATFORM = recipes.load_platform(RECIPES, "microvm")
PROFILE = recipes.load_profile(RECIPES, "lean")
BARE = Profile("bare", "nothing", ())


def needs(*ids: str) -> tuple[Need, ...]:
    return tuple(Need(name, ()) for name in ids)


def application(name: str) -> tuple[Need, ...]:
    return needs(*(GOLDEN / "needs" / f"{name}.txt").read_text().split())


def asked(*ids: str, network: bool = False, disk: bool = False) -> dict[str, str]:
    options = request(needs(*ids), RULES, PLATFORM, PROFILE, network=network, disk=disk)
    return {option.name: option.value for option in options}


def rule(name: str, value: str, *ids: str, recipe: str = "a.toml") -> Rule:
    return Rule(name, value, "because", "here", recipe, ids)


# Needs as the analysis finds them: every id a rule names, wildcards filled in, and some that no rule names.
FOUND = {pattern.replace("*", "some") for rule in RULES for pattern in rule.needs}
IDS = st.lists(st.sampled_from(sorted(FOUND | {"syscall:read", "syscall:open"})), max_size=40)


@given(ids=IDS, random=st.randoms(use_true_random=False), network=st.booleans(), disk=st.booleans())
def test_order_and_repetition_do_not_matter(ids: list[str], random: Random, network: bool, disk: bool) -> None:
    first = request(needs(*ids), RULES, PLATFORM, PROFILE, network=network, disk=disk)
    shuffled, rules = [*ids, *ids], list(RULES) + list(RULES)
    random.shuffle(shuffled)
    random.shuffle(rules)
    assert request(needs(*shuffled), rules, PLATFORM, PROFILE, network=network, disk=disk) == first


@given(ids=IDS, more=IDS)
def test_more_needs_never_take_an_option_away(ids: list[str], more: list[str]) -> None:
    few = request(needs(*ids), RULES, PLATFORM, PROFILE, network=False, disk=False)
    many = request(needs(*ids, *more), RULES, PLATFORM, PROFILE, network=True, disk=True)
    assert {(o.name, o.value) for o in few} <= {(o.name, o.value) for o in many}


@given(ids=IDS)
def test_every_option_has_reasons_and_options_are_sorted(ids: list[str]) -> None:
    options = request(needs(*ids), RULES, PLATFORM, PROFILE, network=True, disk=True)
    assert all(option.reasons for option in options)
    assert [option.name for option in options] == sorted({option.name for option in options})


def test_a_reason_lists_the_needs_that_triggered_it() -> None:
    options = request(needs("syscall:epoll_wait", "syscall:read", "syscall:epoll_ctl"), RULES, PLATFORM, PROFILE,
                      network=False, disk=False)  # fmt: skip
    (epoll,) = [option for option in options if option.name == "EPOLL"]
    (reason,) = epoll.reasons
    assert reason.needs == ("syscall:epoll_ctl", "syscall:epoll_wait")
    assert reason.recipe == "recipes/options/files/events.toml"


def test_reasons_of_several_recipes_are_merged() -> None:
    rules = (rule("NET", "y", "syscall:socket"), rule("NET", "y", "socket:AF_UNIX", recipe="b.toml"))
    profile = Profile("p", "x", (OptionSetting("NET", "for fun"),))
    both = needs("syscall:socket", "socket:AF_UNIX")
    options = request(both, rules, BARE_PLATFORM, profile, network=False, disk=False)
    assert [reason.recipe for reason in options[0].reasons] == ["a.toml", "b.toml", "recipes/profiles/p.toml"]


BARE_PLATFORM = Platform("p", "x", "x86_64", "qemu", "m", (), "", "", (), {}, ())


def test_two_recipes_that_want_different_values_are_an_error_naming_both() -> None:
    rules = (rule("LOG_BUF_SHIFT", "12", "syscall:syslog"), rule("LOG_BUF_SHIFT", "14", "syscall:*", recipe="b.toml"))
    with pytest.raises(ConfigurationError) as caught:
        request(needs("syscall:syslog"), rules, BARE_PLATFORM, BARE, network=False, disk=False)
    assert caught.value.message == "CONFIG_LOG_BUF_SHIFT: a.toml wants 12, b.toml wants 14"
    assert caught.value.exit_code == 7


@pytest.mark.parametrize(
    ("need", "option"),
    [
        ("syscall:futex", "FUTEX"),
        ("syscall:epoll_create1", "EPOLL"),
        ("syscall:eventfd2", "EVENTFD"),
        ("syscall:signalfd4", "SIGNALFD"),
        ("syscall:timerfd_create", "TIMERFD"),
        ("syscall:setitimer", "POSIX_TIMERS"),
        ("syscall:madvise", "ADVISE_SYSCALLS"),
        ("syscall:flock", "FILE_LOCKING"),
        ("syscall:memfd_create", "SHMEM"),
        ("mount:tmpfs", "TMPFS"),
        ("syscall:setuid", "MULTIUSER"),
        ("network:ipv6", "IPV6"),
    ],
)
def test_a_subsystem_is_there_only_when_it_is_needed(need: str, option: str) -> None:
    assert option not in asked()
    assert option in asked(need)


def test_an_image_without_network_and_disk_has_no_drivers_for_them() -> None:
    assert not {"NET", "INET", "BLOCK", "EXT4_FS", "VIRTIO_MMIO", "VIRTIO_NET", "VIRTIO_BLK"} & set(asked())
    assert {"NET", "INET", "VIRTIO_MMIO", "VIRTIO_NET"} <= set(asked(network=True))
    assert {"BLOCK", "EXT4_FS", "VIRTIO_MMIO", "VIRTIO_BLK"} <= set(asked(disk=True))


def test_needs_that_no_recipe_knows_are_told_with_the_nearest_known_one() -> None:
    found = unknown_needs(needs("socket:AF_INET", "mount:tmpfss", "syscall:read", "vdso"), RULES)
    assert found == (("mount:tmpfss", "mount:tmpfs"),)


def test_the_recipes_know_every_need_the_images_declare() -> None:
    definitions = [tomllib.loads(path.read_text()) for path in REPOSITORY.glob("images/*/image.toml")]
    declared = [name for definition in definitions for name in definition.get("needs", {}).get("features", [])]
    assert unknown_needs(needs(*declared), RULES) == ()


@dataclass(frozen=True)
class Case:
    """One golden list of options."""

    name: str
    platform: str
    profile: str
    disk: bool

    @property
    def path(self) -> Path:
        return GOLDEN / "configure" / f"{self.name}-{self.platform}-{self.profile}.options"

    def options(self) -> tuple[Option, ...]:
        platform, profile = recipes.load_platform(RECIPES, self.platform), recipes.load_profile(RECIPES, self.profile)
        return request(application(self.name), RULES, platform, profile, network=True, disk=self.disk)


CASES = [
    Case(name, platform, profile, disk)
    for name, disk in (("nginx", False), ("redis", True))
    for platform in ("microvm", "q35")
    for profile in ("lean", "fast", "debug")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path.stem)
def test_options_of_real_applications(case: Case) -> None:
    """A change here is a change of every such kernel: look at it, then write the list with KILN_GOLDEN=write."""
    listed = "".join(f"{option.name}={option.value}\n" for option in case.options())
    if os.environ.get("KILN_GOLDEN") == "write":
        case.path.write_text(listed)
    assert listed == case.path.read_text()
