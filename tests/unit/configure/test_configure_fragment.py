"""A kernel configuration as text says why every option is set."""

import os
from pathlib import Path

from builder.configure import fragment, recipes
from builder.configure.request import request
from builder.model import Need, Option, Reason

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"
GOLDEN = REPOSITORY / "tests" / "golden"
EPOLL = Option("EPOLL", "y", (Reason("recipes/options/a.toml", "waiting", ("syscall:epoll_ctl",)),))
SMP = Option("SMP", "n", (Reason("recipes/profiles/lean.toml", "one processor"), Reason("b.toml", "no need")))


def test_each_option_is_preceded_by_its_reasons() -> None:
    assert fragment.render((EPOLL, SMP)).splitlines()[1:] == [
        "",
        "# waiting",
        "#   recipes/options/a.toml: syscall:epoll_ctl",
        "CONFIG_EPOLL=y",
        "",
        "# one processor",
        "#   recipes/profiles/lean.toml",
        "# no need",
        "#   b.toml",
        "# CONFIG_SMP is not set",
    ]


def test_many_needs_are_counted() -> None:
    assert fragment.because([f"syscall:{n}" for n in range(9)]).endswith("syscall:5 and 3 more")


def test_the_fragment_of_nginx() -> None:
    """Reads as a whole; written anew with KILN_GOLDEN=write."""
    needs = [Need(name, ()) for name in (GOLDEN / "needs" / "nginx.txt").read_text().split()]
    platform, profile = recipes.load_platform(RECIPES, "microvm"), recipes.load_profile(RECIPES, "lean")
    options = request(needs, recipes.load_rules(RECIPES), platform, profile, network=True, disk=False)
    path = GOLDEN / "configure" / "nginx-microvm-lean.fragment"
    if os.environ.get("KILN_GOLDEN") == "write":
        path.write_text(fragment.render(options))
    assert fragment.render(options) == path.read_text()


def test_the_whole_configuration_is_annotated_with_recipes_and_with_what_kconfig_says() -> None:
    config = "# header\nCONFIG_EPOLL=y\n# CONFIG_SMP is not set\nCONFIG_MMU=y\nCONFIG_HZ=100\n"
    annotated = fragment.annotate(config, (EPOLL, SMP), {"MMU": "default of Kconfig (arch/x86/Kconfig:337)"})
    assert annotated.splitlines() == [
        "# header",
        "# waiting [recipes/options/a.toml: syscall:epoll_ctl]",
        "CONFIG_EPOLL=y",
        "# one processor [recipes/profiles/lean.toml]",
        "# no need [b.toml]",
        "# CONFIG_SMP is not set",
        "# default of Kconfig (arch/x86/Kconfig:337)",
        "CONFIG_MMU=y",
        "CONFIG_HZ=100",
    ]


def test_annotating_changes_no_setting() -> None:
    config = 'CONFIG_EPOLL=y\nCONFIG_DEFAULT_HOSTNAME="(none)"\n'
    assert fragment.values(fragment.annotate(config, (EPOLL,), {"DEFAULT_HOSTNAME": "default"})) == {
        "EPOLL": "y",
        "DEFAULT_HOSTNAME": '"(none)"',
    }
