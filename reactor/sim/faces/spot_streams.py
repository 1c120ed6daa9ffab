"""Binance Spot's market streams: which names there are, and which message goes out under each."""

from typing import Any, Final

import orjson

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    BookTickerView,
    DayView,
    DepthEvent,
    DepthView,
    Event,
    TradeEvent,
)
from reactor.sim.faces import spot_public as public
from reactor.sim.faces.history import INTERVALS_MS, History
from reactor.sim.faces.streams import Streams, TopicPair
from reactor.sim.symbols import SymbolRules, amount_text
from reactor.sim.venue import VenueCore

TOP_LEVELS: Final = (5, 10, 20)
SPEED_NAMES: Final = {100: "@100ms", 1000: ""}
SECOND_NS: Final = 1_000_000_000


class _SymbolTopics:
    """The streams of one symbol that follow the market message by message."""

    def __init__(self, streams: Streams, rules: SymbolRules) -> None:
        name = rules.symbol.lower()
        self.trade = TopicPair(streams, f"{name}@trade")
        self.aggregate = TopicPair(streams, f"{name}@aggTrade")
        self.book_ticker = TopicPair(streams, f"{name}@bookTicker")
        self.depth = {speed: TopicPair(streams, f"{name}@depth{suffix}") for speed, suffix in SPEED_NAMES.items()}
        self.tops = {
            speed: [(count, TopicPair(streams, f"{name}@depth{count}{suffix}")) for count in TOP_LEVELS]
            for speed, suffix in SPEED_NAMES.items()
        }

    def is_depth_wanted(self, speed_ms: int) -> bool:
        """True while anybody hears depth of that cadence, or aggregate trades: the core closes them with the 100 ms depth."""
        if speed_ms == 100 and self.aggregate.wanted:
            return True
        return self.depth[speed_ms].wanted or any(pair.wanted for _, pair in self.tops[speed_ms])


