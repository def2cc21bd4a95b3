"""Where the top-level items of a C file end (pure)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.rebuild.declared import LITERAL, is_body

CONDITION = re.compile(r"#\s*(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif)\b")
MARK = re.compile(LITERAL.pattern + r"|^[ \t]*#[^\n]*|[{}();]", re.MULTILINE)


@dataclass
class _Open:
    """A condition that is open: the depth it began at, whether inside an item, whether its else-branch has begun."""

    depth: int
    inside: bool
    is_else: bool = False


class Cutter:
    """Cuts code where top-level items end; lines of the preprocessor at top level stand alone.

    Braces are counted as if no condition held: of a condition inside an item only the else-branch counts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.start = self.depth = 0
        self.open: list[_Open] = []
        self.is_broken = False

    def chunks(self) -> Iterator[str]:
        for match in MARK.finditer(self.text):
            if match[0][0] in "\"'":
                continue
            if match[0].lstrip()[:1] == "#":
                yield from self._line(match)
            elif self._ends(match[0], match.start()):
                yield self._cut(match.end())
        self.is_broken |= bool(self.depth or self.open)
        yield self.text[self.start :]

    def _cut(self, end: int) -> str:
        chunk, self.start = self.text[self.start : end], end
        return chunk

    def _is_inside(self) -> bool:
        return bool(self.open) and self.open[-1].inside

    def _ends(self, mark: str, at: int) -> bool:
        """Follow a mark; whether an item ends with it."""
        self.depth += (mark in "{(") - (mark in "})")
        if self.depth > 0 or self._is_inside():
            return False
        if self.depth < 0:
            self.is_broken, self.depth = True, 0
        return mark == ";" or (mark == "}" and is_body(self.text[self.start : at]))

    def _line(self, match: re.Match[str]) -> Iterator[str]:
        """Follow a line of the preprocessor."""
        found = CONDITION.match(match[0].lstrip())
        word = found[1] if found else ""
        inside = self.depth > 0 or self._is_inside()
        if inside and word[:2] in ("el", "en") and not self._is_inside():
            self.is_broken, self.depth, inside = True, 0, False  # an item ends beyond the condition it began in
        if not inside:
            yield self._cut(match.start())
            yield self._cut(match.end())
        self._follow(word, inside)
        before = self.text[self.start : match.start()].rstrip()
        if inside and not self.depth and not self._is_inside() and (before[-1:] == ";" or is_body(before)):
            yield self._cut(match.end())

    def _follow(self, word: str, inside: bool) -> None:
        if word[:2] == "if":
            self.open.append(_Open(self.depth, inside))
        elif word and not self.open:
            self.is_broken = True
        elif word == "endif":
            last = self.open.pop()
            self.depth = self.depth if last.is_else else last.depth
        elif word:
            self.depth = self.open[-1].depth
            self.open[-1].is_else = word == "else"
