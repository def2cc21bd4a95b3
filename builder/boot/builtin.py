"""What every smoke test demands besides the definition's own checks."""

import math
import time
from collections.abc import Mapping, Sequence

from builder.boot import serial
from builder.boot.session import END_LIMIT_S, Session
from builder.definition import Definition, ExitCheck
from builder.edges import http
from builder.model import CheckResult

STOP_MARGIN_S = 5.0
PAGE_LIMIT_S = 5.0


def ready(session: Session) -> CheckResult:
    """The agent says the application is healthy (or the machine has done its work and ended)."""
    started = time.monotonic()
    session.wait(lambda now: bool(now.named("healthy", "halt")) or serial.panicked(now.lines))
    passed = bool(session.named("healthy"))
    detail = "" if passed else _why_not(session)
    return CheckResult("agent says healthy", passed, detail, round(time.monotonic() - started, 4))


def _why_not(session: Session) -> str:
    if serial.panicked(session.lines):
        return f"the kernel panicked: {session.last_lines()}"
    if session.halt_code is not None:
        return f"it ended with exit code {session.halt_code} before that: {session.last_lines()}"
    if session.machine.exit_code() is not None:
        return f"the machine ended: {session.last_lines()}"
    status = session.machine.ask("query-status")
    state = status.get("status", "unknown") if isinstance(status, dict) else "not answering"
    return f"not within the time limit (QEMU says: {state}): {session.last_lines()}"


def agent_pages(session: Session) -> tuple[tuple[CheckResult, ...], Mapping[str, float]]:
    """`/healthz` and `/metrics` of the agent, and the metrics' values; nothing for an image without a network."""
    port = session.ports.get(session.setup.image.agent_port)
    if port is None:
        return (), {}
    results: list[CheckResult] = []
    values: dict[str, float] = {}
    for page in ("/healthz", "/metrics"):
        started = time.monotonic()
        answer = http.ask("GET", f"http://127.0.0.1:{port}{page}", limit_s=PAGE_LIMIT_S)
        detail = (
            "no answer" if answer is None else "" if answer.status == 200 else f"{answer.status}: {answer.text[:200]}"
        )
        if answer is not None and page == "/metrics" and not detail:
            values, detail = metrics_of(answer.text)
        results.append(CheckResult(f"agent's {page}", not detail, detail, round(time.monotonic() - started, 4)))
    return tuple(results), values


def parse_metrics(text: str) -> dict[str, float]:
    """Sample → value of an OpenMetrics text. Raises ValueError for a line that is no sample."""
    found = {}
    for line in text.split("\n"):
        name, _, value = line.rpartition(" ")
        if not line or line.startswith("#"):
            continue
        if not name.strip():
            raise ValueError(f"not a sample: {line[:100]!r}")
        found[name] = float(value)
    return found


def metrics_of(text: str) -> tuple[dict[str, float], str]:
    """The values of a metrics page that JSON can hold, and what is wrong with the page."""
    try:
        found = parse_metrics(text)
    except ValueError as error:
        return {}, str(error)
    values = {name: value for name, value in found.items() if math.isfinite(value)}
    if not text.endswith("# EOF\n"):
        return values, "the text does not end with # EOF"
    return values, "" if values.get("kiln_application_up") == 1 else "kiln_application_up is not 1"


def stop(session: Session, definition: Definition) -> CheckResult:
    """The machine stops cleanly: at once for what ends by itself, else when asked."""
    started = time.monotonic()
    by_itself = any(isinstance(check, ExitCheck) for check in definition.smoke.check)
    if session.halt_code is None and not by_itself:
        session.machine.say("stop")
    session.wait(lambda now: now.halt_code is not None, definition.run.stop_timeout_s + STOP_MARGIN_S)
    code, detail = session.halt_code, ""
    ended = code is not None and session.ended(END_LIMIT_S)
    if code is None:
        detail = f"no last word of the agent: {session.last_lines()}"
    elif code != 0 and not by_itself:
        detail = f"exit code {code}"
    elif not ended or session.machine.exit_code() != 0:
        detail = f"QEMU {'did not end' if not ended else f'ended with {session.machine.exit_code()}'}"
    return CheckResult("clean shutdown", not detail, detail, round(time.monotonic() - started, 4))


def refused(sessions: Sequence[Session], names: Mapping[int, str]) -> tuple[str, ...]:
    """System calls the kernel refused, `name (number) by program`."""
    found = []
    for event in (event for session in sessions for event in session.named("refused")):
        number = serial.number(event, "nr", -1)
        found.append(f"{names.get(number, 'unknown')} ({number}) by {event.facts.get('comm', '?')}")
    return tuple(dict.fromkeys(found))


def surprises(sessions: Sequence[Session]) -> tuple[str, ...]:
    """Crashes, restarts, errors of the agent, kernel warnings: what nobody declared."""
    found: list[str] = []
    for session in sessions:
        found += serial.alarms(session.lines)
        for event in session.named("crash", "error", "restart"):
            facts = " ".join(f"{key} {value}" for key, value in event.facts.items())
            found.append(f"{event.name}: {facts}")
    return tuple(dict.fromkeys(found))