class SpotStreams:
    """Turns market events into stream messages, each encoded at most once."""

    def __init__(self, core: VenueCore, streams: Streams, history: dict[str, History]) -> None:
        self._core = core
        self._streams = streams
        self._history = history
        self._topics = {symbol: _SymbolTopics(streams, rules) for symbol, rules in core.symbols.items()}
        self._periodic: dict[str, TopicPair] = {}  # stream name → its topics, once somebody has asked
        self._closed: dict[str, int] = {}  # kline stream → open time of the candle whose end was told
        self._second = 0
        self._wanted = {(symbol, speed): True for symbol in core.symbols for speed in SPEED_NAMES}
        self._next_review_ns = 0

    def serves(self, category: str, name: str) -> bool:
        """Spot knows no categories: every name may be listened to, unknown ones stay silent."""
        return True

    def on_wanted(self, name: str) -> None:
        """Somebody listens to this name."""
        symbol, _, kind = name.partition("@")
        if kind.startswith("depth") or kind == "aggTrade":
            speed = 100 if kind.endswith("@100ms") or kind == "aggTrade" else 1000
            if (symbol.upper(), speed) in self._wanted:
                self._switch(symbol.upper(), speed, True)
        elif name not in self._periodic and self._is_periodic(symbol, kind):
            self._periodic[name] = TopicPair(self._streams, name)

    def on_event(self, event: Event) -> None:
        """One market event of the core."""
        if type(event) is DepthEvent:
            self._on_depth(event)
        elif type(event) is BookTickerEvent:
            self._topics[event.rules.symbol].book_ticker.publish(public.book_ticker_message, event)
        elif type(event) is TradeEvent:
            self._history[event.rules.symbol].on_trade(event)
            self._topics[event.rules.symbol].trade.publish(public.trade_message, event)
        elif type(event) is AggregateTradeEvent:
            self._history[event.rules.symbol].aggregates.append(event)
            self._topics[event.rules.symbol].aggregate.publish(public.aggregate_message, event)

    def on_time(self, now_ns: int) -> None:
        """Once a second: tickers and candles that somebody listens to, and depth cadences that nobody wants any more."""
        if now_ns // SECOND_NS == self._second:
            return
        self._second = now_ns // SECOND_NS
        for name, pair in list(self._periodic.items()):
            if pair.wanted:
                if self._has_news(name, now_ns):
                    pair.publish(self._encode_periodic, (name, now_ns))
            else:
                del self._periodic[name]
        if now_ns >= self._next_review_ns:
            self._next_review_ns = now_ns + 10 * SECOND_NS
            for symbol, speed in self._wanted:
                if not self._topics[symbol].is_depth_wanted(speed):
                    self._switch(symbol, speed, False)

    def _switch(self, symbol: str, speed_ms: int, wanted: bool) -> None:
        if self._wanted[symbol, speed_ms] != wanted:
            self._wanted[symbol, speed_ms] = wanted
            self._core.want_depth(symbol, speed_ms, wanted)

    def _on_depth(self, event: DepthEvent) -> None:
        topics = self._topics[event.rules.symbol]
        pair = topics.depth.get(event.speed_ms)
        if pair is None:
            return
        if event.bids or event.asks:  # Nothing is sent when nothing changed.
            pair.publish(public.depth_message, event)
        for count, top in topics.tops[event.speed_ms]:
            if top.wanted:
                view = self._core.depth(event.rules.symbol, count)
                if isinstance(view, DepthView):
                    payload = public.depth(view, event.rules)
                    top.milliseconds.publish(payload)
                    top.microseconds.publish(payload)

    def _is_periodic(self, symbol: str, kind: str) -> bool:
        if symbol.upper() in self._core.symbols:
            return kind in ("ticker", "miniTicker", "avgPrice") or kind.removeprefix("kline_") in INTERVALS_MS
        return (symbol, kind) == ("!miniTicker", "arr")

    def _has_news(self, name: str, now_ns: int) -> bool:
        """A candle is sent while it is open, and once more when it has closed."""
        symbol, _, kind = name.partition("@")
        if not kind.startswith("kline_"):
            return True
        rows = self._history[symbol.upper()].candles(kind.removeprefix("kline_"), None, None, 1)
        if not rows:
            return False
        if rows[0].close_ms >= now_ns // 1_000_000:
            return True
        if self._closed.get(name) == rows[0].open_ms:
            return False
        self._closed[name] = rows[0].open_ms
        return True

    def _encode_periodic(self, message: tuple[str, int], unit: int) -> bytes:
        name, now_ns = message
        symbol, _, kind = name.partition("@")
        fields: Any
        if symbol == "!miniTicker":
            fields = [self._day(row, now_ns, unit, True) for row in self._core.symbols]
        elif kind == "avgPrice":
            fields = {
                "e": "avgPrice",
                "E": now_ns // unit,
                "s": symbol.upper(),
                "i": "5m",
                "w": amount_text(self._core.average_price_e8(symbol.upper())),
                "T": now_ns // unit,
            }
        elif kind.startswith("kline_"):
            fields = kline_message(self._history[symbol.upper()], kind.removeprefix("kline_"), now_ns, unit)
        else:
            fields = self._day(symbol.upper(), now_ns, unit, kind == "miniTicker")
        return orjson.dumps(fields)

    def _day(self, symbol: str, now_ns: int, unit: int, is_mini: bool) -> dict[str, Any]:
        day, book = self._core.day(symbol), self._core.book_ticker(symbol)
        assert isinstance(day, DayView), "the symbol is listed"
        assert isinstance(book, BookTickerView), "the symbol is listed"
        return public.day_message(day, book, now_ns // unit, lambda ns: ns // unit, is_mini)


def kline_message(history: History, interval: str, now_ns: int, unit: int) -> dict[str, Any]:
    """`@kline_<interval>`: the candle of the last trade, of which there must be one."""
    rules = history.rules
    per_ms = 1_000_000 // unit
    candle = history.candles(interval, None, None, 1)[0]
    fields: dict[str, Any] = {"e": "kline", "E": now_ns // unit, "s": rules.symbol}
    fields["k"] = {
        "t": candle.open_ms * per_ms,
        "T": (candle.close_ms + 1) * per_ms - 1,
        "s": rules.symbol,
        "i": interval,
        "f": candle.first_trade_id,
        "L": candle.last_trade_id,
        "o": rules.price_text(candle.open_ticks),
        "c": rules.price_text(candle.close_ticks),
        "h": rules.price_text(candle.high_ticks),
        "l": rules.price_text(candle.low_ticks),
        "v": rules.quantity_text(candle.volume_lots),
        "n": candle.count,
        "x": now_ns // 1_000_000 > candle.close_ms,
        "q": amount_text(candle.quote_e8),
        "V": rules.quantity_text(candle.taker_buy_lots),
        "Q": amount_text(candle.taker_buy_quote_e8),
        "B": "0",
    }
    return fields
