"""Ghosts trade by hftbacktest's rules and change nothing in the market that others see."""

from collections.abc import Iterable

import pytest

from reactor.sim.events import Event, Order, TradeEvent
from reactor.sim.ghosts import GhostMatching, Tape
from reactor.sim.market import SymbolMarket, UpdateIds
from reactor.sim.symbols import USDM_SYMBOLS

RULES = USDM_SYMBOLS["BTCUSDT"]
LOTS = 5


class Books:
    """A desk that remembers what it was told."""

    def __init__(self) -> None:
        self.fills: list[tuple[int, int, int, bool]] = []  # order id, ticks, lots, maker
        self.expired: list[int] = []
        self.executable = 1 << 40

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        order.executed_lots += lots
        self.fills.append((order.order_id, ticks, lots, is_maker))

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        self.expired.append(order.order_id)

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        raise AssertionError("ghosts do not meet")

    def executable_lots(self, order: Order) -> int:
        return min(order.remaining_lots, self.executable)


class Stage:
    """One symbol with a book of 1000 × 10 / 1001 × 10, a desk and a tape."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.market = SymbolMarket(RULES, UpdateIds(1, has_gaps=False), self.events, 100, 0)
        self.books = Books()
        self.taped: list[tuple[object, ...]] = []
        self.matching = GhostMatching(self.market, self.books, Tape(self._on_trade, self._on_levels))
        self.levels(bids=[(1000, 10), (999, 20)], asks=[(1001, 10), (1002, 20)])

    def _on_trade(self, now_ns: int, ticks: int, lots: int, taker_sells: bool) -> None:
        self.taped.append(("trade", ticks, lots, taker_sells))

    def _on_levels(self, now_ns: int, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        self.taped.append(("levels", dict(bids), dict(asks)))

    def levels(self, bids: list[tuple[int, int]] | None = None, asks: list[tuple[int, int]] | None = None) -> None:
        for is_bid, levels in ((True, bids or []), (False, asks or [])):
            for ticks, lots in levels:
                self.market.apply_level(is_bid, ticks, lots)
        self.matching.on_levels(1)
        self.market.commit(1, 1)

    def trade(self, ticks: int, lots: int, taker_sells: bool) -> None:
        self.matching.on_trade(ticks, lots, taker_sells, 1, 1, 1)

    def order(self, number: int, side: str, ticks: int, kind: str = "GTX") -> Order:
        return Order(
            number,
            1,
            RULES,
            f"o{number}",
            "BUY" if side == "BUY" else "SELL",
            "LIMIT",
            kind,
            ticks,
            LOTS,
            0,
            0,
            stp_mode="NONE",
        )  # type: ignore[arg-type]

    def rest(self, number: int, side: str, ticks: int) -> Order:
        order = self.order(number, side, ticks)
        self.matching.rest(order)
        return order


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_it_fills_when_more_is_traded_than_was_ahead(stage: Stage):
    stage.rest(1, "BUY", 1000)
    stage.trade(1000, 10, taker_sells=True)
    assert stage.books.fills == [], "exactly what was ahead"
    stage.trade(1000, 1, taker_sells=True)
    assert stage.books.fills == [(1, 1000, LOTS, True)], "whole, however little it was"


def test_what_is_ahead_is_never_more_than_what_is_displayed(stage: Stage):
    stage.rest(1, "SELL", 1001)
    stage.levels(asks=[(1001, 3)])
    stage.levels(asks=[(1001, 30)])
    stage.trade(1001, 4, taker_sells=False)
    assert stage.books.fills == [(1, 1001, LOTS, True)]


def test_a_trade_through_its_price_fills_it_and_one_that_does_not_reach_it_does_not(stage: Stage):
    stage.rest(1, "BUY", 999)
    stage.trade(1000, 500, taker_sells=True)
    assert stage.books.fills == []
    stage.trade(998, 1, taker_sells=True)
    assert stage.books.fills == [(1, 999, LOTS, True)]


def test_takers_of_its_own_side_do_nothing_to_it(stage: Stage):
    stage.rest(1, "BUY", 1000)
    stage.trade(999, 500, taker_sells=False)
    assert stage.books.fills == []


def test_the_other_sides_best_price_fills_what_it_reaches(stage: Stage):
    stage.rest(1, "SELL", 1002)
    stage.rest(2, "SELL", 1005)
    stage.levels(asks=[(1001, 0), (1002, 0)])
    stage.levels(bids=[(1003, 1)], asks=[(1006, 1)])
    assert stage.books.fills == [(1, 1002, LOTS, True)]
    assert [order.order_id for order in stage.matching.orders()] == [2]


def test_a_taker_gets_everything_at_the_best_price_or_nothing(stage: Stage):
    buy = stage.order(1, "BUY", 1001, "IOC")
    stage.matching.take(buy, 1001, 1)
    assert stage.books.fills == [(1, 1001, LOTS, False)]
    late = stage.order(2, "SELL", 1001, "IOC")
    stage.matching.take(late, 1001, 1)
    assert len(stage.books.fills) == 1


def test_a_post_only_order_is_measured_against_strangers(stage: Stage):
    assert stage.matching.would_take("BUY", 1001)
    assert not stage.matching.would_take("BUY", 1000)
    assert stage.matching.would_take("SELL", 1000)
    assert not stage.matching.would_take("SELL", 1001)


def test_nobody_sees_it_nor_what_it_trades(stage: Stage):
    before = stage.market.depth(10)
    stage.rest(1, "BUY", 1000)
    stage.matching.take(stage.order(2, "BUY", 1005, "IOC"), 1005, 1)
    stage.trade(999, 1, taker_sells=True)
    assert len(stage.books.fills) == 2
    assert stage.market.depth(10) == before
    prints = [event for event in stage.events if isinstance(event, TradeEvent)]
    assert [(event.price_ticks, event.quantity_lots) for event in prints] == [(999, 1)]


def test_a_cancelled_one_is_gone(stage: Stage):
    order = stage.rest(1, "BUY", 1000)
    stage.matching.remove(order)
    stage.trade(990, 100, taker_sells=True)
    assert stage.books.fills == []


def test_one_that_may_not_trade_any_more_expires(stage: Stage):
    stage.rest(1, "BUY", 1000)
    stage.books.executable = 0
    stage.trade(990, 100, taker_sells=True)
    assert (stage.books.fills, stage.books.expired) == ([], [1])


def test_the_tape_hears_levels_and_trades_in_their_order(stage: Stage):
    stage.taped.clear()
    stage.trade(1000, 2, taker_sells=True)
    stage.levels(bids=[(1000, 8)])
    assert stage.taped == [("trade", 1000, 2, True), ("levels", {1000: 8}, {})]
