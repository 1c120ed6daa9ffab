"""The comparison of two books."""

from reactor.feed.check import BookCheck, Horizon, horizon_of
from reactor.market.book import Book, LevelBuffer
from reactor.market.sync import SyncRule


def levels(bids=(), asks=()):
    buffer = LevelBuffer(16)
    buffer.put(bids, asks)
    return buffer.copy(len(bids), len(asks))


def checked(bids, asks, last_update_id=5):
    check = BookCheck(SyncRule.CONTIGUOUS, 0, 64)
    check.on_delta(1, 5, -1, levels())
    assert check.on_snapshot(levels(bids, asks), last_update_id)
    return check


def book_of(bids, asks, update_id=5):
    book = Book(64)
    book.load_pairs(bids, asks, update_id)
    return book


BIDS, ASKS = [(100, 1), (99, 2), (98, 3)], [(101, 1), (102, 2), (103, 3)]


def test_equal_books_pass():
    result = checked(BIDS, ASKS).compare(book_of(BIDS, ASKS), Horizon(98, 103))
    assert (result.levels, result.differences) == (6, 0)


def test_nothing_is_compared_before_both_stand_at_the_same_update():
    assert checked(BIDS, ASKS).compare(book_of(BIDS, ASKS, update_id=6), Horizon(98, 103)) is None


def test_levels_beyond_the_shallower_horizon_are_nobodys_fault():
    ours = book_of(BIDS[:2], [*ASKS, (104, 9)])
    result = checked(BIDS, ASKS).compare(ours, Horizon(99, 110))
    assert (result.levels, result.differences) == (5, 0)


def test_missing_surplus_and_wrong_levels_are_differences():
    ours = book_of([(100, 1), (98, 3), (97, 1)], [(101, 9), (102, 2), (103, 3)])
    result = checked(BIDS, ASKS).compare(ours, Horizon(90, 110))
    assert result.differences == 2
    assert result.difference == "bid at 99 ticks: 0 lots here, 2 at the venue"


def test_an_old_snapshot_is_refused():
    check = BookCheck(SyncRule.CONTIGUOUS, 0, 64)
    check.on_delta(10, 15, -1, levels())
    assert not check.on_snapshot(levels(BIDS, ASKS), 5)
    assert check.sync.needs_snapshot


def test_a_horizon_is_the_last_level_of_each_side():
    assert horizon_of(levels(BIDS, ASKS)) == Horizon(98, 103)
    assert horizon_of(levels()) == Horizon(0, 0)
