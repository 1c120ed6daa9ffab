"""A strategy that is any Python object, on the same machine: only its decide() is interpreted.

It sees what it would see live: a StrategyView whose book, top, trades and position answer as the live ones do. Of its
responses it hears nothing: positions come with the view, as they do for strategies that are one function.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reactor.backtest import compiled
from reactor.backtest.machine import ASK, ASK_LOTS, BID, BID_LOTS, MORE, NOW, POSITION, Machine
from reactor.domain import messages
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument
from reactor.domain.messages import Side
from reactor.factors.kernels import array_of, integer_rows
from reactor.market.trades import TRADES_KEPT, Trade, Trades
from reactor.strategies.strategy import (
    HALT,
    KEEP,
    WISH_QUOTE,
    WISH_REDUCE,
    WISHES_MAX,
    Strategy,
    StrategyView,
    Wanted,
    Wishes,
)

LOOKS_PER_CALL = 1_000
BUY: int = Side.BUY
BUY_EVENT = np.uint64(1 << 29)


class PastBook:
    """hftbacktest's book with the questions of market/book.py."""

    def __init__(self, bids: Any, asks: Any, lower_ticks: int, lots_per_unit: float) -> None:
        self._bids, self._asks = bids, asks  # quantity at every tick from lower_ticks on
        self._lower = lower_ticks
        self._scale = lots_per_unit
        self.bid = (0, 0)  # (ticks, lots); written before every question
        self.ask = (0, 0)

    def best_bid(self) -> tuple[int, int]:
        """(price_ticks, quantity_lots)."""
        return self.bid

    def best_ask(self) -> tuple[int, int]:
        """(price_ticks, quantity_lots)."""
        return self.ask

    def is_crossed(self) -> bool:
        """Never: nobody is asked about a crossed book."""
        return False

    def quantity(self, side: int, price_ticks: int) -> int:
        """Lots at a price."""
        best = self.bid[0] if side == BUY else self.ask[0]
        place = price_ticks - self._lower
        if (best - price_ticks) * side < 0 or not 0 <= place < len(self._bids):
            return 0  # Beyond the touch only leftovers stand.
        return round(float((self._bids if side == BUY else self._asks)[place]) * self._scale)

    def quantity_within(self, side: int, limit_ticks: int) -> int:
        """Lots from the best level up to and including a limit price."""
        quantities = self._side(side, limit_ticks)
        return round(float(quantities.sum()) * self._scale)

    def count(self, side: int) -> int:
        """How many levels a side has."""
        return int(np.count_nonzero(self._side(side, None)))

    def levels(self, side: int, count_max: int) -> list[tuple[int, int]]:
        """The best levels of a side, best first."""
        quantities = self._side(side, None)
        best = self.bid[0] if side == BUY else self.ask[0]
        places = np.flatnonzero(quantities)[:count_max]
        return [(best - side * int(place), round(float(quantities[place]) * self._scale)) for place in places]

    def price_for(self, side: int, quantity_lots: int) -> int:
        """The price at which so many lots are reached; 0 if the side has not so much."""
        reached = np.cumsum(np.round(self._side(side, None) * self._scale))
        place = int(np.searchsorted(reached, quantity_lots))
        best = self.bid[0] if side == BUY else self.ask[0]
        return best - side * place if place < len(reached) else 0

    def _side(self, side: int, limit_ticks: int | None) -> Any:
        """Quantities from the best price on, outwards."""
        if side == BUY:
            first = 0 if limit_ticks is None else max(limit_ticks - self._lower, 0)
            return self._bids[first : max(self.bid[0] - self._lower + 1, 0)][::-1]
        last = len(self._asks) - 1 if limit_ticks is None else limit_ticks - self._lower
        return self._asks[max(self.ask[0] - self._lower, 0) : max(last + 1, 0)]


