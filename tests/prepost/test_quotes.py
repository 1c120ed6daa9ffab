"""Wanted against live: only what must move, moves."""

from hypothesis import given
from hypothesis import strategies as st

from reactor.prepost.orders import Order, OrderState
from reactor.prepost.quotes import difference


def live(side: int, price: int, lots: int, filled: int = 0, wants_cancel: bool = False) -> Order:
    order = Order()
    order.side, order.price_ticks, order.quantity_lots, order.filled_lots = side, price, lots, filled
    order.state = int(OrderState.ACKNOWLEDGED)
    order.wants_cancel = wants_cancel
    return order


def test_what_stands_where_it_is_wanted_stays():
    changes = difference([(100, 5), (102, -5)], [live(1, 100, 5), live(-1, 102, 5)])
    assert changes.cancels == ()
    assert changes.places == ()


def test_a_rest_after_a_partial_fill_keeps_its_place_in_the_queue():
    assert difference([(100, 5)], [live(1, 100, 5, filled=3)]).places == ()


def test_an_order_larger_than_wanted_is_replaced():
    large = live(1, 100, 9)
    changes = difference([(100, 5)], [large])
    assert changes.cancels == (large,)
    assert changes.places == ((100, 5),)


def test_the_same_price_on_the_other_side_is_another_rung():
    sell = live(-1, 100, 5)
    changes = difference([(100, 5)], [sell])
    assert changes.cancels == (sell,)
    assert changes.places == ((100, 5),)


def test_an_order_on_its_way_out_is_replaced_and_not_cancelled_again():
    changes = difference([(100, 5)], [live(1, 100, 5, wants_cancel=True)])
    assert changes.cancels == ()
    assert changes.places == ((100, 5),)


def test_two_wishes_at_one_price_are_one_order():
    assert difference([(100, 5), (100, 3)], []).places == ((100, 8),)


rungs = st.tuples(st.integers(1, 8), st.integers(-4, 4))


@given(st.lists(rungs, max_size=8), st.lists(rungs, max_size=8))
def test_applied_it_leaves_nothing_to_do(wanted: list[tuple[int, int]], standing: list[tuple[int, int]]):
    orders = [live(1 if lots > 0 else -1, price, abs(lots)) for price, lots in standing if lots]
    changes = difference(wanted, orders)
    after = [order for order in orders if order not in changes.cancels]
    after += [live(1 if lots > 0 else -1, price, abs(lots)) for price, lots in changes.places]
    again = difference(wanted, after)
    assert again.cancels == ()
    assert again.places == ()
