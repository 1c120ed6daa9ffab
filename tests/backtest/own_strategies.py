"""Strategies of a user's own, for the tests: plain Python objects and a kernel."""

from typing import Any, NamedTuple

from reactor.domain.messages import Side
from reactor.factors.imbalance import BUY, SELL, depth_lots
from reactor.factors.kernels import integers
from reactor.strategies.strategy import (
    HALT,
    KEEP,
    WISH_QUOTE,
    WISH_REDUCE,
    KernelStrategy,
    MarketView,
    Quote,
    Scale,
    SingleOrder,
    StrategyView,
    Wanted,
    Wishes,
    want,
)


class AtTheTouch:
    """One lot on each side at the touch, while the position is small; plain Python."""

    name = "at-the-touch"

    def __init__(self, instrument_index: int, scale: Scale, lots: int = 1, interval_ms: int = 100) -> None:
        self.instrument_index = instrument_index
        self.update_interval_ms = interval_ms
        self.lots = lots
        self.seen: list[tuple[Any, ...]] = []

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        bid, ask = view.book.best_bid(), view.book.best_ask()
        bought, sold = view.trades.volume_since(0)
        within = view.book.quantity_within(Side.BUY, bid[0]), view.book.quantity_within(Side.SELL, ask[0])
        levels = view.book.levels(Side.BUY, 3), view.book.levels(Side.SELL, 3)
        deep = view.book.price_for(Side.BUY, bid[1]), view.book.price_for(Side.SELL, ask[1] + 1)
        self.seen.append((bid, ask, within, levels, deep, bought + sold, view.position.position_lots, view.top.bid_ticks))
        return [Quote(bid[0], self.lots), Quote(ask[0], -self.lots)]

    def on_response(self, response: Any, now_ns: int) -> None:
        """Nothing."""


class Story:
    """Does what a list says, decision by decision; then keeps what stands."""

    name = "story"
    update_interval_ms = 100

    def __init__(self, instrument_index: int, scale: Scale, wishes: tuple[Any, ...] = ()) -> None:
        self.instrument_index = instrument_index
        self.wishes = list(wishes)
        self.asked = 0

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        wish = self.wishes[self.asked] if self.asked < len(self.wishes) else None
        self.asked += 1
        return wish(view) if callable(wish) else wish  # type: ignore[no-any-return]

    def on_response(self, response: Any, now_ns: int) -> None:
        """Nothing."""


class Failing(Story):
    """Divides by zero."""

    name = "failing"

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        return [Quote(1 // 0, 1)]


class Numbers(NamedTuple):
    """Constants of the kernel below."""

    lots: int
    keeps_every: int


class Memory(NamedTuple):
    """Its memory."""

    counts: Any


def lean_rule(bids: int, asks: int) -> int:
    """A plain function of the same module: compiled with the kernel."""
    return 1 if bids > asks else -1


def follow(market: MarketView, now_ns: int, p: Numbers, memory: Memory, wishes: Any) -> int:
    """Quotes where the book is thicker and the takers were stronger; flattens now and then; halts late."""
    memory.counts[0] += 1
    asked = memory.counts[0]
    if asked > 250:
        return HALT
    if asked % p.keeps_every == 0:
        return KEEP
    bids = depth_lots(market.depth, BUY, market.bid_ticks - 50)
    asks = depth_lots(market.depth, SELL, market.ask_ticks + 50)
    lean = lean_rule(bids, asks)
    memory.counts[1] += market.bought_lots - market.sold_lots
    count = 0
    if asked % 20 == 0 and market.position_lots != 0:
        price = market.bid_ticks - 100 if market.position_lots > 0 else market.ask_ticks + 100
        return want(wishes, count, price, -market.position_lots, WISH_REDUCE)
    price = market.bid_ticks if lean > 0 else market.ask_ticks
    if memory.counts[1] % 2 == 0:
        price -= lean
    return want(wishes, count, price, lean * p.lots, WISH_QUOTE)


class Follow(KernelStrategy):
    """The kernel as a strategy."""

    kernel = staticmethod(follow)
    name = "follow"

    def __init__(self, instrument_index: int, scale: Scale, lots: int = 2, keeps_every: int = 7) -> None:
        super().__init__(instrument_index, 50, Numbers(lots, keeps_every), Memory(integers(2)))


def not_numba(market: MarketView, now_ns: int, p: Numbers, memory: Memory, wishes: Any) -> int:
    """Uses what Numba does not know."""
    return len({str(now_ns): object()})


class NotNumba(Follow):
    """A kernel that cannot be compiled."""

    kernel = staticmethod(not_numba)
    name = "not-numba"


def flatten(view: StrategyView) -> Wanted:
    """A wish for Story: everything away, the position too."""
    lots = view.position.position_lots
    price = view.top.bid_ticks - 100 if lots > 0 else view.top.ask_ticks + 100
    return Wishes((), (SingleOrder(price, -lots, is_reduce_only=True),)) if lots else []
