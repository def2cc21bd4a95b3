"""Invoke tasks: arguments → pipeline → print. Run `./invoke --list` for all of them, `./invoke --help TASK` for one."""

import os
import sys

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from builder import cli
from builder.cli import APP, ROOT
from builder.rebuild_tasks import approve, ci, lock, outdated, rebuild, rollback
from builder.watch_tasks import events, logs, monitor, ps, stop, top

# Invoke takes every task that this module names
__all__ = ["approve", "ci", "events", "lock", "logs", "monitor", "outdated", "ps", "rebuild", "rollback", "stop", "top"]


@task(
    help={
        "app": APP,
        "profile": "trade-offs of the kernel, recipes/profiles/ (default: the definition's)",
        "platform": "machine to build for, recipes/platforms/ (default: the definition's)",
        "accelerator": "kvm or tcg instead of what the probe finds",
        "json": "print one JSON document on stdout",
        "dry-run": "say which stages would run, and why; change nothing",
        "smoke": "boot and check even when this very image has passed before",
        "no-smoke": "do not boot",
        "jobs": "parallel compile jobs (default: the processors this process may use)",
    }
)
@cli.mapped
def build(
    _context: Context,
    app: str = "",
    profile: str = "",
    platform: str = "",
    accelerator: str = "",
    json: bool = False,
    dry_run: bool = False,
    smoke: bool = False,
    no_smoke: bool = False,
    jobs: int = 0,
) -> None:
    """Build an image, boot it and prove that it serves."""
    from builder import commands  # noqa: PLC0415 - `--list` and `--help` stay quick

    wishes = commands.wishes(platform, profile, accelerator, smoke, no_smoke, jobs)
    commands.build(ROOT, app, wishes, as_json=json, dry=dry_run)


@task(
    help={
        "app": APP,
        "publish": "HOST:GUEST, publish a guest port on loopback (repeatable; default: every port as itself)",
        "accelerator": "kvm or tcg instead of what the probe finds",
        "memory": "MiB (default: the definition's)",
        "disk": "file of the data disk, made when it is not there (default: in the user's data folder)",
        "secret": "NAME=FILE, hand over a secret the image declares (repeatable)",
        "detach": "in the background: returns when it is healthy; see ps, logs, events, top and stop",
    },
    iterable=["publish", "secret"],
)
@cli.mapped
def run(
    _context: Context,
    publish: list[str],
    secret: list[str],
    app: str = "",
    accelerator: str = "",
    memory: int = 0,
    disk: str = "",
    detach: bool = False,
) -> None:
    """Boot a built image in the foreground; Ctrl-C stops it cleanly."""
    from builder import commands_run  # noqa: PLC0415

    asked = commands_run.Asked(publish, accelerator, memory, disk, secret)
    if detach:
        commands_run.run_detached(ROOT, app, asked)
        return
    raise Exit(code=commands_run.run(ROOT, app, asked))


@task(
    help={
        "app": APP,
        "accelerator": "kvm or tcg instead of what the probe finds",
        "json": "print the verdict as JSON",
        "least-memory": "find the least memory at which every check still passes",
    }
)
@cli.mapped
def smoke(
    _context: Context, app: str = "", accelerator: str = "", json: bool = False, least_memory: bool = False
) -> None:
    """Boot a built image and run its checks."""
    from builder import commands  # noqa: PLC0415

    commands.smoke(ROOT, app, accelerator, as_json=json, least=least_memory)


@task(
    help={
        "app": APP,
        "accelerator": "kvm or tcg instead of what the probe finds",
        "json": "print one JSON document on stdout",
        "jobs": "parallel compile jobs (default: the processors this process may use)",
    }
)
@cli.mapped
def trace(_context: Context, app: str = "", accelerator: str = "", json: bool = False, jobs: int = 0) -> None:
    """Record what the application really does, under a kernel that refuses nothing; writes images/APP/trace.json."""
    from builder import commands  # noqa: PLC0415

    commands.trace(ROOT, app, commands.wishes("", "", accelerator, False, False, jobs), as_json=json)


