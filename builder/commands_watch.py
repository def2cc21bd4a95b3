"""The commands that look at running machines: ps, stop, logs, events, top, monitor."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from builder import watch_tables as tables
from builder.boot import figures, serial
from builder.boot.serial import Event
from builder.cli import emit
from builder.console import Console
from builder.documents import Running
from builder.edges import exporter, machines
from builder.errors import DefinitionError, HostError
from builder.value import SCHEMA_VERSION
from builder.watching import Watch, Watchers, all_chosen, broken_down, chosen

FOLLOW_S, TOP_S = 0.1, 2.0
STOP_LIMIT_S = 60.0


def ps(app: str, *, ended: bool, as_json: bool) -> None:
    """Print the machines that run, or all that are known."""
    rows = []
    for one, folder in machines.found(app, ended=ended):
        watch = Watch(one, folder)
        watch.update()
        watch.close()
        end = machines.end_of(folder)
        alive = end is None and machines.is_running(folder)
        how = watch.state.state if alive else f"exited {end.code}" if end else "gone"
        rows.append(tables.PsRow(one, how, (time.time() if alive else end.at if end else one.started) - one.started))
    if as_json:
        emit({"schema": SCHEMA_VERSION, "machines": rows})
        return
    print(tables.ps(rows))  # noqa: T201


def stop(app: str, machine: str) -> None:
    """Stop machines as Ctrl-C would; waits for their end. Raises HostError for one that does not end."""
    for one, folder in all_chosen(app, machine):
        if not machines.stop(one, folder, STOP_LIMIT_S):
            raise HostError(f"{one.id} has not ended within {STOP_LIMIT_S:.0f} s", f"end it at once: kill {one.pid}")
        end = machines.end_of(folder)
        print(f"  {one.id} {'ended with exit code ' + str(end.code) if end else 'is gone'}")  # noqa: T201


def logs(app: str, machine: str, *, lines: int, follow: bool) -> None:
    """Print what the application of a machine printed."""

    def show(_machine: Running, event: Event) -> None:
        if event.name == "output":
            stream = sys.stderr if event.facts.get("stream") == "stderr" else sys.stdout
            print(event.facts.get("line", ""), file=stream, flush=True)

    _replay(app, machine, show, lambda event: event.name == "output", lines, follow)


def events(app: str, machine: str, *, lines: int, follow: bool, as_json: bool) -> None:
    """Print the events of a machine, with the wall clock's time; as JSON one object per line."""

    def show(one: Running, event: Event) -> None:
        at = one.started + event.mono_s
        if as_json:
            facts: dict[str, Any] = {"machine": one.id, "image": one.app, "time": round(at, 3), "mono": event.mono_s}
            print(tables.line({**facts, "event": event.name, **event.facts}), flush=True)  # noqa: T201
        else:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))} {serial.shown(event)}", flush=True)  # noqa: T201

    def is_wanted(event: Event) -> bool:
        return event.name != "output" and (as_json or event.name not in serial.QUIET)

    _replay(app, machine, show, is_wanted, lines, follow)


def _replay(
    app: str,
    machine: str,
    show: Callable[[Running, Event], None],
    is_wanted: Callable[[Event], bool],
    lines: int,
    follow: bool,
) -> None:
    """Show the last events of a machine that are wanted, all when `lines` is 0, and go on until it ends."""
    if lines < 0:
        raise DefinitionError(f"--lines {lines}: must be 0 (all) or more")
    one, folder = chosen(app, machine, ended=True)
    watch = Watch(one, folder)
    for event in [event for event in watch.update() if is_wanted(event)][-lines:]:
        show(one, event)
    with suppress(KeyboardInterrupt):
        while follow:
            follow = machines.is_running(folder)  # looked at first: what it says before its end is read after this
            for event in watch.update():
                if is_wanted(event):
                    show(one, event)
            time.sleep(FOLLOW_S if follow else 0)
    watch.close()


def top(app: str, *, once: bool, as_json: bool) -> None:
    """Show the running machines with their figures: again and again on a terminal, else once."""
    watchers = Watchers(app)
    before, at = _rows(watchers), time.monotonic()
    if once or as_json or not sys.stdout.isatty():
        time.sleep(1.0)
        rows = tables.rates(before, _rows(watchers), time.monotonic() - at)
        emit({"schema": SCHEMA_VERSION, "machines": rows}) if as_json else print(tables.top(rows))  # noqa: T201
        return
    from rich.live import Live  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415

    with suppress(KeyboardInterrupt), Live(Text(""), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(TOP_S if before else 0.5)
            now, then = _rows(watchers), time.monotonic()
            live.update(Text(tables.top(tables.rates(before, now, then - at))), refresh=True)
            before, at = now, then


def _rows(watchers: Watchers) -> Sequence[tables.TopRow]:
    return [
        tables.TopRow(watch.running, watch.state, machine.source, figures.row(machine.families))
        for watch, machine in watchers.figures()
    ]


def monitor(listen: str) -> None:
    """Serve the figures of all running machines to Prometheus until Ctrl-C."""
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise DefinitionError(f"--listen {listen}: not HOST:PORT", "for example --listen 127.0.0.1:9464")
    watchers = Watchers()

    def families() -> Sequence[Any]:
        return figures.together([*(machine for _, machine in watchers.figures()), *broken_down()])

    chosen_port = exporter.serve(host or "127.0.0.1", int(port), families)
    Console().note(f"  http://{host or '127.0.0.1'}:{chosen_port}/metrics  Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
