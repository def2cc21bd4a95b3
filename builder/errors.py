"""Errors that a user can mend: each owns its documented exit code, says what is wrong, where, and how to mend it.

Anything else that escapes is a bug of Kiln (exit code 1). The codes are documented in `docs/reference/exit-codes.md`.
"""

from typing import ClassVar


class BuilderError(Exception):
    """One clear line (`message`), an optional `hint` that says how to mend it, and an optional `log` to read.

    `log` is the path of the log file that matters; `tail` holds its last lines, shown before the message.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", *, log: str = "", tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log
        self.tail = tail


class DefinitionError(BuilderError):
    """Wrong usage, or a wrong image definition, lock or recipe: the message carries the file and the key path."""

    exit_code = 2


class HostError(BuilderError):
    """A host tool, an accelerator or another thing of this machine (a free port) is missing."""

    exit_code = 4


class FetchError(BuilderError):
    """An input could not be fetched or does not have the digest it is locked to."""

    exit_code = 5


class AnalysisError(BuilderError):
    """An application file that cannot be analysed: broken or foreign ELF file, missing shared library."""

    exit_code = 6


class ConfigurationError(BuilderError):
    """A kernel option was asked for and Kconfig did not grant it, or a recipe does not fit the kernel."""

    exit_code = 7


class CompileError(BuilderError):
    """A compiler or the kernel's build failed, or a source patch does not apply."""

    exit_code = 8


class SmokeError(BuilderError):
    """The image booted (or did not) and the smoke test's verdict is: fail."""

    exit_code = 9


class Interrupted(BuilderError):  # noqa: N818 - reads as what happened
    """Ctrl-C or a termination signal; everything finished so far is kept."""

    exit_code = 10


class StorageError(BuilderError):
    """The host's disk is full, read-only or not permitted: nothing half-written is left behind."""

    exit_code = 11


class PolicyError(BuilderError):
    """The image asks for more than its policy allows: somebody has to approve it first."""

    exit_code = 12
