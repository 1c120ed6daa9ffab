"""Binance Spot's market streams: which names there are, and which message goes out under each."""

from typing import Any, Final

import orjson

from reactor.sim.events import BookTickerView, DayView, DepthEvent, DepthView
from reactor.sim.faces import spot_public as public
from reactor.sim.faces.history import History
from reactor.sim.faces.market_streams import MarketStreams, StreamLine, is_candle
from reactor.sim.faces.streams import Streams, TopicPair
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore

LINE: Final = StreamLine(
    depth_names={100: "@100ms", 1000: ""},
    top_speeds=(100, 1000),
    trade=public.trade_message,
    aggregate=public.aggregate_message,
    book_ticker=public.book_ticker_message,
    depth=public.depth_message,
)


class SpotStreams(MarketStreams):
    """Spot knows no categories: every name may be listened to."""

    def __init__(self, core: VenueCore, streams: Streams, history: dict[str, History]) -> None:
        super().__init__(core, streams, history, LINE)

    def _publish_top(self, pair: TopicPair, event: DepthEvent, view: DepthView) -> None:
        pair.publish(lambda rows, unit: public.depth(rows, event.rules), view)

    def _is_periodic(self, symbol: str, kind: str) -> bool:
        if symbol in self._core.symbols:
            return kind in ("ticker", "miniTicker", "avgPrice") or is_candle(kind)
        return (symbol, kind) == ("!MINITICKER", "arr")

    def _encode_periodic(self, message: tuple[str, int], unit: int) -> bytes:
        name, now_ns = message
        symbol, _, kind = name.partition("@")
        if kind != "avgPrice":
            return super()._encode_periodic(message, unit)
        fields = {
            "e": "avgPrice",
            "E": now_ns // unit,
            "s": symbol.upper(),
            "i": "5m",
            "w": amount_text(self._core.average_price_e8(symbol.upper())),
            "T": now_ns // unit,
        }
        return orjson.dumps(fields)

    def _day(self, symbol: str, now_ns: int, unit: int, is_mini: bool) -> dict[str, Any]:
        day, book = self._core.day(symbol), self._core.book_ticker(symbol)
        assert isinstance(day, DayView), "the symbol is listed"
        assert isinstance(book, BookTickerView), "the symbol is listed"
        return public.day_message(day, book, now_ns // unit, lambda ns: ns // unit, is_mini)
