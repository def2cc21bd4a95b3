"""Invoke tasks around patches: arguments → commands → print. `tasks.py` has the others."""

from invoke.context import Context
from invoke.tasks import task

from builder import cli
from builder.cli import APP, ROOT


@task(
    help={
        "app": APP + " (default: all)",
        "verbose": "every function, file and changelog entry",
        "json": "print one JSON document on stdout",
    }
)
@cli.mapped
def outdated(_context: Context, app: str = "", verbose: bool = False, json: bool = False) -> None:
    """Say which images newer packages and kernels touch, and how; exit code 3 when one is to be rebuilt."""
    from builder import commands_rebuild  # noqa: PLC0415

    commands_rebuild.show_outdated(ROOT, app, as_json=json, verbose=verbose)


@task(
    help={
        "app": APP + " (default: all)",
        "outdated": "under newer packages and kernels, and only what these touch",
        "security-only": "as --outdated, but only for security fixes",
        "dry-run": "say what would be built and about how long it takes",
        "accelerator": "kvm or tcg instead of what the probe finds",
        "jobs": "parallel compile jobs (default: the processors this process may use)",
        "json": "print one JSON document on stdout",
    }
)
@cli.mapped
def rebuild(
    _context: Context,
    app: str = "",
    outdated: bool = False,
    security_only: bool = False,
    dry_run: bool = False,
    accelerator: str = "",
    jobs: int = 0,
    json: bool = False,
) -> None:
    """Build images anew, boot and check each, and make current what passes; what fails leaves the last good image."""
    from builder import commands, commands_rebuild  # noqa: PLC0415

    wishes = commands.wishes("", "", accelerator, False, False, jobs)
    commands_rebuild.rebuild(ROOT, app, wishes, newer=outdated, security=security_only, dry=dry_run, as_json=json)


@task(
    help={
        "app": APP,
        "update": "take the archives' newest versions (of the packages named by --package, else of all)",
        "package": "NAME or NAME=VERSION to move, with all of the same source (repeatable; implies --update)",
        "check": "fetch and verify everything the lock holds; say what else has changed",
        "json": "print one JSON document on stdout",
    },
    iterable=["package"],
)
@cli.mapped
def lock(
    _context: Context,
    package: list[str],
    app: str = "",
    update: bool = False,
    check: bool = False,
    json: bool = False,
) -> None:
    """Show the lock of an image, verify it, or move it to newer versions."""
    from builder import commands_rebuild  # noqa: PLC0415

    commands_rebuild.lock(ROOT, app, package, newest=update, check=check, as_json=json)


@task(help={"app": APP})
@cli.mapped
def rollback(_context: Context, app: str = "") -> None:
    """Go back to the image before the current one, and to its lock."""
    from builder import commands_rebuild  # noqa: PLC0415

    commands_rebuild.rollback(ROOT, app)


@task(help={"app": APP})
@cli.mapped
def approve(_context: Context, app: str = "") -> None:
    """Agree to all that an application asks for now; for images whose policy refuses growth."""
    from builder import commands_rebuild  # noqa: PLC0415

    commands_rebuild.approve(ROOT, app)


@task(
    help={
        "provider": "github or gitlab",
        "branch": "the branch whose pushes rebuild every image (default: main)",
        "stdout": "print it instead of writing it to its place",
    }
)
@cli.mapped
def ci(_context: Context, provider: str = "github", branch: str = "main", stdout: bool = False) -> None:
    """Write a workflow that rebuilds every hour what newer packages and kernels touch."""
    from builder import commands_rebuild  # noqa: PLC0415

    commands_rebuild.workflow(ROOT, provider, branch, stdout=stdout)
