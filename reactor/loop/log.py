"""Logging that never blocks: a record goes into the role's log ring; the supervisor writes it as a JSON line.

A full ring drops the record and counts it. Repetition is sampled: of the same sentence at most BURST_MAX per second pass,
the next one that passes says how many were held back. A sentence is constant; what varies goes into fields.
"""

import json
import sys
import time
from enum import IntEnum
from typing import Any, Protocol, TextIO

from reactor.domain.messages import NO_INSTRUMENT, clear
from reactor.loop.clock import Clock

TEXT_SIZE = 367  # log_message_t.text, less the closing NUL
BURST_MAX = 5  # Of one sentence per second: enough to see a burst, too few to fill the ring of 1024.
SECOND_NS = 1_000_000_000


class Level(IntEnum):
    """header.kind of a log message."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


FieldValue = str | int | float | bool | None


class Log(Protocol):
    """What a role logs to."""

    def debug(self, text: str, **fields: FieldValue) -> None:
        """For who reads the code."""

    def info(self, text: str, **fields: FieldValue) -> None:
        """Something happened as it should."""

    def warning(self, text: str, **fields: FieldValue) -> None:
        """The trader may want to look; the system helps itself."""

    def error(self, text: str, **fields: FieldValue) -> None:
        """The trader must look."""


class LogProducer(Protocol):
    """What a log needs of shm/ring.py's Producer."""

    def try_claim(self, lane: int = 0) -> Any | None:
        """A slot, or None when full."""

    def sequence(self, lane: int = 0) -> int:
        """The number that the claimed slot will carry."""

    def commit(self, lane: int = 0) -> object:
        """Publishes it."""


def encode_record(text: str, module: str, fields: dict[str, FieldValue]) -> bytes:
    """One record as JSON, at most TEXT_SIZE bytes: fields that do not fit are left out, a long sentence is cut."""
    record: dict[str, FieldValue] = {"text": text, "module": module, **fields} if module else {"text": text, **fields}
    raw = json.dumps(record, ensure_ascii=True, default=str, separators=(",", ":")).encode()
    if len(raw) <= TEXT_SIZE:
        return raw
    kept: dict[str, FieldValue] = {"text": text[:160], "cut": True}
    raw = json.dumps(kept, separators=(",", ":")).encode()
    for name, value in fields.items():
        kept[name] = value[:80] if isinstance(value, str) else value
        longer = json.dumps(kept, default=str, separators=(",", ":")).encode()
        if len(longer) > TEXT_SIZE:
            del kept[name]
            continue
        raw = longer
    return raw[:TEXT_SIZE]


class _Sampled:
    """Level and sampling; where a record goes is the subclass's."""

    def __init__(self, clock: Clock, level: int, module: str) -> None:
        self._clock = clock
        self._level = level
        self._module = module
        self._seen: dict[str, list[int]] = {}  # sentence → [second, passed in it, held back]

    def debug(self, text: str, **fields: FieldValue) -> None:
        if self._level <= Level.DEBUG:
            self._put(Level.DEBUG, text, fields)

    def info(self, text: str, **fields: FieldValue) -> None:
        if self._level <= Level.INFO:
            self._put(Level.INFO, text, fields)

    def warning(self, text: str, **fields: FieldValue) -> None:
        if self._level <= Level.WARNING:
            self._put(Level.WARNING, text, fields)

    def error(self, text: str, **fields: FieldValue) -> None:
        if self._level <= Level.ERROR:
            self._put(Level.ERROR, text, fields)

    def _put(self, level: int, text: str, fields: dict[str, FieldValue]) -> None:
        second = self._clock.monotonic_ns() // SECOND_NS
        seen = self._seen.get(text)
        if seen is None:
            if len(self._seen) > 1000:  # Sentences are constants; whoever formats values into them pays with sampling.
                self._seen.clear()
            seen = self._seen[text] = [second, 0, 0]
        if seen[0] != second:
            seen[0], seen[1] = second, 0
        if seen[1] >= BURST_MAX:
            seen[2] += 1
            return
        seen[1] += 1
        suppressed, seen[2] = seen[2], 0
        self._write(level, text, fields, suppressed)

    def _write(self, level: int, text: str, fields: dict[str, FieldValue], suppressed: int) -> None:
        raise NotImplementedError


class RingLog(_Sampled):
    """Writes log_message_t into the role's log ring."""

    def __init__(self, producer: LogProducer, clock: Clock, source: int, level: int = Level.INFO, module: str = "") -> None:
        super().__init__(clock, level, module)
        self._producer = producer
        self._source = source
        self.dropped = 0

    def child(self, module: str) -> "RingLog":
        """The same ring under another module's name."""
        return RingLog(self._producer, self._clock, self._source, self._level, module)

    def _write(self, level: int, text: str, fields: dict[str, FieldValue], suppressed: int) -> None:
        slot = self._producer.try_claim()
        if slot is None:
            self.dropped += 1
            return
        raw = encode_record(text, self._module, fields)
        clear(slot, "log")
        header = slot.header
        header.sequence = self._producer.sequence()
        header.kind = level
        header.source = self._source
        header.instrument_index = NO_INSTRUMENT
        slot.wall_ns = self._clock.realtime_ns()
        slot.suppressed = suppressed + self.dropped
        slot.length = len(raw)
        slot.text[0 : len(raw)] = raw
        self.dropped = 0
        self._producer.commit()


class StreamLog(_Sampled):
    """Writes JSON lines to a stream: for processes that may block (simulated exchange, supervisor, tools)."""

    def __init__(self, clock: Clock, source: str, level: int = Level.INFO, stream: TextIO | None = None) -> None:
        super().__init__(clock, level, "")
        self._source = source
        self._stream = stream if stream is not None else sys.stderr

    def _write(self, level: int, text: str, fields: dict[str, FieldValue], suppressed: int) -> None:
        line = json_line(self._clock.realtime_ns(), level, self._source, {"text": text, **fields}, suppressed)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # Nobody listens any more; logging must not stop the work.


def json_line(wall_ns: int, level: int, source: str, record: dict[str, Any], suppressed: int = 0) -> str:
    """One line of the log file: {"time", "level", "role", "text", …fields}. Time is UTC with microseconds."""
    seconds, rest = divmod(wall_ns, SECOND_NS)
    line: dict[str, Any] = {"time": f"{_utc(seconds)}.{rest // 1000:06d}Z", "level": Level(level).name.lower(), "role": source}
    line.update(record)
    if suppressed:
        line["suppressed"] = suppressed
    return json.dumps(line, ensure_ascii=False, default=str)


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class NullLog:
    """Swallows everything."""

    def debug(self, text: str, **fields: FieldValue) -> None: ...
    def info(self, text: str, **fields: FieldValue) -> None: ...
    def warning(self, text: str, **fields: FieldValue) -> None: ...
    def error(self, text: str, **fields: FieldValue) -> None: ...


class ListLog:
    """Keeps every record, for tests: `log.records` holds (level, text, fields)."""

    def __init__(self) -> None:
        self.records: list[tuple[int, str, dict[str, FieldValue]]] = []

    def debug(self, text: str, **fields: FieldValue) -> None:
        self.records.append((Level.DEBUG, text, fields))

    def info(self, text: str, **fields: FieldValue) -> None:
        self.records.append((Level.INFO, text, fields))

    def warning(self, text: str, **fields: FieldValue) -> None:
        self.records.append((Level.WARNING, text, fields))

    def error(self, text: str, **fields: FieldValue) -> None:
        self.records.append((Level.ERROR, text, fields))
