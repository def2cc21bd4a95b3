"""What the user sees: progress on stderr, results on stdout. Plain text without a terminal, in CI and with NO_COLOR."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from builder.errors import BuilderError

HEARTBEAT_S = 20.0  # without a terminal, long work still shows that it goes on


class Console:
    """Progress lines, one per stage, with elapsed time; `quiet` prints nothing but errors."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.live = self.stream.isatty() and "CI" not in os.environ and os.environ.get("TERM") != "dumb"
        self.colour = self.live and "NO_COLOR" not in os.environ
        self._stage = ""
        self._started = self._last_beat = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator["Outcome"]:
        """Announce a stage, then print its line with what `Outcome.say` was given and the seconds it took."""
        outcome = Outcome()
        self._stage, self._started = name, time.monotonic()
        self._last_beat = self._started
        self.progress("")
        try:
            yield outcome
        except BaseException:
            self._line("✗", name, outcome.text or "failed", time.monotonic() - self._started, "31")
            raise
        outcome.seconds = time.monotonic() - self._started
        self._line("✓", name, outcome.text, outcome.seconds, "32")

    def progress(self, text: str) -> None:
        """Show how far the running stage is; without a terminal only now and then."""
        if self.quiet:
            return
        now = time.monotonic()
        elapsed = now - self._started
        if self.live:
            self.stream.write(f"\r\x1b[K  … {self._stage:<10} {text[:80]} {elapsed:.0f} s")
            self.stream.flush()
        elif now - self._last_beat >= HEARTBEAT_S:
            self._last_beat = now
            print(f"  … {self._stage:<10} {text[:80]} {elapsed:.0f} s", file=self.stream, flush=True)

    def note(self, text: str) -> None:
        """One line of narration."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def error(self, error: BuilderError) -> None:
        """What went wrong: the tail of the log that matters, then one line, its hint, and the log's place."""
        for line in error.tail.splitlines():
            print(f"  | {line}", file=self.stream)
        print(self._paint("error: ", "31") + error.message, file=self.stream)
        if error.hint:
            print(self._paint("hint:  ", "33") + error.hint, file=self.stream)
        if error.log:
            print(f"log:   {error.log}", file=self.stream, flush=True)

    def _line(self, mark: str, name: str, text: str, seconds: float, colour: str) -> None:
        if self.quiet:
            return
        start = "\r\x1b[K" if self.live else ""
        print(f"{start}  {self._paint(mark, colour)} {name:<10} {seconds:7.2f} s  {text}", file=self.stream, flush=True)

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour else text


class Outcome:
    """What a stage says of itself when it is done."""

    text = ""
    seconds = 0.0

    def say(self, text: str) -> None:
        """Set the text of the stage's line."""
        self.text = text
