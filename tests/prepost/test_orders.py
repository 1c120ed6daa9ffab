"""The order machine: every pair of state and event, and that the order in which reports arrive does not matter."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reactor.domain.ids import ClientIds
from reactor.prepost.orders import (
    IS_TERMINAL,
    NEXT_STATE,
    TERMINAL,
    TRANSITIONS,
    FillMemory,
    Order,
    OrderEvent,
    Orders,
    OrderState,
)

S, E = OrderState, OrderEvent
VENUE_EVENTS = {E.ACK, E.PARTIAL_FILL, E.FILL, E.CANCELLED, E.EXPIRE, E.REJECT, E.NOT_SENT, E.OUTCOME_LOST, E.CANCEL_FAILED}
ON_THE_WAY = (S.SUBMITTED, S.ACKNOWLEDGED, S.PARTIALLY_FILLED, S.PENDING_CANCEL, S.UNKNOWN)


def order_in(state: OrderState) -> Order:
    order = Order()
    order.state = int(state)
    return order


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("event", OrderEvent)
def test_every_pair_of_state_and_event_is_in_the_table_or_refused_without_a_trace(state: OrderState, event: OrderEvent):
    order = order_in(state)
    wanted = TRANSITIONS.get((state, event))
    assert order.apply_event(event) is (wanted is not None)
    assert order.state == (state if wanted is None else wanted)
    assert NEXT_STATE[state * len(OrderEvent) + event] == (-1 if wanted is None else wanted)


def test_nothing_terminal_comes_back_to_life():
    alive = {
        (state, event): after for (state, event), after in TRANSITIONS.items() if state in TERMINAL and after not in TERMINAL
    }
    assert alive == {}


def test_filled_is_final():
    assert {after for (state, _), after in TRANSITIONS.items() if state == S.FILLED} == {S.FILLED}


@pytest.mark.parametrize("state", ON_THE_WAY)
@pytest.mark.parametrize("event", [E.FILL, E.PARTIAL_FILL, E.CANCELLED, E.EXPIRE, E.OUTCOME_LOST, E.CANCEL_FAILED])
def test_whatever_the_venue_may_say_about_a_live_order_is_understood(state: OrderState, event: OrderEvent):
    assert (state, event) in TRANSITIONS


@pytest.mark.parametrize("state", OrderState)
def test_a_fill_is_never_refused_once_the_order_may_have_left(state: OrderState):
    if state not in (S.CREATED, S.VALIDATED, S.SUBMITTING):
        assert (state, E.FILL) in TRANSITIONS
        assert (state, E.PARTIAL_FILL) in TRANSITIONS


@pytest.mark.parametrize(
    ("story", "end"),
    [
        pytest.param((E.ACK, E.FILL), S.FILLED, id="taken whole"),
        pytest.param((E.ACK, E.PARTIAL_FILL, E.FILL), S.FILLED, id="taken in two"),
        pytest.param((E.ACK, E.PARTIAL_FILL, E.EXPIRE), S.EXPIRED, id="ioc with a rest"),
        pytest.param((E.ACK, E.CANCELLED), S.CANCELLED, id="cancelled"),
        pytest.param((E.ACK, E.PARTIAL_FILL, E.CANCELLED), S.CANCELLED, id="cancelled after a fill"),
        pytest.param((E.OUTCOME_LOST, E.ACK, E.FILL), S.FILLED, id="lost and found filled"),
        pytest.param((E.OUTCOME_LOST, E.ACK, E.CANCELLED), S.CANCELLED, id="lost and found cancelled"),
    ],
)
def test_late_doubled_and_reordered_reports_converge(story: tuple[OrderEvent, ...], end: OrderState):
    for order_of_arrival in permutations(story):
        # The last fill is the one that completes the order, whichever report brings it.
        order = order_in(S.SUBMITTED)
        for event in (*order_of_arrival, *order_of_arrival):
            order.apply_event(event)
        assert order.state == end, [event.name for event in order_of_arrival]


def test_a_cancel_before_the_command_left_ends_it_as_not_sent():
    order = order_in(S.SUBMITTING)
    order.apply_event(E.CANCEL_REQUEST)
    assert order.state == S.NOT_SENT


class OrderBookMachine(RuleBasedStateMachine):
    """Orders in random states against a naive model: who is live, who is settled, who is found under which name."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = ClientIds("ct")
        self.orders = Orders(self.ids, 2, orders_max=8, closed_kept_max=4)
        self.known: dict[int, Order] = {}
        self.live: set[int] = set()
        self.number = 0
        self.settled: list[int] = []

    @rule(index=st.integers(0, 1))
    def take(self, index: int) -> None:
        self.number += 1
        order_id = 1 << 40 | self.number
        order = self.orders.try_take(order_id, index)
        if len(self.live) >= 8:
            assert order is None
            return
        assert order is not None
        order.state = int(S.SUBMITTED)
        order.quantity_lots = 10
        self.known[order_id] = order
        self.live.add(order_id)
        self.orders.learn_venue_id(order, 10_000 + self.number)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), event=st.sampled_from(sorted(VENUE_EVENTS)))
    def report(self, data: st.DataObject, event: OrderEvent) -> None:
        order_id = data.draw(st.sampled_from(sorted(self.live)))
        order = self.known[order_id]
        order.apply_event(event)
        if event == E.PARTIAL_FILL:
            order.venue_filled_lots = max(order.venue_filled_lots, order.filled_lots + 1)
        if data.draw(st.booleans()):
            order.filled_lots = order.venue_filled_lots
        if order.is_settled:
            self.orders.settle(order)
            self.orders.settle(order)  # Twice is once.
            self.live.discard(order_id)
            self.settled.append(order_id)

    @invariant()
    def the_indexes_agree(self) -> None:
        assert set(self.orders.unsettled) == self.live
        for order_id in self.live:
            order = self.known[order_id]
            assert self.orders.by_client_id(self.ids.client_order_id(order_id)) is order
            assert self.orders.by_venue_id(order.instrument_index, order.venue_order_id) is order
            assert order_id in self.orders.unsettled_of[order.instrument_index]
        assert sum(map(len, self.orders.unsettled_of)) == len(self.live)

    @invariant()
    def only_the_newest_settled_ones_are_kept(self) -> None:
        kept = self.settled[-4:]
        assert set(self.orders.by_id) == self.live | set(kept)
        assert len(self.orders.by_id) <= 12


