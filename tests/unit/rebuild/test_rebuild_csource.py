"""C source item by item: what a file defines, under which conditions, and what each item mentions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.rebuild.csource import Item, Source, different, items
from builder.rebuild.declared import is_silent

SAMPLE = """\
/* a comment with { braces */
#include <linux/fs.h>
#define LIMIT 4 /* of them */
#define TWICE(x) \\
        ((x) * 2)
struct point { int x, y; };
enum colour { RED, GREEN = 3, BLUE };
typedef unsigned int (*hook_t)(struct point *p);
struct later;
extern int shared;
int prototype(struct point *p);
static const char *names[] = { "{", "}", "a;b" };
static int counter = LIMIT;
static __always_inline int __must_check add(int a, int b) // sums
{
        return a + b + TWICE(counter);
}
void __printf(1, 2) tell(const char *text, ...) { if (text) { add(1, 2); } }
SYSCALL_DEFINE2(kill, pid_t, pid, int, sig)
{
        return add(pid, sig);
}
#ifdef CONFIG_COMPAT
static void old(void) { }
#else
static void fresh(void) { }
#endif
EXPORT_SYMBOL(tell);
module_init(start);
DEFINE_IDTENTRY(exc_divide) { tell("x"); }
"""


def between(old: str, new: str) -> list[Item]:
    return different(Source(old), Source(new))


def named(kind: str) -> set[str]:
    return {name for item in items(SAMPLE) if item.kind == kind for name in item.names}


def test_functions_are_known_by_name_whatever_stands_around_it() -> None:
    assert {"add", "tell", "old", "fresh"} <= named("function")


def test_a_system_call_is_known_by_the_symbols_it_makes() -> None:
    assert {"__x64_sys_kill", "__do_sys_kill", "__se_sys_kill"} <= named("function")


def test_variables_types_macros_and_declarations() -> None:
    assert named("variable") == {"names", "counter"}
    assert named("macro") == {"LIMIT", "TWICE"}
    assert {"point", "colour", "RED", "GREEN", "BLUE", "hook_t"} <= named("type")
    assert named("declaration") == {"later", "shared", "prototype"}


def test_what_is_not_understood_is_of_its_own_kind() -> None:
    other = [item.text for item in items(SAMPLE) if item.kind == "other"]
    assert [text.split("(")[0].split(" ")[0] for text in other] == [
        "#include",
        "EXPORT_SYMBOL",
        "module_init",
        "DEFINE_IDTENTRY",
    ]
    assert [is_silent(text, frozenset()) for text in other] == [False, True, False, False]


def test_comments_and_spaces_are_no_difference() -> None:
    changed = SAMPLE.replace("// sums", "/* adds */").replace("return a + b", "return\n a  +  b").replace("\n\n", "\n")
    assert not between(SAMPLE, changed)


def test_a_changed_literal_is_a_difference() -> None:
    differ = between(SAMPLE, SAMPLE.replace('"a;b"', '"a;c"'))
    assert {name for item in differ for name in item.names} == {"names"}


def test_spaces_inside_a_literal_are_part_of_it() -> None:
    assert between('char *a = "x  y";', 'char *a = "x y";')
    assert not between('char  *a = "x y";', 'char *a  =  "x y";')


def test_types_and_constants_inside_other_types_are_defined_by_them() -> None:
    (item,) = items("struct outer { enum mode { FIRST, LAST } mode; struct inner { int a; } *one; };")
    assert {"outer", "mode", "FIRST", "LAST", "inner"} <= set(item.names)


def test_conditions_that_ask_for_one_option_are_decided() -> None:
    both = {item.names[0]: item for item in items(SAMPLE) if item.names and item.names[0] in ("old", "fresh")}
    assert not both["old"].is_compiled(frozenset())
    assert both["fresh"].is_compiled(frozenset())
    assert both["old"].is_compiled(frozenset({"COMPAT"}))
    assert not both["fresh"].is_compiled(frozenset({"COMPAT"}))


@pytest.mark.parametrize(
    "line", ["#if 0", "#if defined(CONFIG_A) && defined(CONFIG_B)", "#ifdef __KERNEL__", "#if A\n#elif B"]
)
def test_any_other_condition_may_hold(line: str) -> None:
    (item,) = [item for item in items(f"{line}\nint x;\n#endif\n") if item.names == ("x",)]
    assert item.is_compiled(frozenset())


def test_mentions_are_by_identifier_and_not_inside_literals() -> None:
    source = Source('int f(void) { return g("h"); }\n#define M(x) g(x)\n')
    assert {item.names for item in source.mentions["g"]} == {("f",), ("M",)}
    assert "h" not in source.mentions
    assert all(item.names != ("f",) for item in source.mentions.get("f", ()))


@given(st.text(alphabet="abc{}();#\"'\\/*\n =,", max_size=200))
def test_any_text_is_read_and_nothing_of_it_is_lost(text: str) -> None:
    found = list(items(text))
    assert all(item.text for item in found)
    # adding a function at the end changes nothing before it, unless what comes before is not finished
    assert between(text, text + "\n\nint added(void) { return 1; }\n")


@given(st.text(max_size=300))
def test_hostile_text_ends(text: str) -> None:
    list(items(text))


# ---- what the kernel's source does to a reader ------------------------------------------------------------------


def kinds(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(item.kind, item.names) for item in items(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a function whose head or branches stand under conditions
        ("#ifdef A\nint f(int a)\n#else\nint f(void)\n#endif\n{ return 1; }\n", "broken"),
        ("int f(int a) {\n#ifdef A\n if (a) {\n#else\n if (!a) {\n#endif\n } return 1; }\nint g;\n", "fg"),
        ("int f(int a) {\n#ifdef A\n if (a) {\n#endif\n g();\n#ifdef A\n }\n#endif\n return 1; }\nint g;\n", "fg"),
        ("int f(void) { return 1; } }\nint g;\n", "broken"),
        ("int f(void) { { return 1; }\nint g;\n", "broken"),
        ("#else\nint f;\n", "broken"),
        # what lets C++ read a header
        ('#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n#ifdef __cplusplus\n}\n#endif\nint g;\n', "fg"),
        # lines of the preprocessor inside an item are no part of their neighbours
        ("int f(void) {\n#define INNER 1\n return INNER; }\nint g;\n", "fINNERg"),
    ],
)
def test_conditions_and_braces(text: str, expected: str) -> None:
    found = kinds(text)
    if expected == "broken":
        assert {kind for kind, _ in found} == {"other"}
    else:
        assert "other" not in {kind for kind, _ in found}
        assert "".join(name for _, names in found for name in names) == expected


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        ("struct s { int a; } __packed;", "type", {"s"}),
        ("static struct s table[3] __read_mostly = { 1 };", "variable", {"table"}),
        ("static int __percpu *counters;", "variable", {"counters"}),
        ("int (*hook)(void);", "other", set()),
        ("int a, b;", "other", set()),
        ("DEFINE_PER_CPU(int, counter);", "other", set()),
        ("enum { ONE = 1, TWO };", "type", {"ONE", "TWO"}),
        ("enum { MAKE(ONE), TWO };", "other", set()),
        ("typedef struct page *pgtable_t;", "type", {"page", "pgtable_t"}),
        ("COMPAT_SYSCALL_DEFINE1(time, int, t) { return 0; }", "function", {"__do_compat_sys_time"}),
        ("static inline int __init f(void) { return 0; }", "function", {"f"}),
        ("FUNCTION(name) { return 0; }", "other", set()),
        ("if (x) { y(); }", "other", set()),
    ],
)
def test_what_a_declaration_declares(text: str, kind: str, names: set[str]) -> None:
    [(found, defined)] = kinds(text)
    assert found == kind
    assert names <= set(defined)
    assert names or not defined


def test_items_with_several_names_lead_to_each_other() -> None:
    source = Source("typedef struct page *pgtable_t;\nint f(pgtable_t t) { return 0; }\n")
    assert [set(item.names) for item in source.mentions["page"]] == [{"page", "pgtable_t"}]


def test_a_condition_mentions_what_it_asks_for() -> None:
    source = Source("#define WIDE\n#ifdef WIDE\nint f(void) { return 1; }\n#endif\n")
    assert [item.names for item in source.mentions["WIDE"]] == [("f",)]


def test_a_continued_line_is_joined_without_a_space() -> None:
    (item,) = items("#define NA\\\nME 1\n")
    assert item.names == ("NAME",)


def test_what_moves_is_a_difference_and_so_is_how_often_it_stands_there() -> None:
    assert between("#define A\n#undef A\n", "#undef A\n#define A\n")
    assert between("int a;\n", "int a;\nint a;\n")


@pytest.mark.parametrize(
    ("line", "holds"), [("#if CONFIG_HZ", True), ("#ifdef CONFIG_HZ", True), ("#ifndef CONFIG_HZ", False)]
)
def test_an_option_that_is_set_may_still_be_zero(line: str, holds: bool) -> None:
    (first, second) = items(f"{line}\nint a;\n#else\nint b;\n#endif\n")
    assert first.is_compiled(frozenset({"HZ"})) == holds
    assert second.is_compiled(frozenset({"HZ"})) == (line == "#if CONFIG_HZ" or not holds)


def test_options_that_a_source_sets_itself_decide_nothing() -> None:
    (item,) = items("#ifdef CONFIG_64BIT\nint a;\n#endif\n")
    assert not item.is_compiled(frozenset())
    assert item.is_compiled(frozenset(), frozenset({"64BIT"}))


@pytest.mark.parametrize(
    ("text", "options", "silent"),
    [
        ("EXPORT_SYMBOL_GPL(f);", [], True),
        ("EXPORT_SYMBOL_GPL(f);", ["MODULES"], False),
        ('MODULE_PARM_DESC(a, "x (y)");', [], True),
        ("MODULE_INFO(a, f(1));", [], True),
        ("NOKPROBE_SYMBOL(f);", ["KPROBES"], False),
        ("EXPORT_SYMBOL(f); int hidden;", [], False),
        ("module_init(f);", [], False),
    ],
)
def test_registrations_that_leave_nothing(text: str, options: list[str], silent: bool) -> None:
    assert is_silent(text, frozenset(options)) == silent
