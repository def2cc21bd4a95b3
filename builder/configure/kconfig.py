"""The kernel's Kconfig language through kconfiglib: why an option was not granted, and why another is set.

kconfiglib 14.1 predates two constructs of current kernels (Documentation/kbuild/kconfig-language.rst): the bare
attribute `modules`, which it knows as `option modules`, and `transitional`, which changes no value. The kernel's own
`conf` writes every configuration that is built; this module only explains it, and a test holds that both agree.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Tree:
    """A parsed Kconfig tree with the values of one `.config`. Parsing takes about 1.5 s: only where a miss is made."""

    def __init__(self, environment: Mapping[str, str], config: Path | None = None) -> None:
        import kconfiglib  # noqa: PLC0415 - only needed here

        class Kconfig(kconfiglib.Kconfig):  # type: ignore[misc]
            def _tokenize(self, s: str) -> Any:
                return super()._tokenize({"modules": "option modules\n", "transitional": "\n"}.get(s.strip(), s))

        self._library: Any = kconfiglib
        self._set: list[Any] = []
        with _environment(environment):
            self.kconfig: Any = Kconfig("Kconfig", warn=False)
        if config:
            self.kconfig.load_config(str(config))

    def knows(self, name: str) -> bool:
        """Whether the kernel defines the option on this architecture."""
        symbol = self.kconfig.syms.get(name)
        return symbol is not None and bool(symbol.nodes)

    def near(self, name: str) -> tuple[str, ...]:
        """Up to three options with similar names."""
        known = (symbol.name for symbol in self.kconfig.unique_defined_syms)
        return tuple(difflib.get_close_matches(name, known, n=3, cutoff=0.7))

    def value(self, name: str) -> str:
        """The option's value in a `.config`'s notation, `n` where it is not set."""
        symbol = self.kconfig.syms[name]
        return f'"{symbol.str_value}"' if symbol.type == self._library.STRING else symbol.str_value or "n"

    def lines(self) -> tuple[str, ...]:
        """The lines of a `.config` that carry values, in Kconfig's order."""
        contents = str(self.kconfig._config_contents(""))
        return tuple(line for line in contents.splitlines() if line.startswith("CONFIG_") or line.endswith("not set"))

    def set_all_off(self) -> None:
        """Everything off that can be off, as `make allnoconfig` begins."""
        for symbol in self.kconfig.unique_defined_syms:
            self._reset(symbol)
        self._set = []

    def set_values(self, values: Mapping[str, str]) -> None:
        """These values on top of `set_all_off` (unknown names are passed over), instead of those set before."""
        for symbol in self._set:
            self._reset(symbol)
        self._set = [self.kconfig.syms[name] for name in values if self.knows(name)]
        for symbol in self._set:
            value = values[symbol.name]
            symbol.set_value({"y": 2, "n": 0}[value] if self._is_switch(symbol) else value.strip('"'))

    def _reset(self, symbol: Any) -> None:
        symbol.unset_value()
        if symbol.choice is not None:
            symbol.choice.unset_value()
        elif self._is_switch(symbol):
            symbol.set_value(2 if symbol.is_allnoconfig_y else 0)

    def _is_switch(self, symbol: Any) -> bool:
        return symbol.type in (self._library.BOOL, self._library.TRISTATE)

    def why_not(self, name: str, wanted: str) -> str:
        """Why the option does not have the wanted value: the unmet dependencies, or who selects it."""
        symbol = self.kconfig.syms[name]
        selecting = self._active(symbol.rev_dep)
        if wanted == "n" and selecting:
            return f"it is selected by {', '.join(selecting)}"
        prompts = [node for node in symbol.nodes if node.prompt]
        if not prompts:
            selectors = self._library.split_expr(symbol.rev_dep, self._library.OR)
            found = [self._text(s) for s in selectors if s is not self.kconfig.n]
            return "it cannot be asked for directly" + (f"; it is selected by {', '.join(found[:4])}" if found else "")
        unmet = {text: None for node in prompts for text in self._unmet(node.prompt[1])}
        if unmet:
            return f"unmet dependency: {', '.join(unmet)}"
        if symbol.choice is not None and symbol.choice.selection is not None:
            return f"the choice was given to {symbol.choice.selection.name}"
        limits = [(low.str_value, high.str_value) for low, high, cond in symbol.ranges if self._holds(cond)]
        return f"its range is {limits[0][0]} to {limits[0][1]}" if limits else f"Kconfig keeps {self.value(name)}"

    def origins(self) -> dict[str, str]:
        """Every set option → in words why it is set when nobody asked for it."""
        found: dict[str, str] = {}
        for symbol in self.kconfig.unique_defined_syms:
            if symbol.config_string.startswith("CONFIG_"):
                found[symbol.name] = self._origin(symbol)
        return found

    def _origin(self, symbol: Any) -> str:
        place = f"{symbol.nodes[0].filename}:{symbol.nodes[0].linenr}"
        if selecting := self._active(symbol.rev_dep):
            return f"selected by {', '.join(selecting)} ({place})"
        if implying := self._active(symbol.weak_rev_dep):
            return f"implied by {', '.join(implying)} ({place})"
        if symbol.choice is not None:
            return f"default of its choice ({place})"
        for _, condition in symbol.defaults:
            if self._holds(condition):
                because = "" if condition is self.kconfig.y else f" because of {self._text(condition)}"
                return f"default of Kconfig{because} ({place})"
        return f"set by Kconfig ({place})"

    def _active(self, expression: Any) -> list[str]:
        terms = self._library.split_expr(expression, self._library.OR)
        heads = (self._library.split_expr(term, self._library.AND)[0] for term in terms if self._holds(term))
        return list(dict.fromkeys(self._text(head) for head in heads))

    def _unmet(self, condition: Any) -> list[str]:
        terms = [t for t in self._library.split_expr(condition, self._library.AND) if not self._holds(t)]
        found = [self._unmet(t.direct_dep) if isinstance(t, self._library.Choice) else [self._text(t)] for t in terms]
        return [text for texts in found for text in texts]

    def _holds(self, expression: Any) -> bool:
        return bool(self._library.expr_value(expression))

    def _text(self, expression: Any) -> str:
        return str(self._library.expr_str(expression))


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Exactly the given environment while Kconfig files are read (they probe the compiler), then the old one."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
