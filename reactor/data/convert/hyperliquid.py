"""Captures of Hyperliquid (`l2Book`, `trades`) → event rows, as hftbacktest's converter makes them."""

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


class HyperliquidScanner:
    """As lines.Scanner; remembers the last book."""

    def __init__(self, tick_size: float, lot_size: float) -> None:
        self._scan: Any = ffi.new("hyperliquid_scan_t *", {"tick_size": tick_size, "lot_size": lot_size})
        self.at = self._scan.at

    def scan(self, text: Any, size: int, rows: Rows) -> None:
        """Takes whole lines."""
        lib.hyperliquid_scan_lines(self._scan, text, size, rows.next_row, rows.room)

    def tell(self, statistics: ConversionStatistics) -> None:
        """Fills in what was counted so far."""
        statistics.trades, statistics.depth_updates = self._scan.trades, self._scan.books
        statistics.ignored = self._scan.ignored_messages


def open_hyperliquid(
    paths: Sequence[str | Path], tick_size: float, lot_size: float, statistics: ConversionStatistics
) -> list[Source]:
    """Captures that follow each other, as one source of rows."""
    statistics.venue = "hyperliquid"
    rows, scanner = Rows(), HyperliquidScanner(tick_size, lot_size)
    parts = map(partial(read_parts, scanner=scanner, rows=rows, statistics=statistics), paths)
    return [Source(rows, chain.from_iterable(parts))]
