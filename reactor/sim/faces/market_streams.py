"""Market streams as both product lines have them: names that follow the market, names with a period, cadences of depth.

    market events ──on_event──▶ topics of the symbol, encoded at most once
    time          ──on_time───▶ tickers and candles that somebody listens to; depth that nobody wants any more is switched off

What differs is a record (StreamLine) and a few methods of the line's own file: spot_streams, usdm_streams.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from reactor.sim.events import (
    AggregateTradeEvent,
    BookTickerEvent,
    DepthEvent,
    DepthView,
    Event,
    TradeEvent,
)
from reactor.sim.faces.history import INTERVALS_MS, History
from reactor.sim.faces.streams import Streams, TopicPair
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore

TOP_LEVELS: Final = (5, 10, 20)
SECOND_NS: Final = 1_000_000_000
REVIEW_NS: Final = 10 * SECOND_NS  # How long a depth cadence goes on after its last listener.

Encode = Callable[[Any, int], bytes]  # (event, ns per time unit)


@dataclass(frozen=True)
class StreamLine:
    """What a product line offers under which name."""

    depth_names: Mapping[int, str]  # cadence in ms → what follows "@depth"
    top_speeds: tuple[int, ...]  # cadences of "@depth5", "@depth10", "@depth20"
    trade: Encode
    aggregate: Encode
    book_ticker: Encode
    depth: Encode


class SymbolTopics:
    """The streams of one symbol that follow the market message by message."""

    def __init__(self, streams: Streams, symbol: str, line: StreamLine) -> None:
        name = symbol.lower()
        self.trade = TopicPair(streams, f"{name}@trade")
        self.aggregate = TopicPair(streams, f"{name}@aggTrade")
        self.book_ticker = TopicPair(streams, f"{name}@bookTicker")
        self.depth = {speed: TopicPair(streams, f"{name}@depth{suffix}") for speed, suffix in line.depth_names.items()}
        self.tops = {
            speed: [(count, TopicPair(streams, f"{name}@depth{count}{line.depth_names[speed]}")) for count in TOP_LEVELS]
            for speed in line.top_speeds
        }

    def is_depth_wanted(self, speed_ms: int) -> bool:
        """True while anybody hears depth of that cadence, or aggregate trades: the core closes them with the 100 ms depth."""
        if speed_ms == 100 and self.aggregate.wanted:
            return True
        return self.depth[speed_ms].wanted or any(pair.wanted for _, pair in self.tops.get(speed_ms, ()))


class MarketStreams:
    """Turns market events into stream messages, each encoded at most once."""

    def __init__(self, core: VenueCore, streams: Streams, history: dict[str, History], line: StreamLine) -> None:
        self._core = core
        self._streams = streams
        self._history = history
        self._line = line
        self._topics = {symbol: SymbolTopics(streams, symbol, line) for symbol in core.symbols}
        self._periodic: dict[str, TopicPair] = {}  # stream name → its topics, once somebody has asked
        self._closed: dict[str, int] = {}  # kline stream → open time of the candle whose end was told
        self._wanted = {(symbol, speed): True for symbol in core.symbols for speed in line.depth_names}
        self._second = 0
        self._next_review_ns = 0

    def serves(self, category: str, name: str) -> bool:
        """Whether a connection of that category ("" = unrouted) hears that stream. An unknown name may be listened to, and
        stays silent."""
        return True

    def on_wanted(self, name: str) -> None:
        """Somebody listens to this name."""
        symbol, _, kind = name.partition("@")
        symbol = symbol.upper()
        if kind.startswith("depth") or kind == "aggTrade":
            suffix = "@100ms" if kind == "aggTrade" else kind[kind.index("@") :] if "@" in kind else ""
            for speed, text in self._line.depth_names.items():
                if text == suffix and (symbol, speed) in self._wanted:
                    self._switch(symbol, speed, True)
        elif name not in self._periodic and self._is_periodic(symbol, kind):
            self._periodic[name] = TopicPair(self._streams, name)

    def on_event(self, event: Event) -> None:
        """One market event of the core."""
        line = self._line
        if type(event) is DepthEvent:
            self._on_depth(event)
        elif type(event) is BookTickerEvent:
            self._topics[event.rules.symbol].book_ticker.publish(line.book_ticker, event)
        elif type(event) is TradeEvent:
            self._history[event.rules.symbol].on_trade(event)
            self._topics[event.rules.symbol].trade.publish(line.trade, event)
        elif type(event) is AggregateTradeEvent:
            self._history[event.rules.symbol].aggregates.append(event)
            self._topics[event.rules.symbol].aggregate.publish(line.aggregate, event)
        else:
            self._on_other(event)

    def on_time(self, now_ns: int) -> None:
        """Call it every few milliseconds."""
        if now_ns // SECOND_NS == self._second:
            return
        self._second = now_ns // SECOND_NS
        self._publish_periodic(now_ns, lambda name: True)
        self._review(now_ns)

    def _publish_periodic(self, now_ns: int, is_due: Callable[[str], bool]) -> None:
        """Tickers and candles that somebody listens to; the others are forgotten."""
        for name, pair in list(self._periodic.items()):
            if not pair.wanted:
                del self._periodic[name]
            elif is_due(name) and self._has_news(name, now_ns):
                pair.publish(self._encode_periodic, (name, now_ns))

    def _review(self, now_ns: int) -> None:
        if now_ns < self._next_review_ns:
            return
        self._next_review_ns = now_ns + REVIEW_NS
        for symbol, speed in self._wanted:
            if not self._topics[symbol].is_depth_wanted(speed):
                self._switch(symbol, speed, False)

    def _switch(self, symbol: str, speed_ms: int, wanted: bool) -> None:
        if self._wanted[symbol, speed_ms] != wanted:
            self._wanted[symbol, speed_ms] = wanted
            self._core.want_depth(symbol, speed_ms, wanted)

    def _on_depth(self, event: DepthEvent) -> None:
        topics = self._topics[event.rules.symbol]
        if event.bids or event.asks:  # Nothing is sent when nothing changed.
            topics.depth[event.speed_ms].publish(self._line.depth, event)
        for count, pair in topics.tops.get(event.speed_ms, ()):
            if pair.wanted:
                view = self._core.depth(event.rules.symbol, count)
                if isinstance(view, DepthView):
                    self._publish_top(pair, event, view)

    def _has_news(self, name: str, now_ns: int) -> bool:
        """A candle is sent while it is open, and once more when it has closed; a ticker always."""
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
        if symbol in ("!ticker", "!miniTicker"):
            return orjson.dumps([self._day(row, now_ns, unit, symbol == "!miniTicker") for row in self._core.symbols])
        if kind.startswith("kline_"):
            return orjson.dumps(self._kline(symbol.upper(), kind.removeprefix("kline_"), now_ns, unit))
        return orjson.dumps(self._day(symbol.upper(), now_ns, unit, kind == "miniTicker"))

    def _kline(self, symbol: str, interval: str, now_ns: int, unit: int) -> dict[str, Any]:
        return kline_message(self._history[symbol], interval, now_ns, unit)

    # what a product line says for itself

    def _is_periodic(self, symbol: str, kind: str) -> bool:
        """Whether such a stream has a period of its own. `symbol` in capitals."""
        raise NotImplementedError

    def _publish_top(self, pair: TopicPair, event: DepthEvent, view: DepthView) -> None:
        """`@depth5/10/20`."""
        raise NotImplementedError

    def _day(self, symbol: str, now_ns: int, unit: int, is_mini: bool) -> dict[str, Any]:
        """`@ticker` and `@miniTicker`."""
        raise NotImplementedError

    def _on_other(self, event: Event) -> None:
        """An event that only this line has."""


def is_candle(kind: str) -> bool:
    """ "kline_1m" and the like."""
    return kind.startswith("kline_") and kind.removeprefix("kline_") in INTERVALS_MS


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
