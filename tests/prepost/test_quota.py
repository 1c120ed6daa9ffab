"""Quota is reserved once and comes back once, whatever becomes of the order."""

from hypothesis import given
from hypothesis import strategies as st
from prepost_room import INSTRUMENTS

from reactor.prepost.orders import Order
from reactor.prepost.quota import Quota
from reactor.prepost.terms import Terms

TERMS = tuple(Terms(instrument) for instrument in INSTRUMENTS)


def order(index: int, side: int, lots: int) -> Order:
    made = Order()
    made.instrument_index, made.side, made.quantity_lots = index, side, lots
    return made


def is_empty(quota: Quota) -> bool:
    return all((it.buy_lots, it.sell_lots, it.capital_e8, it.pending_orders) == (0, 0, 0, 0) for it in quota.of)


def test_a_second_return_changes_nothing_and_is_counted():
    quota = Quota(TERMS)
    one, other = order(0, 1, 10), order(0, 1, 7)
    quota.reserve(one, 1000)
    quota.reserve(other, 700)
    assert quota.restore(one)
    assert not quota.restore(one)
    assert quota.double_returns == 1
    assert (quota.of[0].buy_lots, quota.of[0].capital_e8, quota.of[0].pending_orders) == (7, 700, 1)


def test_a_fill_moves_its_part_and_the_rest_comes_back():
    quota = Quota(TERMS)
    it = order(0, -1, 10)
    quota.reserve(it, 1000)
    quota.convert(it, 4)
    assert (quota.of[0].sell_lots, quota.of[0].capital_e8) == (6, 600)
    quota.restore(it)
    assert is_empty(quota)


def test_an_overfill_converts_no_more_than_was_reserved():
    quota = Quota(TERMS)
    it = order(0, 1, 10)
    quota.reserve(it, 999)
    quota.convert(it, 7)
    quota.convert(it, 7)
    quota.convert(it, 7)
    quota.restore(it)
    assert is_empty(quota)


def test_what_spot_orders_may_still_take_is_known_per_wallet():
    quota = Quota(TERMS)
    buy, sell = order(0, 1, 100), order(2, -1, 50)
    quota.reserve(buy, 0, notional_e8=INSTRUMENTS[0].notional_e8(6_500_000, 100))
    quota.reserve(sell, 0)
    assert quota.claimed_e8(0, "USDT") == INSTRUMENTS[0].notional_e8(6_500_000, 100)
    assert quota.claimed_e8(0, "ETH") == INSTRUMENTS[2].base_e8(50)
    assert quota.claimed_e8(1, "USDT") == 0
    quota.convert(buy, 25)
    assert quota.claimed_e8(0, "USDT") == INSTRUMENTS[0].notional_e8(6_500_000, 75)
    quota.restore(buy)
    quota.restore(sell)
    assert quota.claimed_e8(0, "USDT") == quota.claimed_e8(0, "ETH") == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from([1, -1]),
            st.integers(1, 100),
            st.integers(0, 10**12),
            st.lists(st.integers(1, 60), max_size=5),
            st.integers(1, 3),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_becomes_of_the_orders_reserved_is_the_sum_of_the_live_ones(plans, random):
    quota = Quota(TERMS)
    steps = []
    orders = []
    for index, side, lots, capital, fills, returns in plans:
        it = order(index, side, lots)
        quota.reserve(it, capital)
        orders.append(it)
        steps += [(it, fill) for fill in fills] + [(it, 0)] * returns
    random.shuffle(steps)
    for it, fill in steps:
        if fill:
            quota.convert(it, fill)
        else:
            quota.restore(it)
        for index, reserved in enumerate(quota.of):
            mine = [order for order in orders if order.instrument_index == index and order.is_quota_open]
            assert reserved.pending_orders == len(mine)
            assert reserved.buy_lots == sum(order.reserved_lots for order in mine if order.side > 0)
            assert reserved.sell_lots == sum(order.reserved_lots for order in mine if order.side < 0)
            assert reserved.capital_e8 == sum(order.capital_e8 for order in mine)
    assert is_empty(quota)
