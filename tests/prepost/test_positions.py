"""Positions in integers, against a naive twin in fractions."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from prepost_room import INSTRUMENTS, PERP, SPOT

from reactor.domain.units import E8
from reactor.prepost.positions import Position
from reactor.prepost.terms import Terms


def position(index: int = PERP) -> Position:
    return Position(Terms(INSTRUMENTS[index]))


def test_adding_averages_the_price():
    it = position()
    it.apply_fill(1, 1, 600_000)
    it.apply_fill(1, 3, 640_000)
    assert it.lots == 4
    assert it.entry_price_ticks_e8 == 630_000 * E8


def test_closing_realises_the_difference_to_the_average():
    it = position()
    it.apply_fill(1, 2, 600_000)
    it.apply_fill(-1, 1, 610_000)
    assert it.realised_pnl_e8 == 1 * E8  # 0.001 BTC · 1 000 USDT
    assert it.entry_price_ticks_e8 == 600_000 * E8


def test_crossing_zero_closes_at_the_old_average_and_opens_at_the_fill():
    it = position()
    it.apply_fill(1, 2, 600_000)
    it.apply_fill(-1, 5, 590_000)
    assert it.lots == -3
    assert it.realised_pnl_e8 == -2 * E8
    assert it.entry_price_ticks_e8 == 590_000 * E8
    it.apply_fill(1, 3, 580_000)
    assert it.base_e8 == 0
    assert it.entry_price_ticks_e8 == 0
    assert it.realised_pnl_e8 == E8


def test_a_fee_in_the_coin_makes_the_position_smaller_and_is_a_cost():
    it = position(SPOT)
    it.apply_fill(1, 100, 6_500_000)
    it.apply_base_fee(100, 6_500_000)
    assert it.base_e8 == 100_000 - 100
    assert it.fees_e8 == 6_500_000 * 100 // 100
    assert it.realised_pnl_e8 == 0


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 50), st.integers(1, 10**7)), max_size=40))
def test_any_fills_give_the_books_of_a_naive_twin(fills: list[tuple[int, int, int]]):
    it = position()
    base, cost, realised = 0, Fraction(0), Fraction(0)
    for side, lots, ticks in fills:
        it.apply_fill(side, lots, ticks)
        delta = side * lots * it.terms.lot_base_e8
        if base * delta < 0:
            closed = min(abs(delta), abs(base))
            sign = 1 if base > 0 else -1
            average = cost / base
            realised += sign * closed * (ticks - average)
            cost -= average * sign * closed
            base -= sign * closed
            delta += sign * closed
        base += delta
        cost += delta * ticks
        assert it.base_e8 == base
        assert abs(it.value - cost) <= len(fills), "a rounded unit per partial close at most, and it is not lost"
        # Cash never lies: what was realised and what is still open make the whole.
        assert it.realised + it.base_e8 * ticks - it.value == realised + base * ticks - cost


@given(st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(1, 50), st.integers(1, 10**7)), min_size=1, max_size=30))
def test_flat_means_that_realised_is_the_cash_that_flowed(fills: list[tuple[int, int, int]]):
    it = position()
    cash = 0
    for side, lots, ticks in fills:
        it.apply_fill(side, lots, ticks)
        cash -= side * lots * it.terms.lot_base_e8 * ticks
    if it.base_e8:
        rest = -it.lots
        it.apply_fill(1 if rest > 0 else -1, abs(rest), 1_000)
        cash -= rest * it.terms.lot_base_e8 * 1_000
    assert it.base_e8 == 0
    assert it.value == 0
    assert it.realised == cash
