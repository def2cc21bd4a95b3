"""What of a kernel makefile has an effect in a configuration, so that two versions can be compared by it (pure)."""

import re

# Documentation/kbuild/makefiles.rst: what is only built when an option is on
OPTIONAL = re.compile(r"[\w.-]+-\$\(CONFIG_(\w+)\)\s*[:+]?=.*")
MODULES = re.compile(r"[\w.-]+-m\s*[:+]?=.*")
VERSION = re.compile(r"(?:SUBLEVEL|EXTRAVERSION|NAME)\s*=.*")
# variables that only a build with an option uses: compilers of other languages, instrumentation
ONLY_WITH = {
    "RUST": re.compile(r"(?:export )?\w*RUST\w*\s*[:+?]?=.*"),
    "GCOV_KERNEL": re.compile(r"CFLAGS_GCOV\s*[:+?]?=.*"),
}
CLEANED = re.compile(r"(?:clean-files|mrproper-files|CLEAN_FILES|MRPROPER_FILES)\s*[:+]?=.*")


def effective(text: str, options: frozenset[str], *, top: bool) -> tuple[str, ...]:
    """The lines of a makefile that may change a kernel with these options, in order, comments and continuations
    resolved; `top`: it is the source's first makefile, which also holds the version."""
    joined = re.sub(r"\\\n\s*", " ", text)
    plain = (re.sub(r"(?<!\\)#.*", "", line).rstrip() for line in joined.splitlines())
    # a tab at the start makes a line a recipe's; other space there is only for the eye
    lines = (re.sub(r"(?<=\S)\s+", " ", line.lstrip(" ")) for line in plain if line.strip())
    return tuple(line for line in lines if not _is_idle(line, options, top=top))


def difference(old: str, new: str, options: frozenset[str], *, top: bool) -> str:
    """The first line with an effect that one version has and the other has not; empty when there is none."""
    before, after = effective(old, options, top=top), effective(new, options, top=top)
    if before == after:
        return ""
    fresh = [line for line in after if line not in before] or [line for line in before if line not in after]
    return fresh[0].strip() if fresh else "the order of its lines"


def _is_idle(line: str, options: frozenset[str], *, top: bool) -> bool:
    if match := OPTIONAL.fullmatch(line):
        return match[1] not in options
    if any(option not in options and pattern.fullmatch(line) for option, pattern in ONLY_WITH.items()):
        return True
    return bool(MODULES.fullmatch(line) or CLEANED.fullmatch(line) or (top and VERSION.fullmatch(line)))
