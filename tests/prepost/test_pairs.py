"""The pair's states as a table, and its one ledger."""

import pytest
from prepost_room import INSTRUMENTS, PERP, SPOT

from reactor.domain.errors import ConfigError
from reactor.prepost.orders import Leg, Order, OrderState
from reactor.prepost.pairs import TRANSITIONS, Pair, PairEvent, PairState
from reactor.prepost.parameters import PairParameters, PrepostParameters
from reactor.prepost.terms import Terms

HALF_LOT_E8 = 50_000


def pair(**parameters) -> Pair:
    return Pair(0, PairParameters(SPOT, PERP, **parameters), Terms(INSTRUMENTS[SPOT]), Terms(INSTRUMENTS[PERP]))


def hedge_order(side: int, lots: int, filled: int = 0, state: OrderState = OrderState.SUBMITTED) -> Order:
    order = Order()
    order.order_id, order.leg, order.side, order.quantity_lots, order.filled_lots = 1, int(Leg.HEDGE), side, lots, filled
    order.state = int(state)
    return order


@pytest.mark.parametrize("state", PairState)
@pytest.mark.parametrize("event", PairEvent)
def test_every_pair_of_state_and_event_is_in_the_table_or_refused_without_a_trace(state: PairState, event: PairEvent):
    it = pair()
    it.state = int(state)
    wanted = TRANSITIONS.get((state, event))
    assert it.apply_event(event) is (wanted is not None)
    assert it.state == (state if wanted is None else wanted)
    assert it.illegal == (wanted is None)


@pytest.mark.parametrize("state", [state for state in PairState if state != PairState.IDLE])
def test_from_everywhere_there_is_a_way_home(state: PairState):
    reached, todo = {state}, [state]
    while todo:
        here = todo.pop()
        for (before, _), after in TRANSITIONS.items():
            if before == here and after not in reached:
                reached.add(after)
                todo.append(after)
    assert PairState.IDLE in reached


def test_required_is_target_less_done_less_in_flight():
    it = pair()
    it.state = int(PairState.OPENING)
    it.open_position.apply_fill(1, 500, 6_500_000)
    assert it.required_hedge_lots() == -5
    it.hedge_position.apply_fill(-1, 2, 650_000)
    assert it.required_hedge_lots() == -3
    it.orders[1] = hedge_order(-1, 3)
    assert it.required_hedge_lots() == 0
    it.orders[1].filled_lots = 1
    it.hedge_position.apply_fill(-1, 1, 650_000)
    assert it.required_hedge_lots() == 0
    it.orders[1].state = int(OrderState.EXPIRED)
    assert it.required_hedge_lots() == -2


def test_a_closed_order_with_fills_that_we_have_not_seen_is_still_in_flight():
    it = pair()
    it.state = int(PairState.OPEN)
    it.open_position.apply_fill(1, 500, 6_500_000)
    order = hedge_order(-1, 5, state=OrderState.CANCELLED)
    order.venue_filled_lots = 4
    it.orders[1] = order
    assert it.required_hedge_lots() == -1


def test_while_leaving_the_target_is_zero():
    it = pair()
    it.state = int(PairState.CLOSING)
    it.open_position.apply_fill(1, 500, 6_500_000)
    it.hedge_position.apply_fill(-1, 5, 650_000)
    assert it.required_hedge_lots() == 5
    assert it.unwind_lots() == -500


def test_what_is_under_the_minimum_is_carried_into_the_next_hedge():
    it = pair()
    it.state = int(PairState.OPEN)
    it.open_position.apply_fill(1, 140, 6_500_000)
    assert it.required_hedge_lots() == -1
    assert it.tradable_hedge_lots(650_000) == 0, "65 USDT: the venue wants 100"
    it.open_position.apply_fill(1, 60, 6_500_000)
    assert it.tradable_hedge_lots(650_000) == -2


def test_a_fee_in_the_coin_changes_what_is_to_hedge():
    it = pair()
    it.state = int(PairState.OPEN)
    it.open_position.apply_fill(1, 250, 6_500_000)  # 0.0025 exactly between: towards zero
    assert it.required_hedge_lots() == -2
    it.open_position.change(HALF_LOT_E8 // 10, 6_500_000)
    assert it.required_hedge_lots() == -3
    it.open_position.apply_base_fee(HALF_LOT_E8 // 5, 6_500_000)
    assert it.required_hedge_lots() == -2


def test_the_entry_spread_is_hedge_over_open():
    it = pair()
    it.open_position.apply_fill(1, 200, 6_500_000)
    it.hedge_position.apply_fill(-1, 2, 653_250)
    assert it.entry_spread() == 500_000, "0.5 % · 1e8"


def test_a_round_trip_counts_its_own_money_only():
    it = pair()
    it.begin(-1, 1, 1)
    it.open_position.apply_fill(1, 200, 6_500_000)
    it.open_position.apply_fill(-1, 200, 6_600_000)
    it.open_position.fees_e8 += 7
    first = it.round_trip()
    assert first == (2 * 10**8, 7, 0)
    it.begin(-1, 2, 2)
    assert it.round_trip() == (0, 0, 0)
    assert it.sequence == 2


def test_a_leg_belongs_to_one_pair():
    with pytest.raises(ConfigError, match="leg of pair 0 already"):
        PrepostParameters(pairs=(PairParameters(0, 1), PairParameters(2, 1))).check(INSTRUMENTS)


def test_a_pair_of_instruments_that_do_not_exist_is_refused():
    with pytest.raises(ConfigError, match="no instrument number 77"):
        PrepostParameters(pairs=(PairParameters(0, 77),)).check(INSTRUMENTS)
