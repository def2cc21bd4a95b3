"""The permissive kernel serves every need that a recipe knows, but for those left out by name, each with a reason."""

from pathlib import Path

import pytest

from builder.configure import permissive, recipes
from builder.configure.recipes import Rule
from builder.errors import DefinitionError

RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return recipes.load_rules(RECIPES)


def asked(rules: tuple[Rule, ...], platform: str) -> dict[str, str]:
    machine = recipes.load_platform(RECIPES, platform)
    return {option.name: option.value for option in permissive.options(permissive.load(RECIPES), rules, machine)}


@pytest.mark.parametrize("platform", recipes.names(RECIPES, "platforms"))
def test_it_asks_for_all_that_a_served_need_enables(rules: tuple[Rule, ...], platform: str) -> None:
    options = asked(rules, platform)
    served = set(permissive.needs(permissive.load(RECIPES), rules))
    for rule in rules:
        if rule.name and (rule.always or served & set(rule.needs)):
            assert options[rule.name] == rule.value
    assert options["KILN_TRACE"] == "y"
    assert {"EPOLL", "AIO", "SYSVIPC", "UNIX", "INET", "EXT4_FS", "VIRTIO_NET", "VIRTIO_BLK"} <= options.keys()


def test_what_is_left_out_brings_no_option(rules: tuple[Rule, ...]) -> None:
    assert not {"SMP", "NUMA", "MODULES", "BTRFS_FS", "IA32_EMULATION"} & asked(rules, "microvm").keys()


def test_no_other_kernel_records(rules: tuple[Rule, ...]) -> None:
    assert "KILN_TRACE" not in {rule.name for rule in rules}


def test_a_need_that_no_recipe_knows_cannot_be_left_out(rules: tuple[Rule, ...]) -> None:
    wrong = permissive.Permissive("", (), (permissive.LeftOut(("syscall:no_such_call",), "a reason"),))
    with pytest.raises(DefinitionError, match="syscall:no_such_call"):
        permissive.needs(wrong, rules)


@pytest.mark.parametrize("text", ["", "description = 1", "description = 'x'\noptions = []\nmore = 1", "\x00"])
def test_a_file_that_says_something_else_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace" / "permissive.toml").write_text(text)
    with pytest.raises(DefinitionError, match=r"permissive\.toml"):
        permissive.load(tmp_path)
