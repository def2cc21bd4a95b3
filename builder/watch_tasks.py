"""Invoke tasks that look at running machines: arguments → commands → print. `tasks.py` has the others."""

from invoke.context import Context
from invoke.tasks import task

from builder import cli

APP = "machines of this image (default: of all)"
ONE = "the machine's name, as ps and run --detach print it (default: the last one started)"


@task(help={"app": APP, "all": "also those that have ended", "json": "print one JSON document on stdout"})
@cli.mapped
def ps(_context: Context, app: str = "", all: bool = False, json: bool = False) -> None:  # noqa: A002 - the option's name
    """List the running machines."""
    from builder import commands_watch  # noqa: PLC0415 - `--list` and `--help` stay quick

    commands_watch.ps(app, ended=all, as_json=json)


@task(help={"app": APP, "machine": "only this one, by its name"})
@cli.mapped
def stop(_context: Context, app: str = "", machine: str = "") -> None:
    """Stop running machines in order, as Ctrl-C does, and wait for their end."""
    from builder import commands_watch  # noqa: PLC0415

    commands_watch.stop(app, machine)


@task(
    help={
        "app": APP,
        "machine": ONE,
        "lines": "only so many of the last lines (default: all)",
        "follow": "go on until the machine ends",
    }
)
@cli.mapped
def logs(_context: Context, app: str = "", machine: str = "", lines: int = 0, follow: bool = False) -> None:
    """Print what the application of a machine printed, also after its end."""
    from builder import commands_watch  # noqa: PLC0415

    commands_watch.logs(app, machine, lines=lines, follow=follow)


@task(
    help={
        "app": APP,
        "machine": ONE,
        "lines": "only so many of the last events (default: all)",
        "follow": "go on until the machine ends",
        "json": "one JSON object per line, heartbeats too",
    }
)
@cli.mapped
def events(
    _context: Context, app: str = "", machine: str = "", lines: int = 0, follow: bool = False, json: bool = False
) -> None:
    """Print what the agent of a machine reported, also after its end."""
    from builder import commands_watch  # noqa: PLC0415

    commands_watch.events(app, machine, lines=lines, follow=follow, as_json=json)


@task(help={"app": APP, "once": "print once and end", "json": "print one JSON document on stdout"})
@cli.mapped
def top(_context: Context, app: str = "", once: bool = False, json: bool = False) -> None:
    """Show the running machines with their figures, live."""
    from builder import commands_watch  # noqa: PLC0415

    commands_watch.top(app, once=once, as_json=json)


@task(help={"listen": "HOST:PORT to serve /metrics on"})
@cli.mapped
def monitor(_context: Context, listen: str = "127.0.0.1:9464") -> None:
    """Serve the figures of all running machines to Prometheus; Ctrl-C ends it."""
    from builder import commands_watch  # noqa: PLC0415

    commands_watch.monitor(listen)
