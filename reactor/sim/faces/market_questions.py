"""What anybody may ask both product lines in the same way: trades, aggregate trades, candles."""

from collections.abc import Callable, Sequence
from typing import Any

from reactor.sim.events import AggregateTradeEvent, PublicTrade, Refusal
from reactor.sim.faces.api import Call
from reactor.sim.faces.history import History
from reactor.sim.faces.limits import RateLimits
from reactor.sim.faces.public import Time
from reactor.sim.symbols import SymbolRules
from reactor.sim.venue import VenueCore

ROWS: int = 500  # "default 500, max 1000"
ROWS_MAX: int = 1000


class MarketQuestions:
    """The answers that differ in their rows only."""

    klines_max = ROWS_MAX
    has_microseconds = False  # of candle times

    def __init__(self, core: VenueCore, history: dict[str, History], limits: RateLimits) -> None:
        self.core = core
        self.history = history
        self.limits = limits

    # what a product line says for itself

    def _rules(self, call: Call) -> SymbolRules:
        """The symbol that is asked for; refuses an unknown one."""
        raise NotImplementedError

    trade_row: Callable[[PublicTrade, SymbolRules, Time], dict[str, Any]]
    aggregate_row: Callable[[AggregateTradeEvent, Time], dict[str, Any]]

    # the questions

    def _recent(self, call: Call, rules: SymbolRules, count: int) -> Sequence[PublicTrade]:
        rows = self.core.recent_trades(rules.symbol, count)
        assert not isinstance(rows, Refusal), "the symbol is listed"
        return rows

    def _trades(self, call: Call) -> Any:
        """GET trades: the newest ones."""
        rules = self._rules(call)
        rows = self._recent(call, rules, call.params.limit(ROWS, ROWS_MAX))
        return [self.trade_row(row, rules, call.time) for row in rows]

    def _historical_trades(self, call: Call) -> Any:
        """GET historicalTrades: from an id on, as far as we remember."""
        if "fromId" not in call.params:
            return self._trades(call)
        rules = self._rules(call)
        from_id, limit = call.params.integer("fromId"), call.params.limit(ROWS, ROWS_MAX)
        rows = [row for row in self._recent(call, rules, ROWS_MAX) if row.trade_id >= from_id]
        return [self.trade_row(row, rules, call.time) for row in rows[:limit]]

    def _aggregate_trades(self, call: Call) -> Any:
        params = call.params
        rows = self.history[self._rules(call).symbol].aggregates_between(
            params.integer("fromId") if "fromId" in params else None,
            params.time_ms("startTime"),
            params.time_ms("endTime"),
            params.limit(ROWS, ROWS_MAX),
        )
        return [self.aggregate_row(row, call.time) for row in rows]

    def _klines(self, call: Call) -> Any:
        history, params = self.history[self._rules(call).symbol], call.params
        candles = history.candles(
            params.text("interval"), params.time_ms("startTime"), params.time_ms("endTime"), params.limit(ROWS, self.klines_max)
        )
        unit = 1000 if self.has_microseconds and call.is_microsecond else 1
        return [candle.row(history.rules, unit) for candle in candles]
