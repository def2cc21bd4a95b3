"""Looking at running machines from the host: the page of each, or what its console says where there is none."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client.core import Metric

from builder.boot import figures, serial, state
from builder.boot.figures import Machine
from builder.boot.state import State
from builder.documents import Running
from builder.edges import http, machines
from builder.errors import DefinitionError

PAGE_LIMIT_S = 2.0
HEARD_LIMIT_S = 30.0  # a heartbeat that is older tells of the past: three are missing by then
AT_ONCE = 16
REMEMBERED_S = 3600.0  # for so long a machine that broke down is told of


class Watch:
    """What is known of one machine; it is looked at again and again, and its log is read once."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.state = State()
        self._follower = machines.Follower(folder)
        self._heartbeat: serial.Event | None = None
        self._heard_at = 0.0

    def update(self) -> tuple[serial.Event, ...]:
        """Read on in its log; the events that are new."""
        found = serial.events(self._follower.lines())
        self.state = state.after(self.state, found)
        for event in found:
            if event.name == "heartbeat":
                self._heartbeat, self._heard_at = event, self.running.started + event.mono_s
        return found

    def machine(self) -> Machine:
        """Its figures now: from its page, else from its last heartbeat, else none."""
        self.update()
        own = labels(self.running)
        heard: tuple[Metric, ...] = ()
        if self._heartbeat is not None and time.time() - self._heard_at < HEARD_LIMIT_S:
            heard = figures.of_heartbeat(self._heartbeat)
        if self.running.agent_port:
            url = f"http://127.0.0.1:{self.running.agent_port}/metrics"
            answer = http.ask("GET", url, limit_s=PAGE_LIMIT_S)
            if answer is not None and answer.status == 200:
                try:
                    return Machine(own, "page", figures.with_heartbeat(figures.of_page(answer.text), heard))
                except ValueError:
                    pass  # another server's page: the machine has ended, and somebody took its port
        if heard:
            return Machine(own, "heartbeat", heard)
        return Machine(own, "nothing", ())

    def close(self) -> None:
        self._follower.close()


class Watchers:
    """All machines of an image, or all there are: new ones are found, ended ones let go."""

    def __init__(self, app: str = "") -> None:
        self._app = app
        self._known: dict[str, Watch] = {}

    def now(self) -> tuple[Watch, ...]:
        """Those that run now."""
        running = {one.id: (one, folder) for one, folder in machines.found(self._app)}
        for gone in self._known.keys() - running.keys():
            self._known.pop(gone).close()
        for name, (one, folder) in running.items():
            if name not in self._known:
                self._known[name] = Watch(one, folder)
        return tuple(self._known.values())

    def figures(self) -> tuple[tuple[Watch, Machine], ...]:
        """Those that run now with their figures, asked at the same time."""
        watches = self.now()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return tuple(zip(watches, pool.map(Watch.machine, watches), strict=True))


def broken_down() -> tuple[Machine, ...]:
    """The machines that ended badly within the last hour, unless one of their image was started since."""
    newest = {one.app: (one, folder) for one, folder in sorted(machines.found(ended=True), key=_started)}
    return tuple(
        Machine(labels(one), "nothing", ())
        for one, folder in newest.values()
        if not machines.is_running(folder) and _ended_badly(folder)
    )


def _started(found: tuple[Running, Path]) -> float:
    return found[0].started


def _ended_badly(folder: Path) -> bool:
    end = machines.end_of(folder)
    if end is None:  # its keeper was killed
        return time.time() - machines.last_heard(folder) < REMEMBERED_S
    return end.code != 0 and time.time() - end.at < REMEMBERED_S


def labels(one: Running) -> dict[str, str]:
    """What tells a machine's figures from others'."""
    return {"machine": one.id, "image": one.app}


def chosen(app: str, machine: str, *, ended: bool = False) -> tuple[Running, Path]:
    """The one machine that is meant: by name, or the last one of an image that was started. Raises DefinitionError when
    there is none."""
    found = [one for one in machines.found(app, ended=ended) if machine in ("", one[0].id)]
    if not found:
        what = f"machine {machine}" if machine else f"machine of {app}" if app else "machine"
        raise DefinitionError(f"no {what} {'is known' if ended else 'runs'}", "./invoke ps lists those that run")
    return max(found, key=_started)


def all_chosen(app: str, machine: str) -> Sequence[tuple[Running, Path]]:
    """All running machines that are meant; at least one, else DefinitionError."""
    chosen(app, machine)
    return [one for one in machines.found(app) if machine in ("", one[0].id)]
