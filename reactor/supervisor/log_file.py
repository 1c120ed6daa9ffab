"""The log of an instance: JSON lines from the roles' log rings and from the supervisor, in one file of bounded size."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from reactor.domain.errors import ConfigError
from reactor.domain.messages import text_of
from reactor.loop.clock import Clock
from reactor.loop.log import FieldValue, Level, json_line

RECORDS_PER_PASS_MAX = 512  # Per role: the ring's half, so that a talkative role does not starve the others.


class LogFile:
    """Writes lines; keeps one predecessor when it has grown too large."""

    def __init__(self, path: Path, size_max: int, echo: TextIO | None, listener: Callable[[str], None] | None = None) -> None:
        """`echo`: where lines go too when no terminal shows the live view. `listener` hears warnings and errors.

        Raises:
            ConfigError: the file cannot be written.
        """
        self.path = path
        self._size_max = size_max
        self._echo = echo
        self._listener = listener
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 -- lives as long as the session
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot write the log: {error.strerror}. Make it writable or set system.directory to another place."
            ) from None
        self._size = path.stat().st_size
        self.errors = 0

    def write(self, wall_ns: int, level: int, role: str, record: dict[str, Any], suppressed: int = 0) -> None:
        """One line. A full disk loses lines, counts them and stops nothing."""
        line = self.note(wall_ns, level, role, record, suppressed)
        if self._echo is not None:
            with suppress(OSError, ValueError):
                print(line, file=self._echo)
        if self._listener is not None and level >= Level.WARNING:
            fields = " ".join(f"{key}={value}" for key, value in record.items() if key not in ("text", "module"))
            self._listener(f"{role}: {record.get('text', '')} {fields}".rstrip())

    def note(self, wall_ns: int, level: int, role: str, record: dict[str, Any], suppressed: int = 0) -> str:
        """The same for the file alone: what only who reads the code wants to see. Returns the line."""
        line = json_line(wall_ns, level, role, record, suppressed)
        try:
            self._file.write(line + "\n")
            self._size += len(line) + 1
            if self._size > self._size_max:
                self._roll()
        except OSError:
            self.errors += 1
        return line

    def flush(self) -> None:
        """To the file, once per pass rather than per line."""
        try:
            self._file.flush()
        except OSError:
            self.errors += 1
        if self._echo is not None:
            with suppress(OSError, ValueError):
                self._echo.flush()

    def close(self) -> None:
        """Flushes and closes."""
        with suppress(OSError):
            self._file.close()

    def _roll(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_suffix(self.path.suffix + ".1"))
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
        self._size = 0


class SupervisorLog:
    """The supervisor's own records, as a `Log`."""

    def __init__(self, file: LogFile, clock: Clock, level: int) -> None:
        self._file = file
        self._clock = clock
        self._level = level

    def debug(self, text: str, **fields: FieldValue) -> None:
        self._put(Level.DEBUG, text, fields)

    def info(self, text: str, **fields: FieldValue) -> None:
        self._put(Level.INFO, text, fields)

    def warning(self, text: str, **fields: FieldValue) -> None:
        self._put(Level.WARNING, text, fields)

    def error(self, text: str, **fields: FieldValue) -> None:
        self._put(Level.ERROR, text, fields)

    def _put(self, level: int, text: str, fields: dict[str, FieldValue]) -> None:
        if level >= self._level:
            self._file.write(self._clock.realtime_ns(), level, "supervisor", {"text": text, **fields})


def drain(consumers: Sequence[tuple[str, Any]], file: LogFile) -> int:
    """Moves what the roles have logged into the file. `consumers` are (role, Consumer of log_message_t)."""
    moved = 0
    for role, consumer in consumers:
        for _ in range(RECORDS_PER_PASS_MAX):
            slot = consumer.try_peek()
            if slot is None:
                break
            raw = text_of(slot.text)
            try:
                record = json.loads(raw)
            except ValueError:
                record = {"text": raw}
            file.write(slot.wall_ns, slot.header.kind or Level.INFO, role, record, slot.suppressed)
            moved += 1
        consumer.release()
    return moved


def echo_stream() -> TextIO | None:
    """stdout when nobody watches a live view there."""
    return None if sys.stdout.isatty() else sys.stdout
