"""A role's life sign, counters and latency histograms, kept privately and published at the shard's heartbeat.

Counting touches private memory only; `publish` copies the whole row into the seqlocked metrics segment once per heartbeat,
so that watching costs the hot path nothing.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Protocol

from reactor.domain.messages import COUNTERS_MAX, LifeState, Stage, copy, new, put_text
from shm.histogram import NOW, HistogramsWriter


class Span(IntEnum):
    """Latencies between two stages; the argument of `Metrics.record`. Each is recorded in exactly one room."""

    INTERNAL = 0  # engine: RECEIVE → SEND: tick received → request handed to the socket
    CLOSE = 1  # engine: the same of a pair's first closing order, which goes another way through prepost
    HEDGE = 2  # engine: the same of a hedge: fill received → its hedge handed to the socket
    RECEIVE_TO_SIGNAL = 3  # prepost, when the ack is applied, and so on; not of closes and hedges, nor the next
    SIGNAL_TO_EVENT = 4
    EVENT_TO_COMMAND = 5
    COMMAND_TO_SEND = 6
    SEND_TO_ACK = 7  # the venue and the wire
    ACK_TO_REPORT = 8
    RECEIVE_TO_REPORT = 9  # the whole way round, not of closes and hedges


SPAN_STAGES: tuple[tuple[int, int], ...] = (
    (Stage.RECEIVE, Stage.SEND),
    (Stage.RECEIVE, Stage.SEND),
    (Stage.RECEIVE, Stage.SEND),
    (Stage.RECEIVE, Stage.SIGNAL),
    (Stage.SIGNAL, Stage.EVENT),
    (Stage.EVENT, Stage.COMMAND),
    (Stage.COMMAND, Stage.SEND),
    (Stage.SEND, Stage.ACK),
    (Stage.ACK, Stage.REPORT),
    (Stage.RECEIVE, Stage.REPORT),
)
"""By Span: (from stage, to stage). A span is recorded only if both stamps are set."""

SPAN_NAMES: tuple[str, ...] = tuple(span.name.lower() for span in Span)


class Histogram(Protocol):
    """What `record` needs of shm/histogram.py."""

    def record(self, value: int, /) -> object:
        """Counts one value in nanoseconds."""


class RowWriter(Protocol):
    """What `publish` needs of shm/seqlock.py's RowsWriter."""

    def edit(self, index: int, /) -> Any:
        """The row's view, open for writing."""

    def done(self, index: int, /) -> object:
        """Closes the row again."""


class Metrics:
    """One role's counters. Counter numbers are the role's own IntEnum, below COUNTERS_MAX."""

    def __init__(self, row: RowWriter | None = None, histograms: Sequence[Histogram] = ()) -> None:
        self.view = new("metrics")
        self.histograms = tuple(histograms)
        self._writer = histograms if isinstance(histograms, HistogramsWriter) else None
        self._counters = self.view.counters
        self._row = row

    def count(self, counter: int, n: int = 1) -> None:
        """Adds `n`."""
        self._counters[counter] += n

    def set(self, counter: int, value: int) -> None:
        """Sets a gauge (≥ 0)."""
        self._counters[counter] = value

    def get(self, counter: int) -> int:
        """The value as it stands; for tests and the role itself."""
        return int(self._counters[counter])

    def record(self, span: int, ns: int) -> None:
        """Counts one latency. Without histograms (tests) it does nothing; a negative one is a clock fault and is dropped."""
        if ns >= 0 and span < len(self.histograms):
            self.histograms[span].record(ns)

    def spans_recorder(self, spans: Sequence[int]) -> Callable[[bytes, int], None] | None:
        """A function of (stamps RECEIVE … ACK, when the report was applied): counts every span of `spans` whose two stamps are
        set, in one crossing. The stamps come as they stand in a message: `bytes_of(view, name)[WAY]`. None: nobody counts here.
        """
        if self._writer is None:
            return None
        return self._writer.spans_recorder(
            [(span, first, NOW if last == Stage.REPORT else last) for span in spans for first, last in [SPAN_STAGES[span]]]
        )

    def fail(self, sentence: str) -> None:
        """The role cannot go on: the sentence is for the user. The supervisor decides about a restart."""
        self.view.life_state = LifeState.FAILED
        put_text(self.view.failure, sentence)

    def publish(self) -> None:
        """Copies the row where anyone may read it."""
        if self._row is not None:
            copy(self._row.edit(0), self.view, "metrics")
            self._row.done(0)


assert COUNTERS_MAX >= 64, "roles count on at least 64 counters"
