"""What a top-level item of C declares: its kind and the names it defines (pure).

An item is a stretch of code that ends where one ends (`cutter`), with spaces as one. Nothing is expanded. What is not
understood has no names and is of kind `other`.
"""

import re
from collections.abc import Sequence
from typing import Literal

Kind = Literal["function", "variable", "type", "macro", "declaration", "other"]

WORD = re.compile(r"[A-Za-z_]\w*")
LITERAL = re.compile(r"""\"(?:\\.|[^"\\\n])*\"|'(?:\\.|[^'\\\n])*'""")
LINE = re.compile(r"^([ \t]*#[^\n]*)$", re.MULTILINE)
DEFINE = re.compile(r"#\s*(?:define|undef)\s+([A-Za-z_]\w*)")
DEFINES = re.compile(r"^# ?(?:define|undef) (\w+)", re.MULTILINE)
SYSCALL = re.compile(r"^(COMPAT_)?SYSCALL_DEFINE\d\s*\(\s*(\w+)")  # include/linux/syscalls.h
# words that take parentheses in a declaration without being what it declares (include/linux/compiler_attributes.h)
ATTRIBUTES = frozenset(
    [
        "__attribute__",
        "__printf",
        "__scanf",
        "__aligned",
        "__section",
        "__alloc_size",
        "__realloc_size",
        "__must_hold",
        "__acquires",
        "__releases",
        "__cond_acquires",
        "__cond_lock",
        "__no_sanitize",
        "__nonnull",
        "typeof",
        "__typeof__",
        "__free",
        "__counted_by",
        "__bpf_kfunc_start_defs",
        "__declspec",
        "_Static_assert",
        "__asm__",
        "asm",
        "__malloc",
        "__assume_aligned",
        "__weak_reference",
        "__guarded_by",
    ]
)
WITHIN = re.compile(r"\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]")  # two levels are enough for declarations
KEYWORDS = frozenset(
    [
        "typedef",
        "struct",
        "union",
        "enum",
        "static",
        "const",
        "volatile",
        "unsigned",
        "signed",
        "int",
        "long",
        "short",
        "char",
        "void",
    ]
)
TAG = re.compile(r"(?:typedef )?(?:static |const )*(?:struct|union|enum)\b(?: \w+)*")
INSIDE = re.compile(r"\b(?:struct|union|enum)\b([^;{}]*)\{")  # types that are named within others
CONSTANTS = re.compile(r"\benum\b[^;{}]*(\{[^{}]*\})")
POINTER = r"\b{} ?\( ?(?:__\w+ )?\*"  # what is declared is a pointer to a function that returns this
# words without parentheses that say how something is kept, not what it is called
MARKS = frozenset(
    [
        "__packed",
        "__read_mostly",
        "__ro_after_init",
        "__initdata",
        "__initconst",
        "__used",
        "__maybe_unused",
        "__percpu",
        "__rcu",
        "__user",
        "__iomem",
        "__randomize_layout",
        "____cacheline_aligned",
        "____cacheline_aligned_in_smp",
    ]
)
QUALIFIERS = frozenset(["static", "extern", "const", "volatile", "register", "inline", "asmlinkage", "notrace"])
# registrations that leave nothing in a kernel without modules (include/linux/export.h, include/linux/module.h)
SILENT = re.compile(
    r"(?:EXPORT_(?:PER_CPU_|TRACEPOINT_)?SYMBOL(?:_NS)?(?:_GPL)?|EXPORT_STATIC_CALL\w*|EXPORT_IPV6_MOD(?:_GPL)?|NOKPROBE_SYMBOL"
    r"|MODULE_(?:AUTHOR|DESCRIPTION|LICENSE|ALIAS\w*|INFO|PARM_DESC|DEVICE_TABLE|FIRMWARE|SOFTDEP|IMPORT_NS)"
    r"|ALLOW_ERROR_INJECTION)"
    r"""\s*\((?:[^()"]|"(?:\\.|[^"\\\n])*"|\([^()]*\))*\)\s*;?$"""
)
# the options with which they do leave something, or keep what they name
KEEPING = {"EXPORT": "MODULES", "NOKPROBE": "KPROBES", "ALLOW": "FUNCTION_ERROR_INJECTION"}


def is_silent(text: str, options: frozenset[str]) -> bool:
    """Whether an item that is not understood is known to leave nothing in the kernel."""
    return bool(SILENT.match(text)) and KEEPING.get(text.partition("_")[0]) not in options


def words(text: str) -> set[str]:
    """The identifiers in code, without those inside literals."""
    return set(WORD.findall(LITERAL.sub(" ", text)))


def is_body(chunk: str) -> bool:
    """Whether the braces that end here are a function's: they follow its parameters, and no value begins before."""
    head = chunk.partition("{")[0]
    found = outline(head)
    return any(group for _, group in found) and "=" not in WITHIN.sub("", head) and head.rstrip()[-1:] not in ",("


