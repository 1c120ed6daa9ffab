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


@pytest.mark.parametrize(("seed", "capacity"), [*((seed, 4096) for seed in range(10)), *((seed, 40) for seed in range(10, 16))])
def test_far_levels_and_a_market_that_wanders_leave_the_book_and_its_naive_twin_equal(seed, capacity):
    rng = random.Random(seed)
    book, twin = Book(capacity=capacity), NaiveBook()
    mid = 5_000_000
    for update_id in range(1, 500):
        mid += rng.choice([0, 0, 1, -3, rng.randint(-9_000, 9_000), rng.choice([0] * 9 + [rng.randint(-200_000, 200_000)])])
        bids, asks = [], []
        for side, levels, direction in ((BUY, bids, -1), (SELL, asks, 1)):
            known = list(twin.sides[side])
            for _ in range(rng.randint(0, 12)):
                price = mid + direction * int(rng.choice([9, 300, 20_000, 400_000]) * rng.random())
                if known and rng.random() < 0.5:
                    price = rng.choice(known)
                levels.append((price, rng.choice([0, 0, rng.randint(1, 50)])))
            levels.sort(reverse=rng.random() < 0.5)
        if rng.random() < 0.01:
            bids, asks = ([(price, quantity) for price, quantity in dict(side).items() if quantity] for side in (bids, asks))
            book.load_pairs(sorted(bids, reverse=True), sorted(asks), update_id)
            twin = NaiveBook()
        else:
            book.apply_pairs(bids, asks, update_id)
        twin.apply(bids, asks)
        for side in (BUY, SELL):
            if capacity < 1000:  # What was given up cannot come back: the twin forgets it too.
                kept = dict(book.levels(side, 10_000))
                assert len(kept) <= capacity
                if len(twin.sides[side]) > capacity:
                    assert min(kept) > 0
                    assert list(kept) == [price for price in kept if price in twin.sides[side]]
                twin.sides[side] = {price: quantity for price, quantity in twin.sides[side].items() if price in kept}
            assert book.levels(side, 10_000) == twin.levels(side, 10_000)
            assert book.count(side) == len(twin.sides[side])
        if twin.sides[BUY]:
            price = rng.choice(list(twin.sides[BUY]))
            assert book.quantity(BUY, price) == twin.sides[BUY][price]
            assert book.quantity_within(BUY, price) == sum(q for p, q in twin.sides[BUY].items() if p >= price)


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
