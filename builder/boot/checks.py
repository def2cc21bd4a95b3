"""The checks of a definition, each against a running machine."""

import re
import time
from collections.abc import Callable

from builder.boot.session import Session
from builder.definition import Check, ExitCheck, HttpCheck, LogCheck, RebootCheck, TcpCheck
from builder.edges import http, net
from builder.model import CheckResult

FIRST_TRY_S, TRY_S = 0.03, 5.0
# a service may listen before it is ready (redis loading its data, HTTP 503): such answers are asked again for so long
PATIENCE_S = 5.0
UNAVAILABLE = 503
Tried = tuple[bool, str]


def perform(check: Check, session: Session) -> CheckResult:
    """The result of one check; it is tried again while nothing answers, up to the smoke test's time limit."""
    started = time.monotonic()
    match check:
        case HttpCheck():
            passed, detail = _http(check, session)
        case TcpCheck():
            passed, detail = _tcp(check, session)
        case LogCheck():
            passed, detail = _log(check, session)
        case ExitCheck():
            passed, detail = _exit(check, session)
        case RebootCheck():
            raise ValueError("a reboot is a new session, not a check of one")
    return CheckResult(title(check), passed, detail, round(time.monotonic() - started, 4))


def title(check: Check) -> str:
    """A check in a few words."""
    match check:
        case HttpCheck():
            return f"{check.method} {check.path}"
        case TcpCheck():
            return f"tcp {check.send.strip()[:40] or 'connect'}"
        case LogCheck():
            return f"log {check.expect}"
        case ExitCheck():
            return f"exit code {check.code}"
        case _:
            return "reboot"


def _http(check: HttpCheck, session: Session) -> Tried:
    port = check.port or session.setup.image.ports[0]
    patient_until = time.monotonic() + PATIENCE_S
    url = f"http://127.0.0.1:{session.ports[port]}{check.path}"

    def attempt(limit_s: float) -> Tried | None:
        answer = http.ask(check.method, url, limit_s=limit_s, body=check.body, headers=check.headers)
        if answer is None:
            return None
        if answer.status == UNAVAILABLE != check.status and time.monotonic() < patient_until:
            return None
        session.answered()
        if answer.status != check.status:
            return False, f"status {answer.status} instead of {check.status}: {answer.text[:200]}"
        if check.contains and check.contains not in answer.text:
            return False, f"no {check.contains!r} in the answer: {answer.text[:200]}"
        return True, ""

    return _until_answered(attempt, session)


def _tcp(check: TcpCheck, session: Session) -> Tried:
    port = session.ports[check.port or session.setup.image.ports[0]]
    wanted = re.compile(check.expect.encode(), re.DOTALL)
    patient_until = time.monotonic() + PATIENCE_S

    def attempt(limit_s: float) -> Tried | None:
        try:
            answer = net.converse(port, check.send.encode(), lambda got: bool(wanted.search(got)), limit_s)
        except OSError:
            return None
        matched = bool(wanted.search(answer))
        if not matched and time.monotonic() < patient_until:
            return None
        session.answered()
        return matched, "" if matched else f"answered {answer[:200]!r}"

    return _until_answered(attempt, session)


def _until_answered(attempt: Callable[[float], Tried | None], session: Session) -> Tried:
    """Try with short patience first: QEMU's network accepts a connection before the guest does."""
    limit_s = FIRST_TRY_S
    while True:
        result = attempt(limit_s)
        session.update()
        if result is not None:
            return result
        if time.monotonic() > session.setup.until:
            return False, f"no answer within the time limit: {session.last_lines()}"
        if session.machine.exit_code() is not None:
            return False, f"the machine ended: {session.last_lines()}"
        limit_s = min(limit_s * 1.5, TRY_S)


def _log(check: LogCheck, session: Session) -> Tried:
    wanted = re.compile(check.expect)
    found = session.wait(lambda now: any(wanted.search(line) for line in now.output()))
    return found, "" if found else f"no such line: {session.last_lines()}"


def _exit(check: ExitCheck, session: Session) -> Tried:
    session.wait(lambda now: now.halt_code is not None)
    if session.halt_code is None:
        return False, f"the application did not end: {session.last_lines()}"
    return session.halt_code == check.code, "" if session.halt_code == check.code else f"it was {session.halt_code}"
