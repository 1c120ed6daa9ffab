"""What anybody may ask Binance Spot: symbols, books, trades, candles, tickers."""

from typing import Any

import orjson

from reactor.sim.events import (
    BookTickerView,
    DayView,
    Refusal,
)
from reactor.sim.faces import spot_public as public
from reactor.sim.faces.api import Call, Endpoint, by_symbol
from reactor.sim.faces.history import History
from reactor.sim.faces.limits import (
    RateLimits,
)
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import Params
from reactor.sim.faces.spot_info import exchange_info, known_symbol, symbol_list
from reactor.sim.symbols import amount_text
from reactor.sim.venue import VenueCore


def depth_weight(params: Params) -> int:
    """≤100: 5, ≤500: 25, ≤1000: 50, ≤5000: 250."""
    text = params.values.get("limit", "100")
    limit = int(text) if text.isdigit() else 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


class SpotMarket:
    """The public questions. `endpoints()` is keyed by verb and path below /api/v3/."""

    def __init__(self, core: VenueCore, history: dict[str, History], limits: RateLimits) -> None:
        self.core = core
        self.history = history
        self.limits = limits
        self._info = b""  # exchangeInfo of everything, rendered once

    def endpoints(self) -> dict[str, Endpoint]:
        """Everything that needs no signature."""
        return {
            "GET ping": Endpoint(lambda call: {}),
            "GET time": Endpoint(lambda call: {"serverTime": call.time(call.now_ns)}),
            "GET exchangeInfo": Endpoint(self._exchange_info, 20),
            "GET depth": Endpoint(self._depth, depth_weight),
            "GET trades": Endpoint(self._trades, 25),
            "GET historicalTrades": Endpoint(self._historical_trades, 25),
            "GET aggTrades": Endpoint(self._aggregate_trades, 4),
            "GET klines": Endpoint(self._klines, 2),
            "GET uiKlines": Endpoint(self._klines, 2),
            "GET avgPrice": Endpoint(self._average_price, 2),
            "GET ticker/24hr": Endpoint(self._day, by_symbol(2, 80)),
            "GET ticker/tradingDay": Endpoint(self._day, 4),
            "GET ticker": Endpoint(self._day, 4),
            "GET ticker/price": Endpoint(self._price, by_symbol(2, 4)),
            "GET ticker/bookTicker": Endpoint(self._book_ticker, by_symbol(2, 4)),
        }

    def _exchange_info(self, call: Call) -> Any:
        if not call.params.values:  # The usual question: rendered once, only the time changes.
            if not self._info:
                self._info = orjson.dumps(exchange_info(call.params, self.core.symbols, self.limits.rows(), 0))
            return self._info.replace(b'"serverTime":0', b'"serverTime":%d' % call.time(call.now_ns), 1)
        return exchange_info(call.params, self.core.symbols, self.limits.rows(), call.time(call.now_ns))

    def _symbol(self, call: Call) -> str:
        return known_symbol(call.params.text("symbol"), self.core.symbols).symbol

    def _depth(self, call: Call) -> Any:
        symbol = self._symbol(call)
        view = self.core.depth(symbol, call.params.limit(100, 5000))
        if isinstance(view, Refusal):
            return view
        return public.depth(view, self.core.symbols[symbol])

    def _trades(self, call: Call) -> Any:
        symbol = self._symbol(call)
        rows = self.core.recent_trades(symbol, call.params.limit(500, 1000))
        if isinstance(rows, Refusal):
            return rows
        rules = self.core.symbols[symbol]
        return [public.public_trade(row, rules, call.time) for row in rows]

    def _historical_trades(self, call: Call) -> Any:
        if "fromId" not in call.params:
            return self._trades(call)
        symbol = self._symbol(call)
        from_id = call.params.integer("fromId")
        rows = self.core.recent_trades(symbol, 1000)
        if isinstance(rows, Refusal):
            return rows
        rules = self.core.symbols[symbol]
        chosen = [row for row in rows if row.trade_id >= from_id][: call.params.limit(500, 1000)]
        return [public.public_trade(row, rules, call.time) for row in chosen]

    def _aggregate_trades(self, call: Call) -> Any:
        history = self.history[self._symbol(call)]
        params = call.params
        rows = history.aggregates_between(
            params.integer("fromId") if "fromId" in params else None,
            params.time_ms("startTime"),
            params.time_ms("endTime"),
            call.params.limit(500, 1000),
        )
        return [public.aggregate_row(row, call.time) for row in rows]

    def _klines(self, call: Call) -> Any:
        history = self.history[self._symbol(call)]
        params = call.params
        candles = history.candles(
            params.text("interval"), params.time_ms("startTime"), params.time_ms("endTime"), call.params.limit(500, 1000)
        )
        unit = 1000 if call.is_microsecond else 1
        return [candle.row(history.rules, unit) for candle in candles]

    def _average_price(self, call: Call) -> Any:
        symbol = self._symbol(call)
        return {
            "mins": 5,
            "price": amount_text(self.core.average_price_e8(symbol)),
            "closeTime": call.time(call.now_ns),
        }

    def _one_or_all(self, call: Call, render_symbol: Any) -> Any:
        """One object for `symbol`, an array for `symbols` or nothing."""
        chosen = symbol_list(call.params, self.core.symbols)
        if chosen is not None and "symbol" in call.params:
            return render_symbol(chosen[0].symbol)
        rows = list(self.core.symbols.values()) if chosen is None else chosen
        return [render_symbol(rules.symbol) for rules in rows]

    def _day(self, call: Call) -> Any:
        kind = call.params.optional("type", "FULL")
        if kind not in ("FULL", "MINI"):
            raise VenueError(-1130, "Data sent for parameter 'type' is not valid.")

        def row(symbol: str) -> dict[str, Any]:
            day, book = self.core.day(symbol), self.core.book_ticker(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            assert isinstance(book, BookTickerView), "the symbol is listed"
            return public.day_row(day, book, call.time, kind == "MINI")

        return self._one_or_all(call, row)

    def _price(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, str]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return {"symbol": symbol, "price": day.rules.price_text(day.last_ticks)}

        return self._one_or_all(call, row)

    def _book_ticker(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            view = self.core.book_ticker(symbol)
            assert isinstance(view, BookTickerView), "the symbol is listed"
            return public.book_ticker_row(view)

        return self._one_or_all(call, row)
