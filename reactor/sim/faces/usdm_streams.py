"""Binance USD-M's market streams: which names there are, on which path they speak, and which message goes out under each.

"A stream of the wrong category, or an unknown name, is acknowledged and then simply stays silent."
"""

from typing import Any, Final

import orjson

from reactor.sim.events import (
    BookTickerEvent,
    BookTickerView,
    DayView,
    DepthEvent,
    DepthView,
    Event,
    ForceOrderEvent,
    MarkPriceEvent,
)
from reactor.sim.faces import usdm_public as public
from reactor.sim.faces.history import History
from reactor.sim.faces.market_streams import SECOND_NS, MarketStreams, StreamLine, is_candle
from reactor.sim.faces.streams import Streams, TopicPair
from reactor.sim.venue import VenueCore

LINE: Final = StreamLine(
    depth_names={0: "@0ms", 100: "@100ms", 250: "", 500: "@500ms"},
    top_speeds=(100, 250, 500),
    trade=public.trade_message,
    aggregate=public.aggregate_message,
    book_ticker=public.book_ticker_message,
    depth=public.depth_message,
)
MARK_NAMES: Final = {3000: "", 1000: "@1s"}
PUBLIC_KINDS: Final = ("depth", "bookTicker", "trade", "rpiDepth")
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


class UsdmStreams(MarketStreams):
    """With marks, liquidations and categories."""

    def __init__(self, core: VenueCore, streams: Streams, history: dict[str, History], unrouted_serves_all: bool) -> None:
        super().__init__(core, streams, history, LINE)
        self._unrouted_serves_all = unrouted_serves_all
        names = {symbol: symbol.lower() for symbol in core.symbols}
        self._force_orders = {symbol: TopicPair(streams, f"{name}@forceOrder") for symbol, name in names.items()}
        self._symbol_marks = {
            (symbol, interval): TopicPair(streams, f"{name}@markPrice{suffix}")
            for symbol, name in names.items()
            for interval, suffix in MARK_NAMES.items()
        }
        self._all_marks = {ms: TopicPair(streams, f"!markPrice@arr{suffix}") for ms, suffix in MARK_NAMES.items()}
        self._all_book_tickers = TopicPair(streams, "!bookTicker")
        self._all_force_orders = TopicPair(streams, "!forceOrder@arr")
        self._marks: dict[int, list[MarkPriceEvent]] = {interval: [] for interval in MARK_NAMES}
        self._kline_period = 0
        self._book_ticker_period = 0

    def serves(self, category: str, name: str) -> bool:
        """Unrouted paths behave as /public; listen keys are heard there too, for the sake of older clients."""
        wanted = category_of(name)
        if category == "":
            return self._unrouted_serves_all or wanted != "market"
        return category == wanted

    def on_time(self, now_ns: int) -> None:
        """Arrays of mark prices at once; candles four times a second; the rest once a second."""
        for interval, events in self._marks.items():
            if events:
                self._all_marks[interval].publish(_marks, events)
                self._marks[interval] = []
        if now_ns // KLINE_PERIOD_NS == self._kline_period:
            return
        self._kline_period = now_ns // KLINE_PERIOD_NS
        is_second = now_ns // SECOND_NS != self._second
        self._second = now_ns // SECOND_NS
        self._publish_periodic(now_ns, lambda name: is_second or "@kline_" in name)
        if now_ns // ALL_BOOK_TICKERS_PERIOD_NS != self._book_ticker_period:
            self._book_ticker_period = now_ns // ALL_BOOK_TICKERS_PERIOD_NS
            self._publish_book_tickers(now_ns)
        self._review(now_ns)

    def _on_other(self, event: Event) -> None:
        if type(event) is MarkPriceEvent:
            self._marks[event.interval_ms].append(event)
            self._symbol_marks[event.mark.rules.symbol, event.interval_ms].publish(_mark, event)
        elif type(event) is ForceOrderEvent:
            self._force_orders[event.order.symbol].publish(public.force_order, event)
            self._all_force_orders.publish(public.force_order, event)

    def _publish_top(self, pair: TopicPair, event: DepthEvent, view: DepthView) -> None:
        pair.publish(lambda rows, unit: public.top_message(event, rows, unit), view)

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
            return kind in ("ticker", "miniTicker") or (is_candle(kind) and kind != "kline_1s")
        return symbol in ("!TICKER", "!MINITICKER") and kind == "arr"

    def _kline(self, symbol: str, interval: str, now_ns: int, unit: int) -> dict[str, Any]:
        return {**super()._kline(symbol, interval, now_ns, unit), "st": public.USDM, "ps": symbol}

    def _day(self, symbol: str, now_ns: int, unit: int, is_mini: bool) -> dict[str, Any]:
        day = self._core.day(symbol)
        assert isinstance(day, DayView), "the symbol is listed"
        return public.day_message(day, now_ns // unit, lambda ns: ns // unit, is_mini)


def _mark(event: MarkPriceEvent, unit: int) -> bytes:
    return orjson.dumps(public.mark_price(event.mark, event.event_ns, unit))


def _marks(events: list[MarkPriceEvent], unit: int) -> bytes:
    return orjson.dumps([public.mark_price(event.mark, event.event_ns, unit) for event in events])
