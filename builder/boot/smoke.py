"""The smoke test: boot the image, run its checks, ask the agent, stop it; the verdict says what was found.

Guest failures never raise: a machine that hangs, panics or loops ends in a failing verdict within the time limit.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec

from builder.boot import builtin, checks
from builder.boot.session import Session, Setup
from builder.definition import Check, Definition, RebootCheck
from builder.edges import disk, http
from builder.edges.qemu import Machine
from builder.model import Accelerator, CheckResult, Image, Platform, Verdict

LEAST_MIB, MEMORY_STEP_MIB = 4, 1

SETTLE_S = 1.0  # how long an application that no check asks is watched


def smoke(
    definition: Definition,
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    *,
    scratch: Path,
    syscall_names: Mapping[int, str],
    timeout_s: float | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """The verdict on an image. `scratch` gets the evidence: serial.log (of the last boot), qemu.log, verdict.json;
    `secrets` maps the image's secrets to files with values for tests.

    Raises HostError only for what is missing on this machine.
    """
    return play(
        definition,
        image,
        platform,
        accelerator,
        scratch=scratch,
        syscall_names=syscall_names,
        timeout_s=timeout_s,
        secrets=secrets,
    )[0]


def play(
    definition: Definition,
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    *,
    scratch: Path,
    syscall_names: Mapping[int, str],
    timeout_s: float | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Verdict, tuple[Session, ...]]:
    """As `smoke`, with the boots themselves: all that each of them has said."""
    until = time.monotonic() + (timeout_s or definition.smoke.timeout_s)
    data = ""
    if image.disk_mib:
        (scratch / "data.img").unlink(missing_ok=True)
        data = str(disk.make(scratch / "data.img", image.disk_mib))
    setup = Setup(image, platform, accelerator, scratch, until, data, secrets)
    results: list[CheckResult] = []
    sessions: list[Session] = []
    metrics: Mapping[str, float] = {}
    for part in _boots(definition.smoke.check):
        with Machine(scratch) as machine:
            session = Session(setup, machine)
            sessions.append(session)
            session.boot()
            found, metrics = _one_boot(session, part, definition)
            results += found
        if not all(result.passed for result in results):
            break
    verdict = _verdict(definition, sessions, results, metrics, syscall_names, setup)
    (scratch / "verdict.json").write_bytes(msgspec.json.encode(verdict))
    return verdict, tuple(sessions)


def _boots(found: Sequence[Check]) -> Iterator[tuple[Check, ...]]:
    """The checks of each boot: a reboot check begins a new one."""
    part: list[Check] = []
    for check in found:
        if isinstance(check, RebootCheck):
            yield tuple(part)
            part = []
        else:
            part.append(check)
    yield tuple(part)


def _one_boot(
    session: Session, part: Sequence[Check], definition: Definition
) -> tuple[list[CheckResult], Mapping[str, float]]:
    if session.setup.image.ports:
        http.prepare()  # while the machine boots
    results = [builtin.ready(session)]
    metrics: Mapping[str, float] = {}
    if results[0].passed:
        if not part:  # nothing asks it: it gets a moment to show what it does by itself
            session.wait(lambda session: session.halt_code is not None, limit_s=SETTLE_S)
        for check in part:
            results.append(checks.perform(check, session))
            if not results[-1].passed:
                break
        else:
            pages, metrics = builtin.agent_pages(session)
            results += pages
    runs = session.machine.exit_code() is None
    session.update()
    # where it ended too early, the check that failed has said so; where none did, its end is still to be judged
    if runs or session.halt_code is not None or all(result.passed for result in results):
        results.append(builtin.stop(session, definition))
    session.update()
    return results, metrics


def _verdict(
    definition: Definition,
    sessions: Sequence[Session],
    results: Sequence[CheckResult],
    metrics: Mapping[str, float],
    names: Mapping[int, str],
    setup: Setup,
) -> Verdict:
    refused = builtin.refused(sessions, names)
    bad = [call for call in refused if call.split(" ")[0] not in definition.smoke.tolerate]
    surprises = builtin.surprises(sessions)
    judged = [
        *results,
        CheckResult("no system call refused", not bad, ", ".join(bad)),
        CheckResult("no crash, no kernel warning", not surprises, "; ".join(surprises)[:900]),
    ]
    first = sessions[0].moments
    answers = [moment.at_s for moment in first if moment.name == "first answer"]
    return Verdict(
        passed=all(result.passed for result in judged),
        checks=tuple(judged),
        accelerator=setup.accelerator,
        timeline=tuple(first),
        refused=refused,
        surprises=surprises,
        metrics=metrics,
        memory_mib=setup.image.memory_mib,
        boot_s=answers[0] if answers else 0.0,
        serial_log=str(setup.folder / "serial.log"),
    )


def least_memory(
    definition: Definition,
    image: Image,
    platform: Platform,
    accelerator: Accelerator,
    *,
    scratch: Path,
    syscall_names: Mapping[int, str],
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """The least memory in MiB with which every check passes, found by bisection; 0 when it fails as it is."""

    def passes(memory_mib: int) -> bool:
        tried = msgspec.structs.replace(image, memory_mib=memory_mib)
        limit_s = min(definition.smoke.timeout_s, 20.0)
        verdict = smoke(
            definition,
            tried,
            platform,
            accelerator,
            scratch=scratch,
            syscall_names=syscall_names,
            timeout_s=limit_s,
            secrets=secrets,
        )
        return verdict.passed

    low, high = LEAST_MIB - 1, image.memory_mib
    if not passes(high):
        return 0
    while high - low > MEMORY_STEP_MIB:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
