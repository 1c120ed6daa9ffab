"""What a venue remembers of its trades for those who ask later: candles and aggregate trades. Fed by the public trades.

The past begins when the exchange starts: there are no candles before.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from reactor.sim.events import AggregateTradeEvent, TradeEvent
from reactor.sim.faces.refusal import VenueError
from reactor.sim.symbols import SymbolRules, amount_text

MINUTE_MS: Final = 60_000
CANDLES_MAX: Final = 1_500  # The most that one answer may hold.
AGGREGATES_MAX: Final = 1_000
DAY_MS: Final = 86_400_000
WEEK_OFFSET_MS: Final = 4 * DAY_MS  # 1970 began on a Thursday; weeks begin on Monday.

INTERVALS_MS: Final[dict[str, int]] = {
    "1s": 1_000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 30 * DAY_MS,
}


@dataclass(slots=True)
class Candle:
    """One interval of trades."""

    open_ms: int
    close_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    first_trade_id: int
    last_trade_id: int
    volume_lots: int = 0
    quote_e8: int = 0
    count: int = 0
    taker_buy_lots: int = 0
    taker_buy_quote_e8: int = 0

    def row(self, rules: SymbolRules, unit: int) -> list[Any]:
        """One row of GET klines; `unit`: time units per ms."""
        return [
            self.open_ms * unit,
            rules.price_text(self.open_ticks),
            rules.price_text(self.high_ticks),
            rules.price_text(self.low_ticks),
            rules.price_text(self.close_ticks),
            rules.quantity_text(self.volume_lots),
            (self.close_ms + 1) * unit - 1,
            amount_text(self.quote_e8),
            self.count,
            rules.quantity_text(self.taker_buy_lots),
            amount_text(self.taker_buy_quote_e8),
            "0",
        ]

    def join(self, other: "Candle") -> None:
        """Appends a later candle."""
        self.high_ticks = max(self.high_ticks, other.high_ticks)
        self.low_ticks = min(self.low_ticks, other.low_ticks)
        self.close_ticks = other.close_ticks
        self.last_trade_id = other.last_trade_id
        self.volume_lots += other.volume_lots
        self.quote_e8 += other.quote_e8
        self.count += other.count
        self.taker_buy_lots += other.taker_buy_lots
        self.taker_buy_quote_e8 += other.taker_buy_quote_e8


def interval_start_ms(time_ms: int, interval: str) -> int:
    """Where the candle of that moment begins."""
    length_ms = INTERVALS_MS[interval]
    if interval == "1w":
        return time_ms - (time_ms - WEEK_OFFSET_MS) % length_ms
    return time_ms - time_ms % length_ms


class History:
    """Of one symbol."""

    def __init__(self, rules: SymbolRules) -> None:
        self.rules = rules
        self.minutes: deque[Candle] = deque(maxlen=CANDLES_MAX)
        self.seconds: deque[Candle] = deque(maxlen=CANDLES_MAX)
        self.aggregates: deque[AggregateTradeEvent] = deque(maxlen=AGGREGATES_MAX)

    def on_trade(self, trade: TradeEvent) -> None:
        """Counts one public trade."""
        time_ms = trade.trade_ns // 1_000_000
        self._count(self.seconds, time_ms - time_ms % 1_000, 1_000, trade)
        self._count(self.minutes, time_ms - time_ms % MINUTE_MS, MINUTE_MS, trade)

    def _count(self, candles: deque[Candle], start_ms: int, length_ms: int, trade: TradeEvent) -> None:
        ticks = trade.price_ticks
        if not candles or candles[-1].open_ms < start_ms:
            candles.append(
                Candle(start_ms, start_ms + length_ms - 1, ticks, ticks, ticks, ticks, trade.trade_id, trade.trade_id)
            )
        candle = candles[-1]
        if ticks > candle.high_ticks:
            candle.high_ticks = ticks
        elif ticks < candle.low_ticks:
            candle.low_ticks = ticks
        candle.close_ticks = ticks
        candle.last_trade_id = trade.trade_id
        quote_e8 = self.rules.notional_e8(ticks, trade.quantity_lots)
        candle.volume_lots += trade.quantity_lots
        candle.quote_e8 += quote_e8
        candle.count += 1
        if not trade.buyer_is_maker:
            candle.taker_buy_lots += trade.quantity_lots
            candle.taker_buy_quote_e8 += quote_e8

    def candles(self, interval: str, start_ms: int | None, end_ms: int | None, limit: int) -> list[Candle]:
        """Oldest first: the first `limit` from `start_ms` on, else the last `limit`."""
        if interval not in INTERVALS_MS:
            raise VenueError(-1120, "Invalid interval.")
        source: Iterable[Candle] = self.seconds if interval == "1s" else self.minutes
        joined: list[Candle] = []
        for candle in source:
            open_ms = interval_start_ms(candle.open_ms, interval)
            if joined and joined[-1].open_ms == open_ms:
                joined[-1].join(candle)
                continue
            copy = Candle(**{name: getattr(candle, name) for name in Candle.__slots__})
            copy.open_ms, copy.close_ms = open_ms, open_ms + INTERVALS_MS[interval] - 1
            joined.append(copy)
        if end_ms is not None:
            joined = [candle for candle in joined if candle.open_ms <= end_ms]
        if start_ms is not None:
            return [candle for candle in joined if candle.open_ms >= start_ms][:limit]
        return joined[-limit:]

    def current(self, interval: str, now_ms: int) -> Candle | None:
        """The candle of this moment; None if nothing was traded in it."""
        start_ms = interval_start_ms(now_ms, interval)
        candles = self.candles(interval, start_ms, None, 1)
        return candles[0] if candles else None

    def aggregates_between(
        self, from_id: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[AggregateTradeEvent]:
        """Oldest first."""
        rows = [
            row
            for row in self.aggregates
            if (from_id is None or row.aggregate_id >= from_id)
            and (start_ms is None or row.trade_ns // 1_000_000 >= start_ms)
            and (end_ms is None or row.trade_ns // 1_000_000 <= end_ms)
        ]
        return rows[:limit] if from_id is not None or start_ms is not None else rows[-limit:]
