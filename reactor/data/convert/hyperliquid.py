"""Hyperliquid frames (`l2Book`, `trades`) → event rows, as hftbacktest's converter makes them.

The venue sends whole books of twenty levels; the events are the differences from one to the next.
"""

from typing import Any

import numpy as np

from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import BUY_EVENT, DEPTH_EVENT, EVENT_DTYPE, SELL_EVENT, TRADE_EVENT, EventArray, Rows

NS_PER_MS = 1_000_000
LEVELS_MAX = 20  # What l2Book sends.


class _Side:
    """The levels of one side, now and before, and what became of each."""

    def __init__(self, tick_size: float, lot_size: float) -> None:
        self._tick_size, self._lot_size = tick_size, lot_size
        # (price, quantity, is news). hftbacktest hands out all twenty places of its buffer, so a book that has become
        # shorter repeats what stood in those places two books ago; the same is done here.
        self._now: list[tuple[float, float, bool]] = [(0.0, 0.0, False)] * LEVELS_MAX
        self._before: list[tuple[float, float, bool]] = list(self._now)
        self._count = 0
        self._is_first = True

    def take(self, levels: list[dict[str, str]]) -> tuple[list[tuple[float, float]], list[float]]:
        """(levels that are new or changed, prices that are gone)."""
        if len(levels) > LEVELS_MAX:
            raise ValueError(f"{len(levels)} levels on one side, {LEVELS_MAX} are known")
        self._now, self._before = self._before, self._now
        before_count, self._count = self._count, len(levels)
        pairs = [(float(level["px"]), float(level["sz"])) for level in levels]
        if self._is_first:
            self._is_first = False
            self._now[: len(pairs)] = [(px, qty, True) for px, qty in pairs]
            return [(px, qty) for px, qty, is_news in self._now if is_news], []
        known: dict[int, float] = {}
        for px, qty, _ in self._before[:before_count]:
            known.setdefault(round(px / self._tick_size), qty)
        ticks = [round(px / self._tick_size) for px, _ in pairs]
        for place, (tick, (px, qty)) in enumerate(zip(ticks, pairs, strict=True)):
            old = known.get(tick)
            is_same = old is not None and round(qty / self._lot_size) == round(old / self._lot_size)
            self._now[place] = (px, qty, not is_same)
        present = set(ticks)
        before_ticks = [round(px / self._tick_size) for px, _, _ in self._before[:before_count]]
        gone = [tick * self._tick_size for tick in before_ticks if tick not in present]
        return [(px, qty) for px, qty, is_news in self._now if is_news], gone


class HyperliquidReader:
    """Remembers the last book."""

    def __init__(self, tick_size: float, lot_size: float, rows: Rows) -> None:
        self._bids, self._asks = _Side(tick_size, lot_size), _Side(tick_size, lot_size)
        self._rows: list[tuple[int, int, int, float, float, int, int, float]] = []

    def take(self, receive_ns: int, message: dict[str, Any], statistics: ConversionStatistics) -> None:
        """One frame."""
        channel = message.get("channel")
        if channel == "trades":
            for trade in message["data"]:
                statistics.trades += 1
                side = SELL_EVENT if trade["side"] == "A" else BUY_EVENT
                self._put(TRADE_EVENT | side, trade["time"] * NS_PER_MS, receive_ns, float(trade["px"]), float(trade["sz"]))
        elif channel == "l2Book":
            statistics.depth_updates += 1
            book = message["data"]
            exchange_ns = book["time"] * NS_PER_MS
            bids, bids_gone = self._bids.take(book["levels"][0])
            asks, asks_gone = self._asks.take(book["levels"][1])
            for levels, side in ((bids, BUY_EVENT), (asks, SELL_EVENT)):
                for px, qty in levels:
                    self._put(DEPTH_EVENT | side, exchange_ns, receive_ns, px, qty)
            for prices, side in ((bids_gone, BUY_EVENT), (asks_gone, SELL_EVENT)):
                for px in prices:
                    self._put(DEPTH_EVENT | side, exchange_ns, receive_ns, px, 0.0)
        else:
            statistics.ignored += 1

    def _put(self, ev: int, exchange_ns: int, receive_ns: int, px: float, qty: float) -> None:
        self._rows.append((ev, exchange_ns, receive_ns, px, qty, 0, 0, 0.0))

    def take_array(self) -> EventArray:
        """Everything read, not yet corrected."""
        return np.array(self._rows, EVENT_DTYPE)
