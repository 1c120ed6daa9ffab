"""Binance USD-M's market streams: which names there are, on which path they speak, and which message goes out under each.

"A stream of the wrong category, or an unknown name, is acknowledged and then simply stays silent."
"""

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
    ForceOrderEvent,
    MarkPriceEvent,
    TradeEvent,
)
from reactor.sim.faces import usdm_public as public
from reactor.sim.faces.history import INTERVALS_MS, History
from reactor.sim.faces.spot_streams import kline_message
from reactor.sim.faces.streams import Streams, TopicPair
from reactor.sim.symbols import SymbolRules
from reactor.sim.venue import VenueCore

TOP_LEVELS: Final = (5, 10, 20)
SPEED_NAMES: Final = {0: "@0ms", 100: "@100ms", 250: "", 500: "@500ms"}
TOP_SPEEDS: Final = (100, 250, 500)
MARK_NAMES: Final = {3000: "", 1000: "@1s"}
PUBLIC_KINDS: Final = ("depth", "bookTicker", "trade", "rpiDepth")
SECOND_NS: Final = 1_000_000_000
KLINE_PERIOD_NS: Final = 250_000_000
ALL_BOOK_TICKERS_PERIOD_NS: Final = 5 * SECOND_NS


def category_of(name: str) -> str:
    """On which path a stream speaks: `public`, `market`, or `private` for what can only be a listen key."""
    _, at, kind = name.partition("@")
    if not at and not name.startswith("!"):
        return "private"
    if name == "!bookTicker" or kind.startswith(PUBLIC_KINDS):
        return "public"
    return "market"


class _SymbolTopics:
    """The streams of one symbol that follow the market message by message."""

    def __init__(self, streams: Streams, rules: SymbolRules) -> None:
        name = rules.symbol.lower()
        self.trade = TopicPair(streams, f"{name}@trade")
        self.aggregate = TopicPair(streams, f"{name}@aggTrade")
        self.book_ticker = TopicPair(streams, f"{name}@bookTicker")
        self.force_order = TopicPair(streams, f"{name}@forceOrder")
        self.mark = {interval: TopicPair(streams, f"{name}@markPrice{suffix}") for interval, suffix in MARK_NAMES.items()}
        self.depth = {speed: TopicPair(streams, f"{name}@depth{suffix}") for speed, suffix in SPEED_NAMES.items()}
        self.tops: dict[int, list[tuple[int, TopicPair]]] = {
            speed: [(count, TopicPair(streams, f"{name}@depth{count}{SPEED_NAMES[speed]}")) for count in TOP_LEVELS]
            for speed in TOP_SPEEDS
        }

    def is_depth_wanted(self, speed_ms: int) -> bool:
        """True while anybody hears depth of that cadence, or aggregate trades: the core closes them with the 100 ms depth."""
        if speed_ms == 100 and self.aggregate.wanted:
            return True
        return self.depth[speed_ms].wanted or any(pair.wanted for _, pair in self.tops.get(speed_ms, ()))


