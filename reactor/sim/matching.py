"""Price-time matching of our accounts' orders against one symbol's market.

What is honest about it:

- An order that rests joins behind everything displayed at its price (`ahead_lots`), and behind our earlier orders there.
- It moves forward when trades at its price eat what is ahead. A level that shrinks without a trade is assumed to have shrunk
  *behind* us: `ahead` is cut only to what is still displayed there. (Conservative: cancels ahead of us never help us early.)
- A trade through its price fills it, by at most the traded quantity; a stranger's quote that crosses it trades with it, by at
  most the quoted quantity.
- A taker walks the displayed levels best first and consumes them; a consumed level stays consumed until the source says that
  level again. Our accounts' resting orders stand in the same queue; they trade with each other unless self-trade prevention
  forbids it.

The desk (the venue) does the book-keeping of every execution; this file decides who trades with whom, how much, in which order.
"""

from bisect import insort
from collections.abc import Iterable
from typing import Final, Protocol

from reactor.sim.events import Order
from reactor.sim.market import SymbolMarket

STP_NONE: Final = "NONE"


class Desk(Protocol):
    """Who keeps the books."""

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        """`order` traded. Its executed quantity is updated by the desk, before anything else."""

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        """`order` ended by the rules of the venue; it is out of the book already."""

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """Self-trade prevention took `lots` from `order` (DECREMENT)."""

    def executable_lots(self, order: Order) -> int:
        """How much of `order` may trade now: its remainder, for reduce-only at most the position."""


class _Queue:
    """Our resting orders of one side: price → orders in time order."""

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, list[Order]] = {}
        self.keys: list[int] = []  # sign · ticks ascending, the best is last

    def best(self) -> int:
        return self.keys[-1] * self.sign if self.keys else 0

    def add(self, order: Order) -> None:
        level = self.levels.get(order.price_ticks)
        if level is None:
            self.levels[order.price_ticks] = [order]
            insort(self.keys, order.price_ticks * self.sign)
        else:
            level.append(order)

    def remove(self, order: Order) -> None:
        level = self.levels[order.price_ticks]
        level.remove(order)
        if not level:
            del self.levels[order.price_ticks]
            self.keys.remove(order.price_ticks * self.sign)


