"""Orders that the market does not see: hftbacktest's exchange as a venue of the simulated exchange.

For comparing a backtest with the live path (backtest/parity.py), both must meet the same exchange. A ghost takes no liquidity
and stands in nobody's way, so the market is the same whoever trades in it:

- It fills whole: when the other side's best price reaches it, when a trade prints through it, when more is traded at its price
  than was displayed ahead of it. What is ahead never grows and is never more than what is displayed (the risk-averse queue).
- A taker gets everything at the best price.

`tape` hears what the venue's matching hears, in its order: the market as the exchange saw it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from reactor.sim.events import Order
from reactor.sim.market import SymbolMarket
from reactor.sim.matching import Desk, SymbolMatching

BUY: Final = "BUY"


@dataclass
class Tape:
    """Who listens."""

    on_trade: Callable[[int, int, int, bool], None] = field(default=lambda now_ns, ticks, lots, taker_sells: None)
    on_levels: Callable[[int, Iterable[tuple[int, int]], Iterable[tuple[int, int]]], None] = field(
        default=lambda now_ns, bids, asks: None
    )


class GhostMatching(SymbolMatching):
    """Takes the place of a venue's matching. See the module for the rules."""

    def __init__(self, market: SymbolMarket, desk: Desk, tape: Tape) -> None:
        super().__init__(market, desk)
        self._tape = tape
        self._resting: dict[int, Order] = {}  # by order id, oldest first

    def has_orders(self) -> bool:
        """Always: the tape wants to hear every change."""
        return True

    def orders(self) -> Iterable[Order]:
        """Everything that rests, oldest first."""
        return list(self._resting.values())

    def rest(self, order: Order) -> None:
        """Joins behind what is displayed."""
        side = self._market.bids if order.side == BUY else self._market.asks
        order.ahead_lots = side.levels.get(order.price_ticks, 0)
        self._resting[order.order_id] = order

    def remove(self, order: Order) -> None:
        """Takes it out."""
        del self._resting[order.order_id]

    def shrink(self, order: Order, quantity_lots: int) -> None:
        """A smaller quantity keeps its place."""
        order.quantity_lots = quantity_lots

    def would_take(self, side: str, price_ticks: int) -> bool:
        """Against strangers only."""
        market = self._market
        best = market.asks.best() if side == BUY else market.bids.best()
        return best != 0 and (best <= price_ticks if side == BUY else best >= price_ticks)

    def take(self, order: Order, limit_ticks: int | None, now_ns: int, quote_limit_e8: int = 0) -> None:
        """All of it at the best price, if that is within the limit."""
        is_buy = order.side == BUY
        best = self._market.asks.best() if is_buy else self._market.bids.best()
        lots = self._desk.executable_lots(order)
        if best == 0 or lots <= 0 or (limit_ticks is not None and (best > limit_ticks if is_buy else best < limit_ticks)):
            return
        self._desk.on_execution(order, best, lots, self._new_trade_id(), False, now_ns)

    def on_trade(self, ticks: int, lots: int, buyer_is_maker: bool, trade_ns: int, event_ns: int, now_ns: int) -> None:
        """Strangers traded; it is printed as it was."""
        self._market.trade(ticks, lots, buyer_is_maker, trade_ns, event_ns)
        self._tape.on_trade(now_ns, ticks, lots, buyer_is_maker)
        side, sign = (BUY, 1) if buyer_is_maker else ("SELL", -1)
        for order in list(self._resting.values()):
            if order.side != side:
                continue
            through = (order.price_ticks - ticks) * sign
            if through == 0:
                order.ahead_lots -= lots
            if through > 0 or (through == 0 and order.ahead_lots < 0):
                self._fill(order, now_ns)

    def on_levels(self, now_ns: int) -> None:
        """Strangers' levels changed."""
        market = self._market
        bids, asks = market.touched_bids, market.touched_asks
        if bids or asks:
            self._tape.on_levels(now_ns, bids.items(), asks.items())
        best_bid, best_ask = market.bids.best(), market.asks.best()
        for order in list(self._resting.values()):
            is_buy = order.side == BUY
            displayed = (bids if is_buy else asks).get(order.price_ticks)
            if displayed is not None:
                order.ahead_lots = min(order.ahead_lots, displayed)
            if best_ask != 0 and order.price_ticks >= best_ask if is_buy else best_bid != 0 and order.price_ticks <= best_bid:
                self._fill(order, now_ns)

    def _fill(self, order: Order, now_ns: int) -> None:
        lots = self._desk.executable_lots(order)
        self.remove(order)
        if lots <= 0:
            self._desk.on_expired(order, "4", now_ns)
        else:
            self._desk.on_execution(order, order.price_ticks, lots, self._new_trade_id(), True, now_ns)

    def _new_trade_id(self) -> int:
        """An id that no print has: ghosts are not printed."""
        market = self._market
        market.next_trade_id += 1
        return market.next_trade_id - 1
