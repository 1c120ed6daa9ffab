"""What a feed tells a live bot: tests/live_bot/test_core.py reads it; here is when it is said."""

from reactor._native import ffi
from reactor.domain.messages import SIZE, VIEW, MarketKind
from reactor.market.book import Book, LevelBuffer
from reactor.market.market_link import MarketLink
from shm.ring import NORMAL, heap_ring


class Stand:
    def __init__(self, capacity: int = 8) -> None:
        self.producer, self.consumer = heap_ring(capacity, SIZE["market"], VIEW["market"], lanes=1)
        self.link = MarketLink(self.producer.lane_address(NORMAL), 4, LevelBuffer(64))
        self.book = Book(64)
        self.book.load_pairs([(10, 1)], [(11, 1)], 5)

    def said(self) -> list[str]:
        found = []
        while (message := self.consumer.try_peek()) is not None:
            assert message.instrument_index == 4
            found.append(MarketKind(message.kind).name)
        self.consumer.release()
        return found

    def delta(self) -> None:
        frame = ffi.new("frame_t *", {"final_id": 6})
        self.link.delta(LevelBuffer(1), frame, self.book, 0, 0)


def test_a_bot_hears_of_a_book_only_when_it_may_be_believed():
    stand = Stand()
    stand.delta()
    stand.link.top(ffi.new("book_top_t *"), 0)
    assert stand.said() == []
    stand.link.set_good(True)
    stand.link.catch_up(stand.book, 0, 0)
    stand.delta()
    assert stand.said() == ["BOOK", "DELTA"]
    stand.link.set_good(False)
    stand.link.catch_up(stand.book, 0, 0)
    stand.link.catch_up(stand.book, 0, 0)
    stand.delta()
    assert stand.said() == ["LOST"], "once"


def test_a_loss_that_found_no_room_is_said_later_and_a_book_that_is_back_makes_it_needless():
    stand = Stand(capacity=2)
    stand.link.set_good(True)
    stand.link.catch_up(stand.book, 0, 0)
    stand.delta()
    stand.link.set_good(False)
    stand.link.catch_up(stand.book, 0, 0)
    assert stand.link.is_waiting
    assert stand.said() == ["BOOK", "DELTA"]
    stand.link.set_good(True)
    stand.link.catch_up(stand.book, 0, 0)
    assert stand.said() == ["BOOK"]


def test_a_bot_that_was_started_again_gets_the_whole_book():
    stand = Stand()
    stand.link.set_good(True)
    stand.link.catch_up(stand.book, 0, 0)
    stand.said()
    stand.link.begin_anew()
    stand.delta()
    assert stand.said() == ["BOOK"], "with the delta in it"
