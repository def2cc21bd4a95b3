"""C source as a list of top-level items, so that two versions of a file can be compared item by item (pure).

An item is a function, a variable, a type, a macro or a line of the preprocessor, with its comments taken out and the
conditions it stands under put in. Nothing is expanded: what an item mentions is told by its identifiers. What the
reader does not understand is an item of kind `other`, which counts as present wherever the file does.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import cached_property

from builder.rebuild.cutter import CONDITION, Cutter
from builder.rebuild.declared import LINE, LITERAL, Kind, classified, words
from builder.value import Value

# comments and literals; a comment's marks inside a literal are none (C11 6.4.9), and the other way round
LEXEME = re.compile(r"//[^\n]*|/\*.*?\*/|" + LITERAL.pattern, re.DOTALL)
GAP = re.compile(LITERAL.pattern + r"|\s+")
# what lets C++ read a header opens a brace in one condition and closes it in another
CPLUSPLUS = re.compile(
    r"""^[ \t]*#[ \t]*if[^\n]*__cplusplus[^\n]*\n\s*(?:extern\s+"C"\s*\{|\})\s*\n[ \t]*#[ \t]*endif[^\n]*""",
    re.MULTILINE,
)
# modules are none in a kernel of Kiln, so an option is on or off (include/linux/kconfig.h)
SIMPLE = re.compile(
    r"# ?(ifdef|ifndef|if) (?:CONFIG_(\w+)|(?:defined|IS_ENABLED|IS_BUILTIN|IS_REACHABLE) ?\( ?CONFIG_(\w+) ?\))"
)


class Item(Value, frozen=True):
    """One top-level item. `names` are the symbols it defines; `text` is its code with spaces as one; `conditions` are
    the lines of the preprocessor it stands under, outermost first."""

    kind: Kind
    names: tuple[str, ...]
    text: str
    conditions: tuple[str, ...] = ()

    def is_compiled(self, options: frozenset[str], unsure: frozenset[str] = frozenset()) -> bool:
        """False where a condition that asks for nothing but one option says so; `options`: those that are set,
        `unsure`: those that the source itself may set or unset."""
        return all(_truth(condition, options, unsure) is not False for condition in self.conditions)


class Source:
    """One version of a C file or header: its items, and what they mention."""

    def __init__(self, text: str) -> None:
        self.items = tuple(items(text))

    @cached_property
    def mentions(self) -> Mapping[str, tuple[Item, ...]]:
        """The items that mention an identifier, or stand under a condition that does. Of an item that defines one name
        that name is no mention; of several, each leads to the others (`typedef struct page *pgtable_t`)."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            own = item.names if len(item.names) == 1 else ()
            for word in words(item.text).union(*map(words, item.conditions)).difference(own):
                found.setdefault(word, []).append(item)
        return {word: tuple(those) for word, those in found.items()}


def different(old: Source, new: Source) -> list[Item]:
    """What one version has and the other has not, in place and number too: an item that moved is one of both."""
    matcher = SequenceMatcher(None, old.items, new.items, autojunk=False)
    found: list[Item] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            found += [*old.items[a:b], *new.items[c:d]]
    return found


def _truth(condition: str, options: frozenset[str], unsure: frozenset[str]) -> bool | None:
    """Whether a condition holds, None where it asks for more than whether one option is set."""
    first, _, rest = condition.partition(" #")
    if rest and rest != "else":
        return None
    match = SIMPLE.fullmatch(first)
    if match is None:
        return None
    word, option = match[1], match[2] or match[3]
    if option in unsure or (word == "if" and match[2] in options):  # `#if CONFIG_X`: its value may be 0
        return None
    holds = (option in options) != (word == "ifndef")
    return holds != bool(rest)


def stripped(text: str) -> str:
    """Source without comments and with continued lines joined."""
    joined = re.sub(r"\\[ \t]*\n", "", text)
    return LEXEME.sub(lambda match: " " if match[0][0] == "/" else match[0], joined)


def flattened(chunk: str) -> str:
    """Code with spaces as one, but for those inside literals; lines of the preprocessor stay lines."""
    parts = (
        GAP.sub(lambda match: match[0] if match[0][0] in "\"'" else " ", part).strip() for part in LINE.split(chunk)
    )
    return "\n".join(part for part in parts if part)


def items(text: str) -> Iterator[Item]:
    """The top-level items of a file, in order; none is understood where the braces of the file do not match."""
    conditions: list[str] = []
    found: list[Item] = []
    cutter = Cutter(CPLUSPLUS.sub("", stripped(text)))
    for chunk in cutter.chunks():
        flat = flattened(chunk)
        if not flat:
            continue
        if match := CONDITION.match(flat):
            _step(conditions, match[1], flat)
            continue
        kind, names = classified(flat)
        found.append(Item(kind, names, flat, tuple(conditions)))
    for item in found:
        yield Item("other", item.names, item.text, item.conditions) if cutter.is_broken else item


def _step(conditions: list[str], word: str, line: str) -> None:
    """Follow a condition of the preprocessor; what else-branches stand under names the branches before."""
    if word in ("if", "ifdef", "ifndef"):
        conditions.append(line)
    elif word == "endif":
        if conditions:
            conditions.pop()
    elif conditions:
        conditions[-1] += " " + line