@task(name="list", help={"json": "print one JSON document on stdout"})
@cli.mapped
def list_images(_context: Context, json: bool = False) -> None:
    """List the image definitions and what is built of them."""
    from builder import commands  # noqa: PLC0415

    commands.list_images(ROOT, as_json=json)


@task(
    help={
        "app": APP,
        "syscall": "a system call's name: why is it kept",
        "need": "another need, such as socket:AF_UNIX",
        "option": "a kernel option: who asked for it",
        "file": "a path in the image: who brought it, who needs it",
        "package": "a Debian package: what it brought",
        "json": "print one JSON document on stdout",
    }
)
@cli.mapped
def explain(
    _context: Context,
    app: str = "",
    syscall: str = "",
    need: str = "",
    option: str = "",
    file: str = "",
    package: str = "",
    json: bool = False,
) -> None:
    """Say why something is in an image."""
    from builder import commands_analyse  # noqa: PLC0415

    wish = {"syscall": syscall, "need": need, "option": option, "file": file, "package": package}
    commands_analyse.explain(ROOT, app, wish, as_json=json)


@task(
    help={
        "app": APP,
        "file": "any program, script or shared library instead of an image",
        "root": "with --file: the unpacked file system it belongs to (default: this machine's)",
        "with-trace": "compare with images/NAME/trace.json: what was traced, what is only reachable",
        "against": "what changed since: a lock file, a git revision, package=version, an analysis' JSON, another file",
        "alone": "which functions bring something in alone, largest savings first",
        "syscall": "only this system call, with all its evidence",
        "verbose": "one line for each system call, and nothing cut off",
        "json": "print one JSON document on stdout",
    }
)
@cli.mapped
def analyse(
    _context: Context,
    app: str = "",
    file: str = "",
    root: str = "",
    with_trace: bool = False,
    against: str = "",
    alone: bool = False,
    syscall: str = "",
    verbose: bool = False,
    json: bool = False,
) -> None:
    """Say what an application, or any ELF file, asks of a kernel, and why."""
    from builder import commands_analyse  # noqa: PLC0415

    asked = commands_analyse.Asked(app, file, root, against, syscall, with_trace, alone, verbose)
    commands_analyse.analyse(ROOT, asked, as_json=json)


@task(help={"json": "print one JSON document on stdout"})
@cli.mapped
def doctor(_context: Context, json: bool = False) -> None:
    """Check this machine: host tools, their versions, the accelerator's verdict."""
    from builder import commands  # noqa: PLC0415

    commands.doctor(ROOT, as_json=json)


@task(help={"app": "only this image's results", "cache": "also the cache: store, object trees, package index"})
@cli.mapped
def clean(_context: Context, app: str = "", cache: bool = False) -> None:
    """Remove results in dist/, and with --cache everything Kiln keeps."""
    from builder import commands  # noqa: PLC0415

    commands.clean(ROOT, app, cache=cache)


@task(help={"fast": "only the tests that need no network, no kernel and no virtual machine"})
def test(context: Context, fast: bool = False) -> None:
    """Run the tests."""
    choice = ["-m", "not slow and not vm"] if fast else []
    _own(context, ["-m", "pytest", "-n", str(len(os.sched_getaffinity(0))), *choice])


@task(help={"json": "print one JSON document on stdout", "write": "put the table into docs/reference/attacks.md"})
def attack(context: Context, json: bool = False, write: bool = False) -> None:
    """Attack a vulnerable image from inside, step by step: what was blocked, and what was seen."""
    _own(context, ["-m", "tests.attack", *(["--json"] if json else []), *(["--write"] if write else [])])


@task
def check(context: Context) -> None:
    """Check style, types and import contracts: ruff, mypy strict, import-linter."""
    _own(context, ["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."], ["-m", "mypy"])
    _own(context, ["-c", "from importlinter.cli import lint_imports_command as c; c()"])


def _own(_context: Context, *commands: list[str]) -> None:
    """Run Python tools of this virtual environment; the first failure ends with its exit code."""
    os.chdir(ROOT)
    for arguments in commands:
        code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, *arguments])  # noqa: S606 - an argv list
        if code:
            raise Exit(code=code if code > 0 else 1)
