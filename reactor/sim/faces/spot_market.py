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
from reactor.sim.faces.market_questions import MarketQuestions
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import Params
from reactor.sim.faces.spot_info import exchange_info, known_symbol, symbol_list
from reactor.sim.symbols import SymbolRules, amount_text


def depth_weight(params: Params) -> int:
    """≤100: 5, ≤500: 25, ≤1000: 50, ≤5000: 250."""
    text = params.values.get("limit", "100")
    limit = int(text) if text.isdigit() else 100
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


class SpotMarket(MarketQuestions):
    """The public questions. `endpoints()` is keyed by verb and path below /api/v3/."""

    has_microseconds = True
    trade_row = staticmethod(public.public_trade)
    aggregate_row = staticmethod(public.aggregate_row)
    _info = b""  # exchangeInfo of everything, rendered once

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

    def _rules(self, call: Call) -> SymbolRules:
        return known_symbol(call.params.text("symbol"), self.core.symbols)

    def _depth(self, call: Call) -> Any:
        rules = self._rules(call)
        view = self.core.depth(rules.symbol, call.params.limit(100, 5000))
        return view if isinstance(view, Refusal) else public.depth(view, rules)

    def _average_price(self, call: Call) -> Any:
        symbol = self._rules(call).symbol
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
