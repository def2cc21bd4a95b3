"""What a definition may not say about the programs it starts although it is well-formed: it could not work (pure)."""

from collections.abc import Iterator

from builder.definition import Definition, Process, Run

Problems = Iterator[tuple[str, str]]
MOST = 8  # recipes/agents/kiln/conf.h has room for these, and for so many words of each
MOST_WORDS = 31
STREAMS = ("stdout", "stderr")  # the application's own


def problems(found: Definition) -> Problems:
    """Key path and words, as `definition_rules.problems`."""
    if len(found.process) > MOST:
        yield "process", f"{len(found.process)} of them, the agent has room for {MOST}"
    names = [process.name for process in found.process]
    for number, process in enumerate(found.process):
        key = f"process[{number}]"
        if process.name in names[:number]:
            yield f"{key}.name", f"{process.name} is there twice, see process[{names.index(process.name)}]"
        if process.name in STREAMS:
            yield f"{key}.name", f"{process.name} is what the application's own lines are called"
        yield from started(key, process)
        for part, words in (("command", process.command), ("environment", process.environment)):
            if len(words) > MOST_WORDS:
                yield f"{key}.{part}", f"{len(words)} of them, the agent has room for {MOST_WORDS}"


def started(key: str, run: Run | Process) -> Problems:
    """What is wrong with a command and its environment."""
    if not run.command[0].startswith("/"):
        yield f"{key}.command", f"{run.command[0]!r} is not an absolute path in the guest"
    if any("\0" in word for word in run.command):
        yield f"{key}.command", "an argument cannot hold a NUL"
    for name, value in run.environment.items():
        if not name or "=" in name or "\0" in name + value:
            yield f"{key}.environment.{name!r}", "a name is not empty and has no =, and neither has a NUL character"
