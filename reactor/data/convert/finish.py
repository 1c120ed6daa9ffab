"""What every conversion ends with: latency, order, validation; and the statistics of the whole."""

from dataclasses import dataclass, field
from typing import Literal

from reactor.data.events import (
    EventArray,
    Rows,
    correct_event_order,
    correct_local_timestamp,
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


def ordered(source: Rows | EventArray, statistics: ConversionStatistics, base_latency_ns: int, compat: Compat) -> EventArray:
    """The event array in its final order. With compat, `base_latency_ns` is ignored where no latency was negative.

    `source` is used up: Rows give their memory back while the result grows.
    """
    events = source.take_array() if isinstance(source, Rows) else source
    statistics.local_shift_ns = correct_local_timestamp(events, base_latency_ns)
    if statistics.local_shift_ns == 0 and base_latency_ns and compat != "hftbacktest":
        shift_local_timestamp(events, base_latency_ns)
        statistics.local_shift_ns = base_latency_ns
    read = len(events)
    events = correct_event_order(events, source if isinstance(source, Rows) else None)
    validate_event_order(events)
    statistics.events = len(events)
    statistics.reordered_events = len(events) - read
    return events
