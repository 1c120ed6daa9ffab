"""The market side of a venue: its symbols' books and streams, what the source says about them, what anybody may ask.

source ──on_market()──▶ strangers' levels and trades ──▶ our resting orders (matching) ──▶ streams (market)
clock ───advance()────▶ stream intervals, the product's own clockwork
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reactor.sim.events import BookTickerView, DayView, DepthView, Event, Order, PublicTrade, Refusal
from reactor.sim.filters import UNKNOWN_SYMBOL
from reactor.sim.market import SymbolMarket, UpdateIds
from reactor.sim.matching import SymbolMatching
from reactor.sim.symbols import Product, SymbolRules
from reactor.sim.updates import NEVER_NS, BookUpdate, MarketUpdate, TopUpdate, TradeUpdate


@dataclass(frozen=True)
class VenueParameters:
    """What an operator may turn. Rates in 1e-8 of the notional (0.1 % = 100_000)."""

    maker_fee_e8: int = 100_000  # Spot VIP 0: 0.1 %. `USDM_PARAMETERS` has 0.02 % / 0.05 %.
    taker_fee_e8: int = 100_000
    # The venue says only that ids are unique among open orders; True also refuses ids of closed ones.
    refuse_closed_client_ids: bool = False
    # One id per account and symbol, or per account (facts: unresolved; best guess is per symbol).
    client_ids_per_symbol: bool = True
    # Ids of a venue that has been running for years.
    first_order_id: int = 10_000_000_000
    first_update_id: int = 50_000_000_000
    first_trade_id: int = 3_700_000_000


USDM_PARAMETERS: Final = VenueParameters(
    maker_fee_e8=20_000,
    taker_fee_e8=50_000,
    first_order_id=8_886_000_000,
    first_update_id=5_100_000_000_000,
    first_trade_id=5_266_000_000,
)


class VenueMarket:
    """See the module. The book-keeping of executions (matching.Desk) is the business of the classes built on it."""

    product: Product

    def __init__(self, symbols: Sequence[SymbolRules], parameters: VenueParameters, now_ns: int) -> None:
        self.symbols = {rules.symbol: rules for rules in symbols}
        self._parameters = parameters
        self._now_ns = now_ns
        self._events: list[Event] = []
        self._markets: dict[str, SymbolMarket] = {}
        self._matchings: dict[str, SymbolMatching] = {}
        self._tops: dict[str, TopUpdate] = {}
        self.next_close_ns = 0  # when `advance` has something to do, at the earliest
        shared_ids = UpdateIds(parameters.first_update_id, has_gaps=True)
        for rules in symbols:
            assert rules.product == self.product, f"{rules.symbol} of {rules.product} listed on {self.product}"
            ids = shared_ids if rules.is_futures else UpdateIds(parameters.first_update_id, has_gaps=False)
            market = SymbolMarket(rules, ids, self._events, parameters.first_trade_id, now_ns)
            self._markets[rules.symbol] = market
            self._matchings[rules.symbol] = SymbolMatching(market, self)

    def depth(self, symbol: str, limit: int) -> DepthView | Refusal:
        """The best `limit` levels of each side, with the id of the last update inside it."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        bids, asks = market.depth(limit)
        return DepthView(market.last_update_id, bids, asks, market.transaction_ns)

    def book_ticker(self, symbol: str) -> BookTickerView | Refusal:
        """Best prices."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        return BookTickerView(market.rules, market.last_update_id, *market.top, market.transaction_ns)

    def recent_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade] | Refusal:
        """Oldest first, at most 1000 kept."""
        market = self._markets.get(symbol)
        return UNKNOWN_SYMBOL if market is None else list(market.recent)[-limit:]

    def day(self, symbol: str) -> DayView | Refusal:
        """Statistics since the session began."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        return DayView(
            rules=market.rules,
            open_ticks=market.open_ticks,
            high_ticks=market.high_ticks,
            low_ticks=market.low_ticks,
            last_ticks=market.last_ticks,
            last_lots=market.last_lots,
            volume_lots=market.volume_lots,
            quote_e8=market.quote_e8,
            first_trade_id=market.first_trade_id,
            last_trade_id=market.next_trade_id - 1,
            open_ns=market.open_ns,
            close_ns=self._now_ns,
        )

    def average_price_e8(self, symbol: str) -> int:
        """Volume-weighted over 5 minutes; the last price if there was no trade, the mid if there never was one."""
        return self._markets[symbol].average_price_e8(self._now_ns)

    def mid_e8(self, symbol: str) -> int:
        """Mid of the displayed book in 1e-8; 0: unknown symbol or an empty side."""
        market = self._markets.get(symbol)
        return market.mid_e8() if market is not None else 0

    def want_depth(self, symbol: str, speed_ms: int, wanted: bool) -> None:
        """Switches one depth cadence on or off (all on at the start): saves work when nobody listens."""
        self._markets[symbol].want_depth(speed_ms, wanted, self._now_ns)
        self.next_close_ns = 0

    def on_market(self, update: MarketUpdate, now_ns: int) -> None:
        """The source speaks: strangers' levels or a trade."""
        self._now_ns = now_ns
        symbol = update.symbol
        market, matching = self._markets[symbol], self._matchings[symbol]
        if type(update) is TopUpdate:
            self._apply_top(market, update)
        elif type(update) is TradeUpdate:
            matching.on_trade(
                update.price_ticks,
                update.quantity_lots,
                update.buyer_is_maker,
                update.transaction_ns,
                update.event_ns,
                now_ns,
            )
        elif type(update) is BookUpdate:
            self._apply_book(market, update)
        if matching.has_orders():
            matching.on_levels(now_ns)
            self._settle(now_ns)
        market.commit(update.transaction_ns, update.event_ns)

    def _apply_top(self, market: SymbolMarket, update: TopUpdate) -> None:
        """Better levels are gone. A side that says the same as before is not refreshed: what we took stays taken."""
        last = self._tops.get(update.symbol)
        if update.bid_ticks and (last is None or last.bid_ticks != update.bid_ticks or last.bid_lots != update.bid_lots):
            if market.bids.best() > update.bid_ticks:
                for ticks in market.bids.better_than(update.bid_ticks):
                    market.apply_level(True, ticks, 0)
            market.apply_level(True, update.bid_ticks, update.bid_lots)
            if update.bid_lots:
                _uncross(market, True, update.bid_ticks)
        if update.ask_ticks and (last is None or last.ask_ticks != update.ask_ticks or last.ask_lots != update.ask_lots):
            if market.asks.best() < update.ask_ticks:
                for ticks in market.asks.better_than(update.ask_ticks):
                    market.apply_level(False, ticks, 0)
            market.apply_level(False, update.ask_ticks, update.ask_lots)
            if update.ask_lots:
                _uncross(market, False, update.ask_ticks)
        self._tops[update.symbol] = update

    def _apply_book(self, market: SymbolMarket, update: BookUpdate) -> None:
        apply_level = market.apply_level
        if update.is_snapshot or update.is_reset:
            for is_bid, levels, side in ((True, update.bids, market.bids), (False, update.asks, market.asks)):
                said = {ticks for ticks, _ in levels}
                if update.is_reset:
                    unsaid = side.levels.keys() - said
                elif said:
                    worst = min(said) if is_bid else max(said)
                    unsaid = set(side.between(worst, side.best() or worst)) - said
                else:
                    continue
                for ticks in unsaid:
                    apply_level(is_bid, ticks, 0)
        market.apply_levels(True, update.bids)
        market.apply_levels(False, update.asks)
        best_bid, best_ask = market.bids.best(), market.asks.best()
        if best_bid >= best_ask and best_bid and best_ask:
            # A source without a snapshot may hold levels that went unseen; what was said just now is right.
            _uncross(market, True, max((ticks for ticks, lots in update.bids if lots), default=0))
            _uncross(market, False, min((ticks for ticks, lots in update.asks if lots), default=0))

    # time

    def advance(self, now_ns: int) -> None:
        """Closes stream intervals, pays funding, expires, liquidates. Call every 10 ms at least and before answering."""
        self._now_ns = max(now_ns, self._now_ns)
        if now_ns < self.next_close_ns:
            return
        next_close_ns = NEVER_NS
        for market in self._markets.values():
            if market.next_close_ns <= now_ns:
                market.close_buckets(now_ns)
            if market.next_close_ns < next_close_ns:
                next_close_ns = market.next_close_ns
        self.next_close_ns = min(next_close_ns, self._on_time(now_ns))

    def _on_time(self, now_ns: int) -> int:
        """The product's own clockwork; returns when it wants to be called again."""
        return NEVER_NS

    def take_events(self) -> list[Event]:
        """Everything since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    def _settle(self, now_ns: int) -> None:
        """After every operation: balance events, and what follows from changed positions."""

    # the desk

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        """`order` traded `lots` at `ticks`."""
        raise NotImplementedError

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        """The rules of the venue ended `order`; it is out of the book already."""
        raise NotImplementedError

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """Self-trade prevention took `lots` from `order`."""
        raise NotImplementedError

    def executable_lots(self, order: Order) -> int:
        """How much of `order` may trade now."""
        return order.remaining_lots


def _uncross(market: SymbolMarket, is_bid: bool, ticks: int) -> None:
    """Strangers never stand crossed: what the other side still shows at or through a new best (0: none) is gone."""
    side = market.asks if is_bid else market.bids
    if ticks == 0:
        return
    while (best := side.best()) and (best <= ticks if is_bid else best >= ticks):
        market.apply_level(not is_bid, best, 0)
