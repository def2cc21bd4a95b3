"""Whether a condition holds after a comparison (pure).

Source: Intel's Software Developer's Manual, volume 1, appendix B.
"""

from builder.analyse.values import Compared


def holds(condition: str, c: Compared) -> bool | None:
    """Whether a condition holds after an operation; None where that is not known."""
    if condition.startswith("n") or condition in OPPOSITE:
        found = holds(OPPOSITE.get(condition, condition[1:]), c)
        return None if found is None else not found
    top, mask = 1 << (c.bits - 1), (1 << c.bits) - 1
    first, second = (c.first ^ top) - top, (c.second ^ top) - top
    if c.kind == "sub":
        return {"e": c.first == c.second, "b": c.first < c.second, "be": c.first <= c.second, "l": first < second,
                "le": first <= second, "s": bool(((c.first - c.second) & mask) & top)}.get(condition)  # fmt: skip
    result = c.first & c.second if c.kind == "and" else c.first
    negative = bool(result & top)
    alike = {"e": result == 0, "s": negative}  # an `and` clears the carry and the overflow flag
    signed = {"b": False, "be": result == 0, "l": negative, "le": negative or result == 0} if c.kind == "and" else {}
    return {**alike, **signed}.get(condition)


OPPOSITE = {"ne": "e", "ae": "b", "a": "be", "ge": "l", "g": "le", "ns": "s"}
