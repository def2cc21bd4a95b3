"""How a machine is, by what its agent said (pure)."""

from collections.abc import Iterable

from builder.boot.serial import Event, number
from builder.value import Value


class State(Value, frozen=True):
    """How a machine is: `state` is booting, starting, healthy, unhealthy, restarting, stopping or ended."""

    state: str = "booting"
    restarts: int = 0
    refused: int = 0
    mono_s: float = 0.0  # of its last event
    code: int | None = None


STATES = {
    "start": "starting",
    "healthy": "healthy",
    "unhealthy": "unhealthy",
    "exit": "restarting",
    "crash": "restarting",
    "restart": "restarting",
    "stop": "stopping",
    "halt": "ended",
}


def after(state: State, events: Iterable[Event]) -> State:
    """How a machine is after some more events."""
    for event in events:
        state = State(
            STATES.get(event.name, state.state),
            max(state.restarts, number(event, "restarts", 0)),
            state.refused + (event.name == "refused"),
            event.mono_s,
            number(event, "code", 1) if event.name == "halt" else state.code,
        )
    return state
