"""Recipes are strict: whatever is wrong in one is said with its file and key path."""

from pathlib import Path

import pytest

from builder.configure import recipes
from builder.configure.recipes import Rule
from builder.errors import DefinitionError

REPOSITORY = Path(__file__).parents[3]
RECIPES = REPOSITORY / "recipes"
OPTION = '[[option]]\nname = "FUTEX"\nreason = "locks"\nsource = "init/Kconfig:1677"\n'


def written(folder: Path, text: str) -> Path:
    """A recipes folder with one option recipe."""
    path = folder / "recipes" / "options" / "process"
    path.mkdir(parents=True)
    (path / "threads.toml").write_text(text)
    return folder / "recipes"


def test_a_rule_carries_the_file_it_stands_in(tmp_path: Path) -> None:
    rules = recipes.load_rules(written(tmp_path, OPTION + 'needs = ["syscall:futex"]\n'))
    assert rules == (
        Rule("FUTEX", "y", "locks", "init/Kconfig:1677", "recipes/options/process/threads.toml", ("syscall:futex",)),
    )


def test_a_free_need_is_a_rule_without_an_option(tmp_path: Path) -> None:
    text = '[[free]]\nneeds = ["vdso"]\nreason = "always there"\nsource = "arch/x86/entry/vdso"\n'
    (rule,) = recipes.load_rules(written(tmp_path, text))
    assert (rule.name, rule.needs) == ("", ("vdso",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OPTION + 'needs = ["syscall:futex"]\nwhy = "x"\n', "option[0]: Object contains unknown field `why`"),
        (OPTION + "needs = [1]\n", "option[0].needs[0]: Expected `str`, got `int`"),
        (OPTION + 'always = true\nvalue = "yes"\n', "option[0].value: Expected `str` matching regex"),
        (OPTION + OPTION.replace("FUTEX", "futex"), "option[1].name: Expected `str` matching regex"),
        (OPTION, "option[0] (FUTEX): needs either `needs` or `always = true`, and not both"),
        (OPTION + 'always = true\nneeds = ["syscall:futex"]\n', "option[0] (FUTEX): needs either `needs` or"),
        ('[[option]]\nname = "FUTEX"\n', "option[0]: Object missing required field `reason`"),
        ("[option\n", "not valid TOML: "),
        ("", "no recipes found"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_file_and_key_path(tmp_path: Path, text: str, message: str) -> None:
    folder = written(tmp_path, text)
    with pytest.raises(DefinitionError) as caught:
        recipes.load_rules(folder)
    assert message in caught.value.message
    assert str(folder / "options") in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", recipes.names(RECIPES, "platforms"))
def test_every_platform_loads_and_knows_both_accelerators(name: str) -> None:
    platform = recipes.load_platform(RECIPES, name)
    assert platform.name == name
    assert set(platform.accelerators) == {"tcg", "kvm"}
    assert "{netdev}" in platform.network_device
    assert "{drive}" in platform.block_device


@pytest.mark.parametrize("name", recipes.names(RECIPES, "profiles"))
def test_every_profile_loads(name: str) -> None:
    assert recipes.load_profile(RECIPES, name).name == name


def test_an_unknown_platform_is_refused_with_near_names() -> None:
    with pytest.raises(DefinitionError, match="no platform is called 'microvn'") as caught:
        recipes.load_platform(RECIPES, "microvn")
    assert caught.value.hint == "did you mean microvm?"


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DefinitionError, match="no profile is called 'zzz'") as caught:
        recipes.load_profile(RECIPES, "zzz")
    assert caught.value.hint == "known profiles: common, debug, fast, lean"


def test_a_platform_with_a_wrong_key_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "platforms").mkdir()
    text = (RECIPES / "platforms" / "microvm.toml").read_text()
    (tmp_path / "platforms" / "mine.toml").write_text(text.replace('value = "1"', "value = 1"))
    with pytest.raises(DefinitionError) as caught:
        recipes.load_platform(tmp_path, "mine")
    assert caught.value.message == f"{tmp_path}/platforms/mine.toml: options[4].value: Expected `str`, got `int`"


def test_a_profile_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.toml").write_text('name = "other"\ndescription = "x"\noptions = []\n')
    with pytest.raises(DefinitionError, match=r"mine\.toml: name: a profile is named by its file"):
        recipes.load_profile(tmp_path, "mine")


def test_every_rule_gives_a_reason_and_a_source(rules: tuple[Rule, ...]) -> None:
    assert all(rule.reason and rule.source for rule in rules)


def test_no_option_is_named_by_two_rules(rules: tuple[Rule, ...]) -> None:
    named = [rule.name for rule in rules if rule.name]
    assert sorted(named) == sorted(set(named))