class SymbolMatching:
    """The orders of all accounts in one symbol. See the module for the rules."""

    def __init__(self, market: SymbolMarket, desk: Desk) -> None:
        self._market = market
        self._desk = desk
        self._bids = _Queue(1)
        self._asks = _Queue(-1)

    def has_orders(self) -> bool:
        """True if anything of ours rests here."""
        return bool(self._bids.keys or self._asks.keys)

    def orders(self) -> Iterable[Order]:
        """Everything that rests, no particular order."""
        for queue in (self._bids, self._asks):
            for level in list(queue.levels.values()):
                yield from list(level)

    # resting

    def rest(self, order: Order) -> None:
        """Puts the remainder of an order at the end of the queue at its price."""
        is_bid = order.side == "BUY"
        side = self._market.bids if is_bid else self._market.asks
        order.ahead_lots = side.levels.get(order.price_ticks, 0)
        (self._bids if is_bid else self._asks).add(order)
        self._market.apply_own(is_bid, order.price_ticks, order.remaining_lots)

    def remove(self, order: Order) -> None:
        """Takes a resting order out of the book; call before its quantities change."""
        is_bid = order.side == "BUY"
        (self._bids if is_bid else self._asks).remove(order)
        self._market.apply_own(is_bid, order.price_ticks, -order.remaining_lots)

    def shrink(self, order: Order, quantity_lots: int) -> None:
        """A smaller original quantity that keeps its place in the queue."""
        self._market.apply_own(order.side == "BUY", order.price_ticks, quantity_lots - order.quantity_lots)
        order.quantity_lots = quantity_lots

    def would_take(self, side: str, price_ticks: int) -> bool:
        """True if a limit order at this price would trade at once."""
        if side == "BUY":
            best = self._market.best_ask()
            return best != 0 and best <= price_ticks
        return self._market.best_bid() >= price_ticks

    # taking

    def available_lots(self, order: Order, limit_ticks: int | None, wanted_lots: int) -> int:
        """How much of `wanted_lots` the book could fill now within the limit (self-trade prevention counted as not there)."""
        found = 0
        for ticks, lots in self._walk(order.side):
            if limit_ticks is not None and (ticks > limit_ticks if order.side == "BUY" else ticks < limit_ticks):
                break
            queue = (self._asks if order.side == "BUY" else self._bids).levels.get(ticks, ())
            own = sum(maker.remaining_lots for maker in queue if maker.account_id == order.account_id)
            if own and order.stp_mode != STP_NONE:
                if order.stp_mode != "EXPIRE_MAKER":
                    return found  # It would end here.
                lots -= own
            found += lots
            if found >= wanted_lots:
                return wanted_lots
        return found

    def cost_of(self, side: str, wanted_lots: int, limit_ticks: int | None = None) -> tuple[int, int, int]:
        """(lots, Σ ticks·lots, worst ticks) of walking the displayed book."""
        lots_done = total = worst = 0
        for ticks, lots in self._walk(side):
            if limit_ticks is not None and (ticks > limit_ticks if side == "BUY" else ticks < limit_ticks):
                break
            taken = min(lots, wanted_lots - lots_done)
            lots_done += taken
            total += taken * ticks
            worst = ticks
            if lots_done == wanted_lots:
                break
        return lots_done, total, worst

    def _walk(self, side: str) -> Iterable[tuple[int, int]]:
        """Displayed opposite levels, best first, a few at a time."""
        is_buy = side == "BUY"
        limit = 20
        start = 0
        while True:
            levels = self._market.depth(limit)[1 if is_buy else 0]
            yield from levels[start:]
            if len(levels) < limit:
                return
            start, limit = limit, limit * 4

    def take(self, order: Order, limit_ticks: int | None, now_ns: int, quote_limit_e8: int = 0) -> None:
        """Trades `order` against the book up to its limit.

        `limit_ticks` None: whatever is there. `quote_limit_e8` > 0: stop when the next lot would cost more than what is left
        of it. The remainder stays with the caller, who lets it rest or expire.
        """
        is_buy = order.side == "BUY"
        market, desk = self._market, self._desk
        strangers = market.asks if is_buy else market.bids
        ours = self._asks if is_buy else self._bids
        while order.is_open:
            wanted = desk.executable_lots(order)
            ticks = market.best_ask() if is_buy else market.best_bid()
            if wanted <= 0 or ticks == 0:
                return
            if limit_ticks is not None and (ticks > limit_ticks if is_buy else ticks < limit_ticks):
                return
            if quote_limit_e8:
                affordable = (quote_limit_e8 - order.executed_quote_e8) // market.rules.notional_e8(ticks, 1)
                wanted = min(wanted, affordable)
                if wanted <= 0:
                    return
            queue = ours.levels.get(ticks)
            displayed = strangers.levels.get(ticks, 0)
            maker = queue[0] if queue else None
            if maker is None or (maker.ahead_lots > 0 and displayed > 0):
                lots = min(wanted, displayed if maker is None else min(maker.ahead_lots, displayed))
                self._eat_ahead(queue, lots)
                market.apply_level(not is_buy, ticks, displayed - lots)
                trade_id = market.trade(ticks, lots, not is_buy, now_ns, now_ns)
                desk.on_execution(order, ticks, lots, trade_id, False, now_ns)
                continue
            if maker.account_id == order.account_id and order.stp_mode != STP_NONE:
                self._prevent(order, maker, wanted, now_ns)
                continue
            lots = min(wanted, desk.executable_lots(maker))
            if lots <= 0:
                self.remove(maker)
                desk.on_expired(maker, "4", now_ns)
                continue
            trade_id = market.trade(ticks, lots, not is_buy, now_ns, now_ns)
            self._fill_maker(maker, lots, trade_id, now_ns)
            desk.on_execution(order, ticks, lots, trade_id, False, now_ns)

    def _prevent(self, taker: Order, maker: Order, wanted: int, now_ns: int) -> None:
        mode, desk = taker.stp_mode, self._desk
        if mode == "DECREMENT":
            lots = min(wanted, maker.remaining_lots)
            self._market.apply_own(maker.side == "BUY", maker.price_ticks, -lots)
            desk.on_prevented(maker, lots, now_ns)
            desk.on_prevented(taker, lots, now_ns)
            if maker.remaining_lots == 0:
                (self._bids if maker.side == "BUY" else self._asks).remove(maker)
                desk.on_expired(maker, "1", now_ns, in_match=True)
            if taker.remaining_lots == 0:
                desk.on_expired(taker, "1", now_ns, in_match=True)
            return
        if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            self.remove(maker)
            desk.on_expired(maker, "1", now_ns, in_match=True)
        if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
            desk.on_expired(taker, "1", now_ns, in_match=True)

    # the market moves

    def on_trade(self, ticks: int, lots: int, buyer_is_maker: bool, trade_ns: int, event_ns: int, now_ns: int) -> None:
        """Strangers traded. What reaches our resting orders is theirs; every lot is printed exactly once."""
        market = self._market
        ours = self._bids if buyer_is_maker else self._asks
        best = ours.best()
        if best == 0 or (best < ticks if buyer_is_maker else best > ticks):
            market.trade(ticks, lots, buyer_is_maker, trade_ns, event_ns)
            return
        left = lots
        while left > 0 and (best := ours.best()) and (best >= ticks if buyer_is_maker else best <= ticks):
            queue = ours.levels[best]
            maker = queue[0]
            if best == ticks and maker.ahead_lots > 0:
                eaten = min(left, maker.ahead_lots)
                self._eat_ahead(queue, eaten)
                market.trade(ticks, eaten, buyer_is_maker, trade_ns, event_ns)
                left -= eaten
                continue
            left -= self._hit(maker, left, buyer_is_maker, now_ns)
        if left > 0:
            market.trade(ticks, left, buyer_is_maker, trade_ns, event_ns)

    def on_levels(self, now_ns: int) -> None:
        """Strangers' levels changed (still touched, not committed): caps what is ahead of us, trades what crosses us."""
        market = self._market
        for ours, side, touched in (
            (self._bids, market.bids, market.touched_bids),
            (self._asks, market.asks, market.touched_asks),
        ):
            if ours.keys:
                for ticks in touched.keys() & ours.levels.keys():
                    displayed = side.levels.get(ticks, 0)
                    for order in ours.levels[ticks]:
                        if order.ahead_lots > displayed:
                            order.ahead_lots = displayed
        for ours, strangers, is_bid in ((self._bids, market.asks, True), (self._asks, market.bids, False)):
            while ours.keys and (against := strangers.best()):
                best = ours.best()
                if best < against if is_bid else best > against:
                    break
                displayed = strangers.levels[against]
                lots = self._hit(ours.levels[best][0], displayed, is_bid, now_ns)
                market.apply_level(not is_bid, against, displayed - lots)

    def _hit(self, maker: Order, lots: int, buyer_is_maker: bool, now_ns: int) -> int:
        """A stranger trades up to `lots` with a resting order; returns how much."""
        lots = min(lots, self._desk.executable_lots(maker))
        if lots <= 0:
            self.remove(maker)
            self._desk.on_expired(maker, "4", now_ns)
            return 0
        trade_id = self._market.trade(maker.price_ticks, lots, buyer_is_maker, now_ns, now_ns)
        self._fill_maker(maker, lots, trade_id, now_ns)
        return lots

    def _fill_maker(self, maker: Order, lots: int, trade_id: int, now_ns: int) -> None:
        is_bid = maker.side == "BUY"
        self._market.apply_own(is_bid, maker.price_ticks, -lots)
        if maker.remaining_lots == lots:
            (self._bids if is_bid else self._asks).remove(maker)
        self._desk.on_execution(maker, maker.price_ticks, lots, trade_id, True, now_ns)

    def _eat_ahead(self, queue: list[Order] | None, lots: int) -> None:
        """`lots` of strangers at the front of a level are gone."""
        for order in queue or ():
            order.ahead_lots = max(0, order.ahead_lots - lots)
