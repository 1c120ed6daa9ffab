"""Bybit v5 public frames (`orderbook.N.S`, `publicTrade.S`) → event rows, as hftbacktest's converter makes them."""

from typing import Any

import numpy as np

from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import (
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    EVENT_DTYPE,
    SELL_EVENT,
    TRADE_EVENT,
    EventArray,
    Rows,
)
from reactor.data.fuse import Fuse

NS_PER_MS = 1_000_000
Row = tuple[int, int, int, float, float, int, int, float]


class BybitReader:
    """One book stream as it is, or, when the steps of price and quantity are known, all of them fused."""

    def __init__(
        self, rows: Rows, statistics: ConversionStatistics, *, depth_level: int, tick_size: float, lot_size: float
    ) -> None:
        self._fuse = Fuse(tick_size, lot_size, rows) if tick_size > 0 and lot_size > 0 else None
        self._prefix = f"orderbook.{depth_level}."
        self._rows: list[Row] = []
        self._statistics = statistics

    def take(self, receive_ns: int, message: dict[str, Any], statistics: ConversionStatistics) -> None:
        """One frame."""
        data, topic = message.get("data"), message.get("topic", "")
        if data is None:
            statistics.error_messages += "code" in message
            statistics.ignored += "code" not in message
        elif topic.startswith("publicTrade."):
            statistics.trades += len(data)
            for trade in data:
                side = SELL_EVENT if trade.get("S", "Buy") == "Sell" else BUY_EVENT
                exchange_ns = int(trade.get("T", message.get("ts", 0))) * NS_PER_MS
                self._put(TRADE_EVENT | side, exchange_ns, receive_ns, float(trade["p"]), float(trade["v"]))
        elif topic.startswith("orderbook.") and (self._fuse is not None or topic.startswith(self._prefix)):
            self._take_book(message, data, int(message.get("ts", 0)) * NS_PER_MS, receive_ns)
        else:
            statistics.ignored += 1

    def _take_book(self, message: dict[str, Any], data: dict[str, Any], exchange_ns: int, receive_ns: int) -> None:
        is_snapshot = message.get("type") == "snapshot"
        if is_snapshot:
            self._statistics.snapshots += 1
        else:
            self._statistics.depth_updates += 1
        kind = DEPTH_SNAPSHOT_EVENT if is_snapshot else DEPTH_EVENT
        levels: list[Row] = []
        for name, side in (("b", BUY_EVENT), ("a", SELL_EVENT)):
            pairs = data.get(name, [])
            if is_snapshot and pairs and self._fuse is None:
                levels.append((DEPTH_CLEAR_EVENT | side, exchange_ns, receive_ns, float(pairs[-1][0]), 0.0, 0, 0, 0.0))
            levels += [(kind | side, exchange_ns, receive_ns, float(px), float(qty), 0, 0, 0.0) for px, qty in pairs]
        if self._fuse is None:
            self._rows += levels
        elif levels:
            self._fuse.take(np.array(levels, EVENT_DTYPE))

    def _put(self, ev: int, exchange_ns: int, receive_ns: int, px: float, qty: float) -> None:
        self._rows.append((ev, exchange_ns, receive_ns, px, qty, 0, 0, 0.0))

    def take_array(self) -> EventArray:
        """Everything read, not yet corrected: book and trades as they came, or fused events and trades by time."""
        own = np.array(self._rows, EVENT_DTYPE)
        if self._fuse is None:
            return own
        fused = self._fuse.rows.take_array()
        if len(fused) == 0 or len(own) == 0:
            return fused if len(fused) else own
        every = np.concatenate([fused, own])
        in_order: EventArray = every[np.lexsort((every["local_ts"], every["exch_ts"]))]
        return in_order
