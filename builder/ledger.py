"""The record of a build: per stage what went in, whether the store had it, how long it took, and why it would run."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from builder.console import Console, Outcome
from builder.documents import StageRecord
from builder.edges.store import Store, WouldMake


class Ledger:
    """Collects a StageRecord per stage and narrates it; `before` are the records of the last build."""

    def __init__(self, store: Store, console: Console, before: tuple[StageRecord, ...] = ()) -> None:
        self.store = store
        self.console = console
        self.before = {record.name: record for record in before}
        self.records: list[StageRecord] = []
        self.pending: tuple[str, str] | None = None  # of a dry run: the first stage that would run, and why

    @contextmanager
    def stage(self, name: str, inputs: Mapping[str, str]) -> Iterator[Outcome]:
        """Run one stage; `inputs` are the digests of what goes into it, by a name a user understands."""
        made, started = len(self.store.made), time.monotonic()
        try:
            with self.console.stage(name) as outcome:
                yield outcome
        except WouldMake:
            self.pending = (name, self.why(name, inputs))
            raise
        cached = len(self.store.made) == made
        took = round(time.monotonic() - started, 3)
        earlier = self.before[name].made_s if name in self.before else 0.0
        self.records.append(StageRecord(name, dict(inputs), cached, took, earlier if cached else took))

    def why(self, name: str, inputs: Mapping[str, str]) -> str:
        """Why a stage cannot take its result from the store, in terms of the last build's inputs."""
        last = self.before.get(name)
        if last is None:
            return "never built here"
        changed = [key for key, digest in inputs.items() if last.inputs.get(key) != digest]
        if changed:
            return f"changed: {', '.join(changed)}"
        return "its result is not in the store: removed, or made by other code of Kiln"