class UsdmStreams:
    """Turns market events into stream messages, each encoded at most once."""

    def __init__(self, core: VenueCore, streams: Streams, history: dict[str, History], unrouted_serves_all: bool) -> None:
        self._core = core
        self._streams = streams
        self._history = history
        self._unrouted_serves_all = unrouted_serves_all
        self._topics = {symbol: _SymbolTopics(streams, rules) for symbol, rules in core.symbols.items()}
        self._all_marks = {ms: TopicPair(streams, f"!markPrice@arr{suffix}") for ms, suffix in MARK_NAMES.items()}
        self._all_book_tickers = TopicPair(streams, "!bookTicker")
        self._all_force_orders = TopicPair(streams, "!forceOrder@arr")
        self._marks: dict[int, list[MarkPriceEvent]] = {interval: [] for interval in MARK_NAMES}
        self._periodic: dict[str, TopicPair] = {}
        self._closed: dict[str, int] = {}  # kline stream → open time of the candle whose end was told
        self._wanted = {(symbol, speed): True for symbol in core.symbols for speed in SPEED_NAMES}
        self._second = 0
        self._kline_period = 0
        self._book_ticker_period = 0
        self._next_review_ns = 0

    def serves(self, category: str, name: str) -> bool:
        """Whether a connection of that category ("" = unrouted) hears that stream.

        Unrouted paths behave as /public; listen keys are heard there too, for the sake of older clients.
        """
        wanted = category_of(name)
        if category == "":
            return self._unrouted_serves_all or wanted != "market"
        return category == wanted

    def on_wanted(self, name: str) -> None:
        """Somebody listens to this name."""
        symbol, _, kind = name.partition("@")
        symbol = symbol.upper()
        if kind.startswith("depth") or kind == "aggTrade":
            suffix = "@100ms" if kind == "aggTrade" else kind[kind.index("@") :] if "@" in kind else ""
            for speed, text in SPEED_NAMES.items():
                if text == suffix and (symbol, speed) in self._wanted:
                    self._switch(symbol, speed, True)
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
        elif type(event) is MarkPriceEvent:
            self._marks[event.interval_ms].append(event)
            self._topics[event.mark.rules.symbol].mark[event.interval_ms].publish(_mark, event)
        elif type(event) is ForceOrderEvent:
            self._topics[event.order.symbol].force_order.publish(public.force_order, event)
            self._all_force_orders.publish(public.force_order, event)

    def on_time(self, now_ns: int) -> None:
        """Arrays of mark prices, and what has a period of its own."""
        for interval, events in self._marks.items():
            if events:
                self._all_marks[interval].publish(_marks, events)
                self._marks[interval] = []
        if now_ns // KLINE_PERIOD_NS == self._kline_period:
            return
        self._kline_period = now_ns // KLINE_PERIOD_NS
        is_second = now_ns // SECOND_NS != self._second
        self._second = now_ns // SECOND_NS
        for name, pair in list(self._periodic.items()):
            if not pair.wanted:
                del self._periodic[name]
            elif "@kline_" in name:
                if self._has_news(name, now_ns):
                    pair.publish(self._encode_periodic, (name, now_ns))
            elif is_second:
                pair.publish(self._encode_periodic, (name, now_ns))
        if now_ns // ALL_BOOK_TICKERS_PERIOD_NS != self._book_ticker_period:
            self._book_ticker_period = now_ns // ALL_BOOK_TICKERS_PERIOD_NS
            self._publish_book_tickers(now_ns)
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
        if event.bids or event.asks:
            topics.depth[event.speed_ms].publish(public.depth_message, event)
        for count, pair in topics.tops.get(event.speed_ms, ()):
            if pair.wanted:
                view = self._core.depth(event.rules.symbol, count)
                if isinstance(view, DepthView):
                    pair.publish(_top, (event, view))

    def _publish_book_tickers(self, now_ns: int) -> None:
        if not self._all_book_tickers.wanted:
            return
        for symbol, rules in self._core.symbols.items():
            view = self._core.book_ticker(symbol)
            assert isinstance(view, BookTickerView), "the symbol is listed"
            event = BookTickerEvent(
                rules, view.update_id, view.bid_ticks, view.bid_lots, view.ask_ticks, view.ask_lots, view.time_ns, now_ns
            )
            self._all_book_tickers.publish(public.book_ticker_message, event)

    def _is_periodic(self, symbol: str, kind: str) -> bool:
        if symbol in self._core.symbols:
            return kind in ("ticker", "miniTicker") or (
                kind.startswith("kline_") and kind.removeprefix("kline_") in INTERVALS_MS and kind != "kline_1s"
            )
        return symbol in ("!TICKER", "!MINITICKER") and kind == "arr"

    def _has_news(self, name: str, now_ns: int) -> bool:
        """A candle is sent while it is open, and once more when it has closed."""
        symbol, _, kind = name.partition("@")
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
        if symbol in ("!ticker", "!miniTicker"):
            fields = [self._day(row, now_ns, unit, symbol == "!miniTicker") for row in self._core.symbols]
        elif kind.startswith("kline_"):
            fields = kline_message(self._history[symbol.upper()], kind.removeprefix("kline_"), now_ns, unit)
            fields |= {"st": public.USDM, "ps": symbol.upper()}
        else:
            fields = self._day(symbol.upper(), now_ns, unit, kind == "miniTicker")
        return orjson.dumps(fields)

    def _day(self, symbol: str, now_ns: int, unit: int, is_mini: bool) -> dict[str, Any]:
        day = self._core.day(symbol)
        assert isinstance(day, DayView), "the symbol is listed"
        return public.day_message(day, now_ns // unit, lambda ns: ns // unit, is_mini)


def _mark(event: MarkPriceEvent, unit: int) -> bytes:
    return orjson.dumps(public.mark_price(event.mark, event.event_ns, unit))


def _marks(events: list[MarkPriceEvent], unit: int) -> bytes:
    return orjson.dumps([public.mark_price(event.mark, event.event_ns, unit) for event in events])


def _top(message: tuple[DepthEvent, DepthView], unit: int) -> bytes:
    event, view = message
    return public.top_message(event, view, unit)
