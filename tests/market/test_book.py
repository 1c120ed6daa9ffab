"""The C book against a naive dictionary, under random operations."""

import random

import pytest

from reactor.domain.messages import Side
from reactor.market.book import BEST_PRICE_CHANGED, BEST_QUANTITY_CHANGED, CROSSED, Book

BUY, SELL = int(Side.BUY), int(Side.SELL)


class NaiveBook:
    """The twin: two dictionaries, sorted whenever somebody asks."""

    def __init__(self):
        self.sides = {BUY: {}, SELL: {}}

    def apply(self, bids, asks):
        for side, levels in ((BUY, bids), (SELL, asks)):
            for price, quantity in levels:
                if quantity:
                    self.sides[side][price] = quantity
                else:
                    self.sides[side].pop(price, None)

    def levels(self, side, count):
        return sorted(self.sides[side].items(), reverse=side == BUY)[:count]


@pytest.mark.parametrize("seed", range(20))
def test_random_updates_leave_the_book_and_its_naive_twin_equal(seed):
    rng = random.Random(seed)
    book, twin = Book(capacity=512), NaiveBook()
    for update_id in range(1, 400):
        bids = [(rng.randint(900, 1000), rng.choice([0, 0, rng.randint(1, 50)])) for _ in range(rng.randint(0, 6))]
        asks = [(rng.randint(1001, 1100), rng.choice([0, 0, rng.randint(1, 50)])) for _ in range(rng.randint(0, 6))]
        best_before = twin.levels(BUY, 1), twin.levels(SELL, 1)
        changes = book.apply_pairs(bids, asks, update_id)
        twin.apply(bids, asks)
        best_after = twin.levels(BUY, 1), twin.levels(SELL, 1)
        assert bool(changes & (BEST_PRICE_CHANGED | BEST_QUANTITY_CHANGED)) == (best_before != best_after)
        assert book.update_id == update_id
        for side in (BUY, SELL):
            assert book.levels(side, 1000) == twin.levels(side, 1000)
            assert book.count(side) == len(twin.sides[side])
        price = rng.randint(900, 1100)
        assert book.quantity(BUY, price) == twin.sides[BUY].get(price, 0)
        assert book.quantity_within(SELL, price) == sum(q for p, q in twin.sides[SELL].items() if p <= price)


def test_an_empty_side_has_price_zero():
    book = Book(capacity=8)
    assert book.best_bid() == (0, 0)
    book.apply_pairs([], [(101, 5)], 1)
    assert (book.best_bid(), book.best_ask()) == ((0, 0), (101, 5))
    assert not book.is_crossed()


def test_deleting_an_unknown_level_is_normal():
    book = Book(capacity=8)
    assert book.apply_pairs([(99, 0)], [(101, 0)], 7) == 0
    assert book.update_id == 7


def test_a_snapshot_replaces_everything():
    book = Book(capacity=8)
    book.apply_pairs([(99, 1)], [(101, 1)], 1)
    book.load_pairs([(98, 2), (97, 3)], [(103, 4)], 50)
    assert book.levels(BUY, 9) == [(98, 2), (97, 3)]
    assert book.levels(SELL, 9) == [(103, 4)]
    assert book.update_id == 50


def test_a_full_side_gives_up_the_level_farthest_from_the_best_and_counts_it():
    book = Book(capacity=3)
    book.apply_pairs([(10, 1), (11, 1), (12, 1), (13, 1), (5, 1)], [], 1)
    assert book.levels(BUY, 9) == [(13, 1), (12, 1), (11, 1)]
    assert book.dropped() == 2


def test_a_crossed_book_is_reported_at_once():
    book = Book(capacity=8)
    assert not book.apply_pairs([(99, 1)], [(101, 1)], 1) & CROSSED
    assert book.apply_pairs([(101, 1)], [], 2) & CROSSED
    assert book.is_crossed()


def test_the_price_for_a_quantity_is_the_level_that_completes_it():
    book = Book(capacity=8)
    book.load_pairs([], [(101, 5), (102, 5), (105, 1)], 1)
    assert [book.price_for(SELL, lots) for lots in (1, 5, 6, 11, 12)] == [101, 101, 102, 105, 0]