class PlainRun:
    """Several strategies, asked one by one."""

    def __init__(self, strategies: Sequence[Strategy], instruments: Sequence[Instrument], lowers: Sequence[int]) -> None:
        self._strategies = strategies
        self._instruments = instruments
        self._lowers = lowers
        self._views: list[StrategyView] = []
        self._rows = integer_rows(WISHES_MAX, 3)
        self._wishes = array_of(self._rows)
        self._owned: list[Any] = []

    def warm(self, hbt: Any, m: Machine) -> None:
        """Compiles what will be called."""
        here = (compiled.type_of(hbt), compiled.type_of(m))
        number = compiled.type_of(0)
        with compiled.interruptible():
            compiled.warm_steps(hbt, m)
            compiled.step_wait.compile(here)
            compiled.step_look.compile((*here, number))
            compiled.step_send.compile((*here, number, number, compiled.type_of(self._wishes)))

    def steps(self, hbt: Any, m: Machine) -> int:
        """Up to LOOKS_PER_CALL looks. Returns END, FULL, MORE, TOO_MANY or REFUSED.

        Raises:
            ConfigError: the strategy failed; the sentence says with what and when.
        """
        if not self._views:
            self._views = [self._view(hbt, m, asset) for asset in range(len(self._strategies))]
        for _ in range(LOOKS_PER_CALL):
            asset = compiled.step_wait(hbt, m)
            if asset < 0:
                return int(asset)
            taped = compiled.step_trades(hbt, asset)
            if not compiled.step_look(hbt, m, asset):
                continue
            now_ns = int(m.looks[asset, NOW])
            self._show(m, asset, taped)
            code = compiled.step_send(hbt, m, asset, self._ask(asset, now_ns), self._wishes)
            if code:
                return int(code)
        return MORE

    def _view(self, hbt: Any, m: Machine, asset: int) -> StrategyView:
        top, position = messages.new("book_top"), messages.new("position")
        self._owned += [top, position]
        bids, asks = compiled.step_sides(hbt, asset)
        book: Any = PastBook(bids, asks, self._lowers[asset], float(m.scales[asset, 2]))
        top.is_synchronised = 1
        return StrategyView(self._instruments[asset], book, Trades(TRADES_KEPT), top, position)

    def _show(self, m: Machine, asset: int, taped: Any) -> None:
        view, clock = self._views[asset], m.clock[asset].tolist()
        top, book = view.top, view.book
        top.bid_ticks, top.bid_lots, top.ask_ticks, top.ask_lots = clock[BID], clock[BID_LOTS], clock[ASK], clock[ASK_LOTS]
        top.receive_ns = int(m.looks[asset, NOW])
        book.bid, book.ask = (clock[BID], clock[BID_LOTS]), (clock[ASK], clock[ASK_LOTS])  # type: ignore[attr-defined]
        view.position.position_lots = int(m.looks[asset, POSITION])
        tick, _, scale = m.scales[asset].tolist()
        for trade in taped:
            lots = round(float(trade["qty"]) * scale)
            signed = lots if trade["ev"] & BUY_EVENT else -lots
            ticks = round(float(trade["px"]) / tick)
            view.trades.append(Trade(view.trades.last_id + 1, ticks, signed, int(trade["exch_ts"]), int(trade["local_ts"])))
            top.last_trade_ticks, top.last_trade_lots = ticks, signed

    def _ask(self, asset: int, now_ns: int) -> int:
        """Asks and writes the wishes as a kernel would. Returns their number, KEEP or HALT."""
        strategy = self._strategies[asset]
        try:
            wanted: Wanted = strategy.decide(self._views[asset], now_ns)
            if wanted is None:
                return KEEP
            wishes = wanted if isinstance(wanted, Wishes) else Wishes(wanted)
            return self._write(wishes)
        except Exception as error:
            raise ConfigError(f"strategy {strategy.name} failed at {now_ns} ns: {type(error).__name__}: {error}") from error

    def _write(self, wishes: Wishes) -> int:
        if wishes.is_halt:
            return HALT
        if wishes.cancels:
            raise ValueError("a backtest knows no order ids: want another grid instead of single cancels")
        if wishes.quotes is None:
            if wishes.orders:
                raise ValueError("single orders beside a grid that stands: say the grid again")
            return KEEP
        rows = [(each.price_ticks, each.quantity_lots, WISH_QUOTE) for each in wishes.quotes]
        for order in wishes.orders:
            if not order.is_reduce_only:
                raise ValueError("a backtest takes single orders that only reduce (is_reduce_only)")
            rows.append((order.price_ticks, order.quantity_lots, WISH_REDUCE))
        if len(rows) > WISHES_MAX:
            raise ValueError(f"{len(rows)} wishes at once; at most {WISHES_MAX}")
        if rows:
            self._wishes[: len(rows)] = rows
        return len(rows)
