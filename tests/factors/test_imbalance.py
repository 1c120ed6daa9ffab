"""What the book leans to: the limits are the strategy's, the quantities the book's."""

import pytest

from reactor.factors.imbalance import BUY, SELL, ask_limit, bid_limit, depth_lots
from reactor.market.book import Book


@pytest.fixture
def book() -> Book:
    made = Book()
    made.load_pairs([(1000, 5), (999, 7), (990, 11), (900, 100)], [(1001, 2), (1002, 3), (1011, 13), (1100, 100)], 1)
    return made


def test_depth_counts_from_the_best_level_up_to_and_including_the_limit(book: Book):
    assert depth_lots(book, BUY, 1000) == 5
    assert depth_lots(book, BUY, 999) == 12
    assert depth_lots(book, BUY, 991) == 12
    assert depth_lots(book, BUY, 990) == 23
    assert depth_lots(book, SELL, 1001) == 2
    assert depth_lots(book, SELL, 1011) == 18
    assert depth_lots(book, SELL, 9999) == 118


def test_a_limit_better_than_the_best_level_has_no_depth(book: Book):
    assert depth_lots(book, BUY, 1001) == 0
    assert depth_lots(book, SELL, 1000) == 0


def test_limits_are_the_ticks_within_a_share_of_the_mid():
    assert bid_limit(1000.5, 0.01, 0) == 991  # 990.495: the next tick that is still inside
    assert ask_limit(1000.5, 0.01, 1 << 53) == 1010  # 1010.505
    assert bid_limit(1000.0, 0.01, 0) == 990
    assert ask_limit(1000.0, 0.01, 1 << 53) == 1010


def test_nothing_outside_the_region_of_interest_counts():
    assert bid_limit(1000.0, 0.5, 800) == 800
    assert ask_limit(1000.0, 0.5, 1200) == 1200


def test_the_same_quantity_on_both_sides_is_no_imbalance(book: Book):
    mid = 1000.5
    bids = depth_lots(book, BUY, bid_limit(mid, 0.0006, 0))
    asks = depth_lots(book, SELL, ask_limit(mid, 0.0006, 1 << 53))
    assert (bids, asks) == (5, 2), "0.6 ticks of a mid of 1000.5 reach the best levels only"


def test_any_depth_that_answers_quantity_within_will_do():
    class Flat:
        def quantity_within(self, side: int, limit_ticks: int) -> int:
            return side * limit_ticks

    assert depth_lots(Flat(), BUY, 7) == 7
