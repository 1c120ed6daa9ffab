"""What anybody may ask Binance USD-M: symbols, books, trades, candles, marks, funding."""

from typing import Any, Final

import orjson

from reactor.sim.events import (
    BookTickerView,
    DayView,
    MarkPrice,
    Refusal,
)
from reactor.sim.faces import usdm_public as public
from reactor.sim.faces.api import Call, Endpoint, Security, by_symbol
from reactor.sim.faces.market_questions import MarketQuestions
from reactor.sim.faces.refusal import INVALID_SYMBOL, VenueError
from reactor.sim.faces.request import Params
from reactor.sim.faces.usdm_info import exchange_info
from reactor.sim.symbols import SymbolRules
from reactor.sim.venue import VenueCore

DEPTH_LIMITS: Final = (5, 10, 20, 50, 100, 500, 1000)
_KEY: Final = Security.KEY


def depth_weight(params: Params) -> int:
    """5–50: 2, 100: 5, 500: 10, 1000: 20."""
    text = params.values.get("limit", "500")
    limit = int(text) if text.isdigit() else 500
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def known_symbol(call: Call, core: VenueCore) -> SymbolRules:
    """The rules of `symbol` (or `pair`); -1121 if it is not listed."""
    rules = core.symbols.get(call.params.text("pair" if "pair" in call.params else "symbol"))
    if rules is None:
        raise VenueError(*INVALID_SYMBOL)
    return rules


class UsdmMarket(MarketQuestions):
    """The public questions. `endpoints()` is keyed by verb and path below /fapi/."""

    klines_max = 1500
    trade_row = staticmethod(public.public_trade)
    aggregate_row = staticmethod(public.aggregate_row)
    _info = b""  # exchangeInfo, rendered once

    def endpoints(self) -> dict[str, Endpoint]:
        """Everything that needs no signature."""
        return {
            "GET v1/ping": Endpoint(lambda call: {}),
            "GET v1/time": Endpoint(lambda call: {"serverTime": call.time(call.now_ns)}),
            "GET v1/exchangeInfo": Endpoint(self._exchange_info),
            "GET v1/depth": Endpoint(self._depth, depth_weight),
            "GET v1/trades": Endpoint(self._trades, 5),
            "GET v1/historicalTrades": Endpoint(self._historical_trades, 20, _KEY),
            "GET v1/aggTrades": Endpoint(self._aggregate_trades, 20),
            "GET v1/klines": Endpoint(self._klines, 5),
            "GET v1/continuousKlines": Endpoint(self._klines, 5),
            "GET v1/ticker/24hr": Endpoint(self._day, by_symbol(1, 40)),
            "GET v1/ticker/price": Endpoint(self._price, by_symbol(1, 2)),
            "GET v2/ticker/price": Endpoint(self._price, by_symbol(1, 2)),
            "GET v1/ticker/bookTicker": Endpoint(self._book_ticker, by_symbol(2, 5)),
            "GET v1/premiumIndex": Endpoint(self._premium_index, by_symbol(1, 10)),
            "GET v1/fundingRate": Endpoint(self._funding_rate),
            "GET v1/fundingInfo": Endpoint(lambda call: [], 0),
            "GET v1/openInterest": Endpoint(self._open_interest),
        }

    def coin_margined(self) -> dict[tuple[str, str], Endpoint]:
        """COIN-M is not simulated, but clients that load every product at the start get an empty list."""
        return {
            ("GET", "/dapi/v1/exchangeInfo"): Endpoint(self._no_coin_margined),
            ("GET", "/dapi/v1/ping"): Endpoint(lambda call: {}),
        }

    def _exchange_info(self, call: Call) -> Any:
        if not self._info:
            self._info = orjson.dumps(exchange_info(self.core.symbols, self.limits.rows(), 0))
        return self._info.replace(b'"serverTime":0', b'"serverTime":%d' % call.time(call.now_ns), 1)

    def _rules(self, call: Call) -> SymbolRules:
        return known_symbol(call, self.core)

    def _one_or_all(self, call: Call, render_symbol: Any) -> Any:
        if "symbol" in call.params:
            return render_symbol(self._rules(call).symbol)
        return [render_symbol(symbol) for symbol in self.core.symbols]

    def _depth(self, call: Call) -> Any:
        rules = self._rules(call)
        limit = call.params.optional_integer("limit", 500)
        if limit not in DEPTH_LIMITS:
            raise VenueError(-4021, f"{limit} is not valid depth limit.")
        view = self.core.depth(rules.symbol, limit)
        if isinstance(view, Refusal):
            return view
        return public.depth(view, rules, call.time(call.now_ns), call.time(view.transaction_ns))

    def _day(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return public.day_row(day, call.time)

        return self._one_or_all(call, row)

    def _price(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            day = self.core.day(symbol)
            assert isinstance(day, DayView), "the symbol is listed"
            return {"symbol": symbol, "price": day.rules.price_text(day.last_ticks), "time": call.time(day.close_ns)}

        return self._one_or_all(call, row)

    def _book_ticker(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            view = self.core.book_ticker(symbol)
            assert isinstance(view, BookTickerView), "the symbol is listed"
            return public.book_ticker_row(view, call.time)

        return self._one_or_all(call, row)

    def _premium_index(self, call: Call) -> Any:
        def row(symbol: str) -> dict[str, Any]:
            mark = self.core.mark_price(symbol)
            assert isinstance(mark, MarkPrice), "the symbol is listed"
            return public.premium_index(mark, call.time)

        return self._one_or_all(call, row)

    def _funding_rate(self, call: Call) -> Any:
        symbol = self._rules(call).symbol if "symbol" in call.params else None
        return [public.funding_rate(row, call.time) for row in self.core.funding_history(symbol, call.params.values)]

    def _open_interest(self, call: Call) -> Any:
        rules = self._rules(call)
        return {"openInterest": rules.quantity_text(0), "symbol": rules.symbol, "time": call.time(call.now_ns)}

    def _no_coin_margined(self, call: Call) -> Any:
        return {**exchange_info({}, self.limits.rows(), call.time(call.now_ns)), "futuresType": "COIN_MARGINED"}