def outline(head: str) -> tuple[tuple[str, bool], ...]:
    """The words outside all parentheses and brackets, each with whether parentheses follow it."""
    found: list[tuple[str, bool]] = []
    depth = 0
    for match in re.finditer(r"[A-Za-z_]\w*|[()\[\]]", head):
        if match[0] in "([":
            if depth == 0 and match[0] == "(" and found:
                found[-1] = (found[-1][0], True)
            depth += 1
        elif match[0] in ")]":
            depth -= 1
        elif depth == 0:
            found.append((match[0], False))
    return tuple(found)


def classified(flat: str) -> tuple[Kind, tuple[str, ...]]:
    """What an item is and which names it defines."""
    if flat[0] == "#":
        match = DEFINE.match(flat)
        return ("macro", (match[1],)) if match else ("other", ())
    kind, names = _code(LINE.sub(",", LITERAL.sub('""', flat)))  # a line may part the constants of an enum
    return (kind, tuple(dict.fromkeys([*names, *DEFINES.findall(flat)]))) if kind != "other" else ("other", ())


def _code(code: str) -> tuple[Kind, tuple[str, ...]]:
    if match := SYSCALL.match(code):
        return "function", _system_call(match[2], bool(match[1]))
    head, brace, _ = code.partition("{")
    if brace and code[-1] == "}" and is_body(code):
        return _named("function", head)
    if code[-1] != ";":
        return "other", ()
    if code.startswith("typedef") or (brace and TAG.match(code) and "=" not in head):
        return _type(code)
    return _declared(code)


def _system_call(name: str, is_compat: bool) -> tuple[str, ...]:
    """The symbols of a system call (arch/x86/include/asm/syscall_wrapper.h)."""
    stem = f"compat_sys_{name}" if is_compat else f"sys_{name}"
    return tuple(f"{prefix}_{stem}" for prefix in ("__x64", "__do", "__se", "__ia32"))


def _named(kind: Kind, head: str) -> tuple[Kind, tuple[str, ...]]:
    """The one word with parentheses is what is declared, between its type and attributes; a macro that makes a
    declaration is not understood."""
    found = outline(head)
    at = [i for i, (word, group) in enumerate(found) if group and word not in ATTRIBUTES]
    if len(at) != 1 or not at[0]:
        return "other", ()
    name, rest = found[at[0]][0], found[at[0] + 1 :]
    is_plain = all(word in ATTRIBUTES or word.startswith("__") for word, _ in rest)
    is_macro = name.isupper() or name in KEYWORDS or re.search(POINTER.format(name), head)
    return ("other", ()) if is_macro or not is_plain else (kind, (name,))


def _type(code: str) -> tuple[Kind, tuple[str, ...]]:
    """A struct, union, enum or typedef: its tag, what is declared after it, what is named inside it, and the constants
    of an enum. Constants that a macro makes have no names here."""
    outside = _outside(code)
    names = words(outside) | {word for match in INSIDE.finditer(code) for word in words(match[1])}
    for match in CONSTANTS.finditer(code):
        if re.search(r"[{,]\s*\w+\s*\(", match[1]):
            return "other", ()
        names |= set(re.findall(r"[{,]\s*([A-Za-z_]\w*)", match[1]))
    names -= KEYWORDS | ATTRIBUTES | MARKS
    return ("type", tuple(sorted(names))) if names else ("other", ())


def _outside(code: str) -> str:
    """Code without what stands in braces."""
    depth, kept = 0, []
    for part in re.split(r"([{}])", code):
        if part in ("{", "}"):
            depth += 1 if part == "{" else -1
        elif depth == 0:
            kept.append(part)
    return " ".join(kept)


def _declared(code: str) -> tuple[Kind, tuple[str, ...]]:
    """A variable with or without a value, or a prototype."""
    head = re.split(r"=|\{", code, maxsplit=1)[0]
    found = outline(head)
    if "," in WITHIN.sub("", head) or not found:
        return "other", ()
    if any(group and word not in ATTRIBUTES for word, group in found):
        return _named("declaration", head) if head == code else ("other", ())
    plain = [word for word, _ in found if word not in ATTRIBUTES | MARKS]
    if head == code and len(plain) == 2 and plain[0] in ("struct", "union", "enum"):
        return "declaration", (plain[1],)
    names = _variable(plain)
    return ("declaration" if found[0][0] == "extern" else "variable", names) if names else ("other", ())


def _variable(plain: Sequence[str]) -> tuple[str, ...]:
    """Which of the words of a declaration names the variable: the last, unless it begins like an attribute and another
    may be it."""
    names = [word for word in plain if not word.startswith("__") and word not in QUALIFIERS]
    of_type = 2 if names[:1] and names[0] in ("struct", "union", "enum") else 1
    if len(names) > of_type and names[-1] not in KEYWORDS:
        return (names[-1],)
    return tuple(word for word in plain if word.startswith("__"))
