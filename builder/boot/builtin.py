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
PATIENCE_S, RETRY_S = 20.0, 0.05
UP = "kiln_application_up"  # on the page of Kiln's own agent


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
    """The agent's pages (`/healthz` and `/metrics` of Kiln's own), and the metrics' values; nothing for an image whose
    agent serves none."""
    image = session.setup.image
    port = session.ports.get(image.agent_port)
    if port is None:
        return (), {}
    results: list[CheckResult] = []
    values: dict[str, float] = {}
    for page, sample in image.agent_pages:
        started = time.monotonic()
        answer = _page(session, f"http://127.0.0.1:{port}{page}")
        detail = (
            "no answer" if answer is None else "" if answer.status == 200 else f"{answer.status}: {answer.text[:200]}"
        )
        if answer is not None and sample and not detail:
            values, detail = metrics_of(answer.text, sample)
        results.append(CheckResult(f"agent's {page}", not detail, detail, round(time.monotonic() - started, 4)))
    return tuple(results), values


def _page(session: Session, url: str) -> http.Answer | None:
    """The answer, waited for: an agent that is no part of process 1 starts after the application."""
    until = min(session.setup.until, time.monotonic() + PATIENCE_S)
    while (answer := http.ask("GET", url, limit_s=PAGE_LIMIT_S)) is None and time.monotonic() < until:
        if session.machine.exit_code() is not None:
            break
        time.sleep(RETRY_S)
    return answer


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


def metrics_of(text: str, sample: str = UP) -> tuple[dict[str, float], str]:
    """The values of a metrics page that JSON can hold, and what is wrong with the page: it has no `sample`, or not all
    of that name are 1."""
    try:
        found = parse_metrics(text)
    except ValueError as error:
        return {}, str(error)
    values = {name: value for name, value in found.items() if math.isfinite(value)}
    if sample == UP and not text.endswith("# EOF\n"):  # OpenMetrics; others serve the older format without an end
        return values, "the text does not end with # EOF"
    wanted = {name: value for name, value in values.items() if name.partition("{")[0] == sample}
    wrong = sorted(name for name, value in wanted.items() if value != 1)
    return values, f"{', '.join(wrong or [sample])} is not 1" if wrong or not wanted else ""


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
    """Crashes, restarts, errors of the agent, changed files, what its guard and its rules report, failed health
    checks, kernel warnings: what nobody declared."""
    found: list[str] = []
    for session in sessions:
        found += serial.alarms(session.lines)
        ended = [event for event in session.named("companion") if event.facts.get("state") == "ended"]
        ended += [event for event in session.named("process") if serial.failed(event)]
        told = session.named("crash", "error", "restart", "changed", "guard", "alert", "unhealthy")
        for event in (*told, *ended):
            facts = " ".join(f"{key} {value}" for key, value in event.facts.items())
            found.append(f"{event.name}: {facts}")
    return tuple(dict.fromkeys(found))
