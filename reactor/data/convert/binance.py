"""Captures of Binance Spot, USD-M and COIN-M → event rows (cffi_build/include/events.h says what a scan knows)."""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from reactor._native import ffi, lib
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.convert.lines import read_parts
from reactor.data.events import Rows
from reactor.data.weave import Source


class BinanceScanner:
    """As lines.Scanner."""

    def __init__(self, with_book_ticker: bool, with_mark_price: bool, without_snapshots: bool) -> None:
        self._scan: Any = ffi.new("capture_scan_t *")
        self._scan.with_book_ticker, self._scan.with_mark_price = with_book_ticker, with_mark_price
        self._scan.without_snapshots = without_snapshots
        self.at = self._scan.at

    def scan(self, text: Any, size: int, rows: Rows) -> None:
        """Takes whole lines."""
        lib.events_scan_capture(self._scan, text, size, rows.next_row, rows.room)

    def tell(self, statistics: ConversionStatistics) -> None:
        """Fills in what was counted so far."""
        scan = self._scan
        statistics.trades, statistics.depth_updates = scan.trade_messages, scan.depth_messages
        statistics.snapshots, statistics.book_tickers = scan.snapshot_messages, scan.ticker_messages
        statistics.off_book_trades, statistics.gaps = scan.off_book_trades, scan.gaps
        statistics.ignored, statistics.error_messages = scan.ignored_messages, scan.error_messages

    def rows_still_needed(self) -> tuple[int, int]:
        """(rows that will not change any more, rows from here on may be looked at again), counted from the first row."""
        scan = self._scan
        known = min(scan.recent_count, lib.RECENT_MESSAGES)
        oldest = scan.recent[(scan.recent_count - known) % lib.RECENT_MESSAGES].first_row if known else scan.rows_before
        settled = scan.rows_before - scan.waiting_rows
        return int(settled), int(min(oldest, settled))


def open_binance(
    paths: Sequence[str | Path],
    with_book_ticker: bool,
    with_mark_price: bool,
    without_snapshots: bool,
    statistics: ConversionStatistics,
) -> list[Source]:
    """Captures that follow each other, as one source of rows."""
    statistics.venue = "binance"
    rows, scanner = Rows(), BinanceScanner(with_book_ticker, with_mark_price, without_snapshots)
    parts = map(partial(read_parts, scanner=scanner, rows=rows, statistics=statistics), paths)
    return [Source(rows, chain.from_iterable(parts), scanner.rows_still_needed)]
