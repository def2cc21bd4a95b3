"""What of a change of the kernel's source is in a kernel: small source trees, decided file by file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from builder.rebuild.kernel import Build, changed, first, fragments, touched
from builder.rebuild_documents import SourceChange

FILE = """
static int helper(int x) { return x + 1; }
int used(int x) { return helper(x); }
static int lonely(int x) { return x; }
int dropped(int x) { return lonely(x); }
"""


@dataclass
class Trees:
    """Two source trees in memory."""

    before: Mapping[str, str]
    after: Mapping[str, str] = field(default_factory=dict)
    includes: frozenset[str] = frozenset()

    def old(self, path: str) -> str:
        return self.before.get(path, "")

    def new(self, path: str) -> str:
        return self.after.get(path, self.before.get(path, ""))

    def mentions(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        texts = {path: self.old(path) + self.new(path) for path in {*self.before, *self.after}}
        return {n: tuple(sorted(p for p, t in texts.items() if re.search(rf"\b{n}\b", t))) for n in names}

    def included(self) -> frozenset[str]:
        return self.includes

    def redefined(self) -> frozenset[str]:
        texts = (*self.before.values(), *self.after.values())
        return frozenset(name for text in texts for name in re.findall(r"# *(?:define|undef) CONFIG_(\w+)", text))

    def pasted(self) -> tuple[str, ...]:
        lines = (line for text in self.before.values() for line in text.replace("\\\n", " ").splitlines())
        return tuple(line for line in lines if "##" in line)


def decide(
    path: str,
    old: str,
    new: str,
    *,
    symbols: Iterable[str] = ("used",),
    read: Iterable[str] = (),
    others: Mapping[str, str] | None = None,
    apart: Iterable[str] = (),
    options: Iterable[str] = (),
    same_options: bool = True,
    includes: Iterable[str] = (),
) -> SourceChange | None:
    """The verdict on one changed file; `None` when the build does not read it."""
    others = others or {}
    trees = Trees({path: old, **others} if old else others, {path: new}, frozenset(includes))
    known = frozenset({path, *others, *read}) if old else frozenset({*others, *read})
    build = Build(known, frozenset(apart), frozenset(symbols), frozenset(options), same_options)
    found = touched([path], build, trees)
    assert (found.changed, found.read) == (1, len(found.changes))
    return found.changes[0] if found.changes else None


def present(path: str, old: str, new: str, **known: object) -> bool:
    found = decide(path, old, new, **known)  # type: ignore[arg-type]
    assert found is not None
    return found.present


class TestFunctions:
    def test_a_changed_function_with_a_symbol_is_in_the_kernel(self) -> None:
        found = decide("a.c", FILE, FILE.replace("return helper(x)", "return helper(x) + 2"))
        assert found == SourceChange("a.c", True, "used is in the kernel", ("used",))

    def test_one_that_may_be_inlined_in_such_a_function_is_too(self) -> None:
        assert present("a.c", FILE, FILE.replace("x + 1", "x + 2"))

    def test_one_that_nothing_in_the_kernel_mentions_is_not(self) -> None:
        assert not present("a.c", FILE, FILE.replace("return x;", "return -x;"))
        assert not present("a.c", FILE, FILE.replace("return lonely(x)", "return lonely(x) + 1"))

    def test_suffixes_of_the_compiler_are_no_other_function(self) -> None:
        assert present("a.c", FILE, FILE.replace("return x;", "return -x;"), symbols=["lonely.constprop.0"])

    def test_a_new_function_counts_when_something_in_the_kernel_calls_it(self) -> None:
        more = FILE + "static int extra(void) { return 3; }\n"
        assert not present("a.c", FILE, more)
        assert present("a.c", FILE, more.replace("return helper(x)", "return helper(x) + extra()"))

    def test_a_macro_on_the_way_hides_nothing(self) -> None:
        text = (
            "#define CALL(x) hidden(x)\nstatic int hidden(int x) { return x; }\nint used(int x) { return CALL(x); }\n"
        )
        assert present("a.c", text, text.replace("return x; }", "return -x; }"))

    def test_a_name_that_the_files_own_macros_paste_together_counts(self) -> None:
        text = "static int value_of_a = 1;\n#define GET(x) value_of_##x\nint used(void) { return GET(a); }\n"
        assert present("a.c", text, text.replace("= 1", "= 2"))
        assert not present("a.c", text.replace("##x", "a_b"), text.replace("##x", "a_b").replace("= 1", "= 2"))

    def test_a_type_counts_by_those_who_use_it(self) -> None:
        text = "struct s { int a; };\nint used(struct s *p) { return p->a; }\n"
        assert present("a.c", text, text.replace("int a;", "long a;"))
        assert not present("a.c", text, text.replace("int a;", "long a;"), symbols=["other"])

    def test_comments_and_dead_conditions_are_nothing(self) -> None:
        text = FILE + "#ifdef CONFIG_NUMA\nint used(void) { return 5; }\n#endif\n"
        assert not present("a.c", FILE, FILE.replace("static", "/* new */ static", 1))
        assert not present("a.c", text, text.replace("return 5", "return 6"))
        assert present("a.c", text, text.replace("return 5", "return 6"), options=["NUMA"])

    def test_what_is_not_understood_is_in(self) -> None:
        assert present("a.c", FILE, FILE + "late_initcall(lonely);\n")
        assert present("a.c", FILE, FILE + "#include <linux/mm.h>\n")

    def test_the_order_of_macros_and_includes_counts(self) -> None:
        text = "#define N 1\n#undef N\n#define M 2\nint used(void) { return M - N; }\n"
        assert present("a.c", text, text.replace("#define N 1\n#undef N\n", "#undef N\n#define N 1\n"))
        assert present("a.c", text, text + "#undef M\n")
        assert present("a.c", text, text.replace("#define M 2\n", "") + "#define M 2\n")
        unused = "#define UNUSED 1\n"
        assert not present("a.c", unused + text, text + unused)
        includes = '#include "a.h"\n#include "b.h"\n'
        assert present("a.c", includes + text, '#include "b.h"\n#include "a.h"\n' + text)

    def test_an_exported_symbol_alone_is_nothing(self) -> None:
        assert not present("a.c", FILE, FILE + "EXPORT_SYMBOL(lonely);\n")

    def test_tools_and_embedded_programs_have_no_symbols_in_the_kernel(self) -> None:
        assert present("lib/vdso/time.c", FILE, FILE.replace("return x;", "return -x;"), apart=["lib/vdso/time.c"])

    def test_a_file_that_another_one_includes_is_looked_for_everywhere(self) -> None:
        part, whole = "static int rt(int x) { return x; }\n", '#include "rt.c"\nint used(int x) { return rt(x); }\n'
        new = part.replace("return x", "return -x")
        assert not present("rt.c", part, new, others={"all.c": whole})  # as if no file included it
        assert present("rt.c", part, new, others={"all.c": whole}, includes=["rt.c"])


class TestHeaders:
    INLINE = "#ifndef H\n#define H\nstatic inline int twice(int x) { return 2 * x; }\nint far(int x);\n#endif\n"

    def test_an_inline_function_counts_by_who_calls_it(self) -> None:
        new = self.INLINE.replace("2 * x", "x + x")
        assert present("h.h", self.INLINE, new, others={"a.c": "int used(int x) { return twice(x); }\n"})
        assert not present("h.h", self.INLINE, new, others={"a.c": "int gone(int x) { return twice(x); }\n"})
        assert not present("h.h", self.INLINE, new, others={"a.c": "int used(int x) { return x; }\n"})

    def test_a_macro_is_followed_through_other_headers(self) -> None:
        old, new = "#define BASE 1\n", "#define BASE 2\n"
        through = {"b.h": "#define NEXT (BASE + 1)\n", "a.c": "int used(void) { return NEXT; }\n"}
        assert present("a.h", old, new, others=through)
        assert not present("a.h", old, new, others={**through, "a.c": "int used(void) { return 0; }\n"})

    def test_a_type_behind_a_prototype_is_found(self) -> None:
        old, new = "struct s { int a; };\n", "struct s { long a; };\n"
        through = {"b.h": "struct s *get(void);\n", "a.c": "long used(void) { return get()->a; }\n"}
        assert present("s.h", old, new, others=through)

    def test_assembler_that_mentions_a_header_counts(self) -> None:
        assert present("a.h", "#define N 1\n", "#define N 2\n", others={"entry.S": "mov $N, %eax\n"})

    def test_a_name_that_may_be_pasted_together_counts(self) -> None:
        old, new = "static inline int do_open(void) { return 1; }\n", "static inline int do_open(void) { return 2; }\n"
        assert not present("a.h", old, new, others={"a.c": "int used(void) { return 0; }\n"})
        pasting = {"m.h": "#define RUN(what) \\\n\tdo_##what()\n", "a.c": "int used(void) { return RUN(open); }\n"}
        assert fragments(["#define RUN(what) do_##what()"]) == (frozenset({"do_"}), frozenset())
        assert decide(
            "a.h",
            old.replace("do_open", "call_open"),
            new.replace("do_open", "call_open"),
            others={"m.h": pasting["m.h"].replace("do_", "call_"), "a.c": pasting["a.c"]},
        ).present  # type: ignore[union-attr]

    def test_a_new_header_counts_where_it_may_stand_before_another(self) -> None:
        read = ["include/asm-generic/fs.h"]
        assert decide("arch/x86/include/asm-generic/fs.h", "", "x", read=read) is not None
        assert decide("include/other/name.h", "", "x", read=read) is None


class TestOtherFiles:
    @pytest.mark.parametrize(
        "path", ["Documentation/x.rst", "drivers/usb/core.c", "include/linux/usb.h", "fs/x.rs", "MAINTAINERS",
                 "arch/arm64/kernel/x.S", "scripts/checkpatch.pl", "tools/perf/x.sh", "drivers/gpu/table.tbl"]
    )  # fmt: skip
    def test_what_no_build_of_it_reads_is_nothing(self, path: str) -> None:
        assert decide(path, "", "new", read=["kernel/fork.c", "arch/x86/kernel/x.c"]) is None

    @pytest.mark.parametrize(
        "path", ["scripts/link-vmlinux.sh", "arch/x86/entry/syscalls/syscall_64.tbl", "kernel/gen.awk", "config.rules"]
    )
    def test_what_a_build_may_read_without_recording_it_is_in(self, path: str) -> None:
        found = decide(path, "", "new", read=["kernel/fork.c", "arch/x86/kernel/x.c"])
        assert found is not None
        assert found.present

    def test_assembler_is_compared_as_a_whole(self) -> None:
        assert present("arch/x86/entry/entry.S", "nop\n", "nop\nnop\n")

    def test_kconfig_files_count_by_the_configuration_they_give(self) -> None:
        assert decide("fs/Kconfig", "a", "b", same_options=True) is None
        assert present("fs/Kconfig", "a", "b", same_options=False)

    def test_makefiles_count_by_their_lines(self) -> None:
        old = "obj-y += a.o\nobj-$(CONFIG_USB) += usb.o\n"
        assert not present("fs/Makefile", old, old + "obj-$(CONFIG_NFS) += \\\n\tnfs.o\n", read=["fs/a.c"])
        assert present("fs/Makefile", old, old + "obj-$(CONFIG_NFS) += nfs.o\n", read=["fs/a.c"], options=["NFS"])
        assert present("fs/Makefile", old, old + "ccflags-y += -O3\n", read=["fs/a.c"])
        assert present("fs/Makefile", old, "obj-$(CONFIG_USB) += usb.o\n", read=["fs/a.c"])

    def test_variables_of_other_compilers_count_only_with_their_option(self) -> None:
        old = "ifdef CONFIG_CFI\n  RUSTC_FLAGS := -a\nendif\n"
        assert not present("fs/Makefile", old, old.replace("-a", "-b"), read=["fs/a.c"])
        assert present("fs/Makefile", old, old.replace("-a", "-b"), read=["fs/a.c"], options=["RUST"])

    def test_the_makefile_of_a_folder_that_is_not_built_is_nothing(self) -> None:
        assert decide("sound/Makefile", "", "obj-y += b.o\n", read=["fs/a.c"]) is None
        assert decide("fs/Makefile", "", "obj-y += b.o\n", read=["fs/a.c"]) is not None

    def test_the_version_is_no_change_but_in_the_first_makefile(self) -> None:
        assert not present("Makefile", "SUBLEVEL = 1\nall:\n", "SUBLEVEL = 2\nall:\n")
        assert present("fs/Makefile", "SUBLEVEL = 1\n", "SUBLEVEL = 2\n", read=["fs/a.c"])

    def test_the_order_of_a_makefiles_lines_counts(self) -> None:
        assert present("fs/Makefile", "obj-y += a.o\nobj-y += b.o\n", "obj-y += b.o\nobj-y += a.o\n", read=["fs/a.c"])

    def test_a_file_that_comes_or_goes_and_is_read_is_in(self) -> None:
        assert present("a.c", FILE, "")


def test_one_file_is_enough_for_a_verdict() -> None:
    trees = Trees({"a.c": FILE, "b.c": FILE}, {"a.c": FILE + "/* more */", "b.c": FILE.replace("x + 1", "x + 2")})
    build = Build(frozenset(trees.before), frozenset(), frozenset({"used"}), frozenset())
    found = first(["a.c", "b.c"], build, trees)
    assert found is not None
    assert found.path == "b.c"
    assert first(["a.c"], build, trees) is None


def test_listings_are_compared_by_content() -> None:
    assert changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "x", "d": "4"}) == ("b", "c", "d")
