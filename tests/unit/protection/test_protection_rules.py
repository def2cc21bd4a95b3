"""Rules: the built-in ones, what a definition changes in them, and its own."""

import re

import pytest

from builder import protection
from builder.configure import recipes
from builder.definition import BuildSource, Definition, Run
from builder.definition_guard import Protect, RuleEntry
from builder.errors import DefinitionError
from builder.inputs import definition_file
from builder.model import Needs
from tests.conftest import REPOSITORY

RECIPES = REPOSITORY / "recipes"
AGENT = RECIPES / "agents/kiln"
EVENTS = {"guard", "refused", "crash", "changed", "kernel", "output", "dropped", "lease-lost"}
BUILT_IN = (
    RuleEntry("foreign-program", on="guard", kind="exec", verdict="denied"),
    RuleEntry("crash-loop", on="crash", count=3, within_s=60),
)


def rendered(*own: RuleEntry, built_in: tuple[RuleEntry, ...] = BUILT_IN) -> list[str]:
    definition = Definition(BuildSource(), Run(("/bin/app",)), protect=Protect("off"), rule=own, name="app")
    return [line for key, line in protection.directives(definition, Needs((), ()), (), built_in) if key == "rule"]


def test_a_built_in_rule_alerts_at_once_where_it_says_nothing_else() -> None:
    assert rendered() == [
        "foreign-program alert 1 0 guard exec denied *",
        "crash-loop alert 3 60000 crash * * *",
    ]


def test_a_definition_changes_what_it_says_and_nothing_else() -> None:
    changed = rendered(RuleEntry("crash-loop", response="power-off", count=5))
    assert changed == ["foreign-program alert 1 0 guard exec denied *", "crash-loop power-off 5 60000 crash * * *"]


def test_a_definition_has_rules_of_its_own() -> None:
    own = RuleEntry("my-tmp", on="guard", kind="exec", what="/tmp/with blank*", response="kill")
    assert rendered(own)[-1] == "my-tmp kill 1 0 guard exec * /tmp/with blank*"


def test_a_name_that_nothing_defines_is_refused_with_those_there_are() -> None:
    with pytest.raises(DefinitionError) as caught:
        rendered(RuleEntry("foreign-programm", response="kill"))
    assert "rule 'foreign-programm': no built-in rule has this name" in caught.value.message
    assert "foreign-program, crash-loop" in caught.value.hint


def test_the_built_in_rules_are_whole_and_fit_what_the_machine_says() -> None:
    found = recipes.load_responses(RECIPES, "kiln")
    kinds = (*protection.KINDS, *protection.REFUSED)
    assert len({rule.name for rule in found}) == len(found) >= 15
    assert [rule.name for rule in found if not rule.reason] == []
    assert {rule.kind for rule in found if rule.on == "guard"} == set(kinds)  # nothing that the guard tells goes unseen
    assert {rule.on for rule in found} == EVENTS


def test_every_event_that_rules_may_ask_for_is_given_to_them_by_the_agent() -> None:
    sources = "".join(path.read_text() for path in AGENT.glob("*.c"))
    given = set(re.findall(r'\.event = "([\w-]+)"|rules_note_number\("(\w+)"', sources))
    events = {name for pair in given for name in pair if name} - {""}
    assert events == EVENTS


def test_the_reference_has_every_built_in_rule() -> None:
    reference = (REPOSITORY / "docs/reference/agent.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| `([\w-]+)`", reference, re.MULTILINE)
    known = [(rule.name, rule.on) for rule in recipes.load_responses(RECIPES, "kiln")]
    assert [row for row in rows if row in known] == known


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "Shell"\nresponse = "kill"', "rule[0].name"),
        ('name = "a"\non = "heartbeat"', "rule[0].on"),
        ('name = "a"\nresponse = "explode"', "rule[0].response"),
        ('name = "a"\ncount = 0', "rule[0].count"),
        ('name = "a"\nkind = "two words"', "rule[0].kind"),
        ('name = "a"\nwhat = ""', "rule[0].what"),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(text: str, said: str, tmp_path: object) -> None:
    from pathlib import Path  # noqa: PLC0415

    folder = Path(str(tmp_path)) / "app"
    folder.mkdir()
    head = '[source]\nkind = "build"\n[run]\ncommand = ["/bin/app"]\n'
    (folder / "image.toml").write_text(f"{head}[[rule]]\n{text}\n")
    with pytest.raises(DefinitionError, match=re.escape(said)):
        definition_file.load(folder.parent, "app")
