"""Captures of Bybit v5 (`orderbook.N.S`, `publicTrade.S`) → event rows, as hftbacktest's converters make them.

One book stream as it is, or, when the steps of price and quantity are known, all of them fused.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactor._native import ffi, lib
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.convert.lines import read_parts
from reactor.data.events import TRADE_EVENT, EventArray, Rows
from reactor.data.fuse import Fuse
from reactor.data.weave import Source

EVERY_LEVEL: Final = 0


class BybitScanner:
    """As lines.Scanner."""

    def __init__(self, depth_level: int) -> None:
        self._scan: Any = ffi.new("bybit_scan_t *", {"depth_level": depth_level})
        self.at = self._scan.at

    def scan(self, text: Any, size: int, rows: Rows) -> None:
        """Takes whole lines."""
        lib.bybit_scan_lines(self._scan, text, size, rows.next_row, rows.room)

    def tell(self, statistics: ConversionStatistics) -> None:
        """Fills in what was counted so far."""
        scan = self._scan
        statistics.trades, statistics.depth_updates = scan.trades, scan.delta_messages
        statistics.snapshots, statistics.ignored = scan.snapshot_messages, scan.ignored_messages
        statistics.error_messages = scan.error_messages


def open_bybit(paths: Sequence[str | Path], depth_level: int, statistics: ConversionStatistics) -> list[Source]:
    """Captures that follow each other, as one source of rows: trades and one book stream."""
    statistics.venue = "bybit"
    rows = Rows()
    parts = map(partial(read_parts, scanner=BybitScanner(depth_level), rows=rows, statistics=statistics), paths)
    return [Source(rows, chain.from_iterable(parts))]


def read_fused(paths: Sequence[str | Path], tick_size: float, lot_size: float, statistics: ConversionStatistics) -> EventArray:
    """All book streams fused, and the trades, by exchange and local time; not yet corrected."""
    statistics.venue = "bybit"
    scanner, told, fuse = BybitScanner(EVERY_LEVEL), Rows(), Fuse(tick_size, lot_size, Rows())
    trades: list[EventArray] = []
    for path in paths:
        for _ in read_parts(path, scanner, told, statistics):
            events = told.take_array()
            is_trade = (events["ev"] & np.uint64(0xFF)) == TRADE_EVENT
            trades.append(events.compress(is_trade))  # An index by mask or places takes twice to seven times as long.
            fuse.take(events.compress(~is_trade))
            told.count = 0
    fused = fuse.rows.take_array()
    if len(fused) == 0:
        return np.concatenate(trades)
    every = np.concatenate([fused, *trades])
    in_order: EventArray = every.take(np.lexsort((every["local_ts"], every["exch_ts"])))
    return in_order if len(every) > len(fused) else fused
