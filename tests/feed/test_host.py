"""Strategies are asked when it is their time and there is something new to see, and what they want goes out whole."""

from typing import Any

import pytest

from reactor.domain.messages import FLAG_LAST_PART, QUOTES_PER_MESSAGE, SIZE, VIEW, SignalType, new
from reactor.feed.host import QUOTES_MAX, StrategyHost
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from reactor.strategies.strategy import Quote, SingleOrder, StrategyView, Wanted, Wishes
from shm.ring import URGENT, heap_ring

MS = 1_000_000
SECOND = 1_000_000_000


class Ids:
    """The board's part that a host needs."""

    def __init__(self) -> None:
        self.last = 0

    def next_signal_id(self) -> int:
        self.last += 1
        return self.last


class Scripted:
    """Says what it is told to say."""

    name = "scripted"
    instrument_index = 0
    update_interval_ms = 100

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.positions: list[int] = []
        self.answer: Wanted = ()
        self.fails = False

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        self.asked.append(now_ns // MS)
        self.positions.append(view.position.position_lots)
        if self.fails:
            raise RuntimeError("no idea")
        return self.answer

    def on_response(self, response: Any, now_ns: int) -> None:
        pass


class Table:
    """A host with one strategy on one instrument, its ring and its clock."""

    def __init__(self, capacity: int = 64) -> None:
        self.producer, self.consumer = heap_ring(capacity, SIZE["signal"], VIEW["signal"])
        self.log, self.top, self.position, self.strategy = ListLog(), new("book_top"), new("position"), Scripted()
        self.newest_position = 0
        board: Any = Ids()
        self.host = StrategyHost(self.producer, None, board, Metrics(), self.log, read_position=self._read)
        nothing: Any = None
        self.host.plug([(self.strategy, StrategyView(nothing, nothing, nothing, self.top, self.position))])
        self.top.is_synchronised = 1
        self.move(1000)

    def _read(self, instrument_index: int) -> None:
        self.position.position_lots = self.newest_position

    def move(self, bid_ticks: int, now_ms: float = 0) -> None:
        self.top.bid_ticks, self.top.bid_lots, self.top.ask_ticks, self.top.ask_lots = bid_ticks, 5, bid_ticks + 1, 5
        self.host.on_top(0, int(now_ms * MS))

    def work(self, now_ms: float) -> None:
        self.host.do_work(SECOND + int(now_ms * MS))

    def asked(self) -> list[int]:
        return [at - 1000 for at in self.strategy.asked]

    def sent(self) -> list[Any]:
        found = []
        while (message := self.consumer.try_peek(URGENT)) is not None:
            kept = new("signal")
            kept[0] = message[0]
            found.append(kept)
        self.consumer.release(URGENT)
        return found


@pytest.fixture
def table() -> Table:
    return Table()


def test_it_is_asked_when_its_interval_is_over_and_the_top_is_another(table: Table):
    for now_ms in range(0, 301, 10):
        if now_ms in (50, 210):
            table.move(1000 + now_ms)
        table.work(now_ms)
    assert table.asked() == [0, 100, 210]


def test_a_top_that_moved_and_came_back_is_nothing_new(table: Table):
    table.work(0)
    table.move(1005)
    table.move(1000)
    for now_ms in range(10, 500, 10):
        table.work(now_ms)
    assert table.asked() == [0]
    table.move(1001)
    table.work(510)
    assert table.asked() == [0, 510]


def test_a_market_that_stands_still_is_looked_at_once_a_second(table: Table):
    for now_ms in range(0, 2_500, 10):
        table.work(now_ms)
    assert table.asked() == [0, 1000, 2000]


def test_it_says_when_it_wants_to_be_woken(table: Table):
    table.work(0)
    assert table.host.deadline_ns() == 2 * SECOND
    table.move(1001)
    assert table.host.deadline_ns() == SECOND + 100 * MS
    table.top.is_synchronised = 0
    assert table.host.deadline_ns() > 1000 * SECOND


def test_it_sees_its_position_as_it_is_when_it_is_asked(table: Table):
    table.work(0)
    table.newest_position = 7
    table.move(1001)
    table.work(100)
    assert table.strategy.positions == [0, 7]


def test_a_grid_goes_out_in_parts_under_one_id_and_the_last_one_says_so(table: Table):
    count = 2 * QUOTES_PER_MESSAGE + 1
    table.strategy.answer = [Quote(1000 - each, 3) for each in range(count)]
    table.work(0)
    parts = table.sent()
    assert [part.quote_count for part in parts] == [QUOTES_PER_MESSAGE, QUOTES_PER_MESSAGE, 1]
    assert [bool(part.header.flags & FLAG_LAST_PART) for part in parts] == [False, False, True]
    assert len({part.header.signal_id for part in parts}) == 1
    assert [part.quotes[0].price_ticks for part in parts] == [1000, 1000 - QUOTES_PER_MESSAGE, 1000 - 2 * QUOTES_PER_MESSAGE]


def test_orders_and_a_halt_follow_the_grid(table: Table):
    table.strategy.answer = Wishes([Quote(1000, 3)], [SingleOrder(990, -2, is_reduce_only=True)], [77], is_halt=True)
    table.work(0)
    kinds = [SignalType(each.header.kind) for each in table.sent()]
    assert kinds == [
        SignalType.STRATEGY_CANCEL, SignalType.STRATEGY_QUOTES, SignalType.STRATEGY_ORDER, SignalType.STRATEGY_HALT,
    ]  # fmt: skip


def test_while_there_is_no_room_the_wish_waits_and_nobody_is_asked():
    table = Table(capacity=2)
    table.strategy.answer = [Quote(1000 - each, 3) for each in range(2 * QUOTES_PER_MESSAGE)]
    table.work(0)
    table.move(1001)
    table.work(100)
    table.move(1002)
    table.work(200)
    assert table.asked() == [0, 100]
    assert table.host.deadline_ns() > 1000 * SECOND, "it waits for room, not for a time"
    assert len(table.sent()) == 2
    table.work(210)
    assert len(table.sent()) == 2
    assert table.asked() == [0, 100, 210]


def test_a_strategy_that_fails_is_withdrawn_and_not_asked_again(table: Table):
    table.strategy.answer = [Quote(1000, 3)]
    table.work(0)
    table.sent()
    table.strategy.fails = True
    table.move(1001)
    table.work(100)
    (withdrawn,) = table.sent()
    assert (withdrawn.header.kind, withdrawn.quote_count) == (SignalType.STRATEGY_QUOTES, 0)
    table.move(1002)
    table.work(200)
    assert table.asked() == [0, 100]
    assert any("switched off" in text for _, text, _ in table.log.records)


def test_a_grid_beyond_the_limit_is_a_failure(table: Table):
    table.strategy.answer = [Quote(1000 - each, 3) for each in range(QUOTES_MAX + 1)]
    table.work(0)
    assert table.host.hosted[0].failed


def test_nobody_quotes_on_a_book_that_is_lost(table: Table):
    table.strategy.answer = [Quote(1000, 3)]
    table.work(0)
    table.sent()
    table.top.is_synchronised = 0
    table.move(1001)
    table.work(100)
    table.work(200)
    (withdrawn,) = table.sent()
    assert withdrawn.quote_count == 0
    assert table.asked() == [0]