TestOrderBook = OrderBookMachine.TestCase


def test_an_order_is_settled_only_when_every_fill_the_venue_counts_is_booked():
    order = order_in(S.CANCELLED)
    order.quantity_lots, order.venue_filled_lots, order.filled_lots = 10, 6, 4
    assert order.is_closed
    assert not order.is_settled
    assert order.remaining_lots == 2
    order.filled_lots = 6
    assert order.is_settled
    assert order.remaining_lots == 0


def test_a_trade_with_ourselves_is_two_fills():
    fills = FillMemory(1)
    assert fills.try_book(0, 77, 1)
    assert fills.try_book(0, 77, -1)
    assert not fills.try_book(0, 77, 1)


def test_forgotten_trade_ids_still_count_as_booked():
    fills = FillMemory(1, kept_max=10)
    for trade_id in range(1, 31):
        assert fills.try_book(0, trade_id, 1)
    assert not fills.try_book(0, 3, 1)
    assert not fills.try_book(0, 25, 1)
    assert fills.try_book(0, 31, 1)


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([1, -1])), max_size=60))
def test_any_sequence_of_fills_books_each_trade_and_side_once(told: list[tuple[int, int]]):
    fills = FillMemory(1)
    booked = [key for key in told if fills.try_book(0, *key)]
    assert sorted(booked) == sorted(set(told))


def test_a_fee_that_comes_later_is_taken_once():
    fills = FillMemory(1)
    fills.try_book(0, 5, 1)
    fills.expect_fee(0, 5, 1)
    assert fills.has_fees_due()
    assert not fills.is_booked(0, 5, 1)
    assert fills.take_fee(0, 5, 1)
    assert not fills.take_fee(0, 5, 1)
    assert not fills.has_fees_due()
    assert fills.is_booked(0, 5, 1)


def test_the_table_for_the_hot_path_has_the_terminal_states():
    assert [S(number) for number, is_terminal in enumerate(IS_TERMINAL) if is_terminal] == sorted(TERMINAL)
