"""What every conversion ends with: latency, order, validation; and the statistics of the whole."""

from dataclasses import dataclass, field
from typing import Literal

from reactor.data.events import (
    EventArray,
    Rows,
    correct_event_order,
    latency_min,
    shift_local_timestamp,
    validate_event_order,
)

Compat = Literal["", "hftbacktest"]


@dataclass
class ConversionStatistics:
    """What one conversion read and did. Counts of messages or rows as the source has them; times are ns."""

    files: list[str] = field(default_factory=list)
    venue: str = ""
    symbol: str = ""
    lines: int = 0
    trades: int = 0
    depth_updates: int = 0
    snapshots: int = 0
    book_tickers: int = 0
    ignored: int = 0
    off_book_trades: int = 0
    error_messages: int = 0
    gaps: int = 0
    skipped_snapshot_rows: int = 0
    truncated_snapshot_rows: int = 0
    events: int = 0
    reordered_events: int = 0
    local_shift_ns: int = 0
    damages: list[str] = field(default_factory=list)

    def finish(self, read: int, written: int, local_shift_ns: int) -> None:
        """`read` rows became `written` ones when they were put in order."""
        self.events, self.reordered_events, self.local_shift_ns = written, written - read, local_shift_ns


def local_shift(latency_min_ns: int, base_latency_ns: int, compat: Compat) -> int:
    """What is added to every local time, ns: no latency may be negative; then `base_latency_ns`.

    With compat it is ignored where no latency was negative.
    """
    if latency_min_ns < 0:
        return base_latency_ns - latency_min_ns
    return 0 if compat == "hftbacktest" else base_latency_ns


def ordered(source: Rows | EventArray, statistics: ConversionStatistics, base_latency_ns: int, compat: Compat) -> EventArray:
    """The event array in its final order.

    `source` is used up: Rows give their memory back while the result grows.
    """
    events = source.take_array() if isinstance(source, Rows) else source
    shift_ns = local_shift(latency_min(events), base_latency_ns, compat)
    shift_local_timestamp(events, shift_ns)
    read = len(events)
    events = correct_event_order(events, source if isinstance(source, Rows) else None)
    validate_event_order(events)
    statistics.finish(read, len(events), shift_ns)
    return events
