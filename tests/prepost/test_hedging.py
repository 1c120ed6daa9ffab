"""Exactly one hedge per fill: whatever the order of fills, events, watchdogs, deaths and lost answers."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from prepost_room import (
    PERP,
    SPOT,
    FakeOrder,
    FakeVenue,
    Room,
    fills_whole,
    is_not_sent,
    loses_outcome,
    refuses,
    rests,
    takes,
    test_parameters,
)

from reactor.domain.messages import FLAG_HEDGE, EventKind, ResponseKind, Stage
from reactor.prepost.pairs import PairState

HEDGE_LOT_E8 = 100_000
HEDGE_MINIMUM_E8 = 160_000  # 100 USDT at about 65 000, rounded up to the next half lot

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # A failing story is short enough; shrinking one takes minutes.

steps = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(1, 150)),
        st.tuples(st.just("turn"), st.integers(1, 15)),
        st.tuples(st.just("event"), st.integers(-3, 3)),  # a hedge event out of nowhere, doubled or late
        st.tuples(st.just("collector"), st.booleans()),
        st.tuples(st.just("forward"), st.booleans()),  # the collector lives, but its events get lost
        st.tuples(st.just("again"), st.integers(0, 20)),  # a fill is told a second time
    ),
    max_size=30,
)
hedge_answers = st.lists(
    st.sampled_from([fills_whole, takes(0), takes(1), refuses(), is_not_sent(), loses_outcome(True)]), max_size=5
)


def check_ledger(room: Room) -> None:
    """At every moment: what was hedged or may still be is never more than a lot beyond what was filled."""
    pair = room.desk.pairs[0]
    committed = -pair.hedge_position.base_e8
    for order in pair.orders.values():
        if order.instrument_index == PERP:
            committed -= order.side * order.remaining_lots * HEDGE_LOT_E8
    filled = sum(fill.quantity_lots * 1000 for fill in room.venue.fills if fill.order.instrument_index == SPOT)
    assert committed <= filled + HEDGE_LOT_E8 // 2, "hedged twice"


@settings(max_examples=60, deadline=None, phases=QUICK)
@given(steps=steps, answers=hedge_answers, lots=st.integers(200, 900))
def test_any_interleaving_hedges_every_fill_exactly_once(steps, answers, lots):
    room = Room(test_parameters(pair={"hedge_attempts_max": 50, "hedge_patience_ms": 1_000_000}))
    room.start_trading()
    queue = list(answers)

    def answer(venue: FakeVenue, order: FakeOrder) -> None:
        if order.instrument_index == SPOT:
            (fills_whole if order.flags & FLAG_HEDGE else rests)(venue, order)
        else:
            (queue.pop(0) if queue else fills_whole)(venue, order)

    room.venue.script = [answer]
    room.open(quantity_lots=lots)
    room.turn(3)
    spot = room.venue.places[0]
    for step, value in steps:
        if step == "fill" and spot.is_open:
            room.venue.fill(spot, min(value, spot.quantity_lots - spot.filled_lots))
        elif step == "turn":
            room.refresh_tops()
            room.turn(value)
        elif step == "event" and value:
            room.hedge_event(value)
        elif step == "collector":
            room.collector_lives = value
        elif step == "forward":
            room.collector_hedges = value
        elif step == "again" and room.venue.fills:
            room.venue.tell_again(room.venue.fills[value % len(room.venue.fills)])
        check_ledger(room)
    room.venue.cancel(spot) if spot.is_open else None
    pair = room.desk.pairs[0]
    for _ in range(200):
        room.run(100, step_ms=10)
        check_ledger(room)
        if not pair.orders and pair.state in (PairState.OPEN, PairState.IDLE):
            break
    assert pair.state in (PairState.OPEN, PairState.IDLE)
    net = room.desk.positions[SPOT].base_e8 + room.desk.positions[PERP].base_e8
    assert abs(net) <= HEDGE_MINIMUM_E8 if pair.hedge_position.base_e8 else abs(net) < 10_000
    room.check_books()


@settings(max_examples=40, deadline=None, phases=QUICK)
@given(
    open_answer=st.sampled_from([fills_whole, takes(0), takes(60), takes(130), loses_outcome(True), loses_outcome(False)]),
    answers=st.lists(
        st.sampled_from([fills_whole, takes(0), takes(1), refuses(), is_not_sent(), loses_outcome(True)]), max_size=8
    ),
    closes_after=st.integers(0, 40),
    direction=st.sampled_from([-1, 1]),
)
def test_any_round_trip_ends_flat_or_hedged_and_the_books_agree(open_answer, answers, closes_after, direction):
    room = Room(test_parameters())
    room.start_trading()
    room.venue.script = [open_answer, *answers, fills_whole]
    room.open(direction=direction)
    room.turn(closes_after)
    room.close()
    pair = room.desk.pairs[0]
    for _ in range(300):
        room.run(100, step_ms=10)
        if not room.desk.orders.unsettled and pair.state in (PairState.IDLE, PairState.OPEN) and not pair.echo_due_ns:
            break
    net = room.desk.positions[SPOT].base_e8 + room.desk.positions[PERP].base_e8
    assert abs(net) <= HEDGE_MINIMUM_E8
    assert pair.illegal == 0
    room.check_books()


def test_the_required_hedge_is_signed_and_in_the_hedge_venues_lots():
    room = Room(test_parameters())
    room.start_trading()
    room.collector_hedges = False
    room.open()
    room.turn(3)
    required = room.kinds(ResponseKind.HEDGE_REQUIRED)
    assert [(response.quantity_lots, response.side, response.header.pair_id) for response in required] == [(-2, -1, 0)]
    assert (required[0].header.instrument_index, required[0].header.hedge_instrument_index) == (SPOT, PERP)


def test_the_way_of_a_hedge_is_not_taken_for_a_ticks():
    room = Room(test_parameters())
    room.start_trading()
    of_ticks: list[bytes] = []
    of_hedges: list[bytes] = []
    room.role.reports._record_way = lambda way, now_ns: of_ticks.append(way)
    room.role.reports._record_hedge = lambda way, now_ns: of_hedges.append(way)
    room.open()
    room.turn(10)
    assert (len(of_ticks), len(of_hedges)) == (1, 1)


def test_a_hedge_follows_the_signal_that_led_to_it():
    room = Room(test_parameters())
    room.start_trading()
    room.open(signal_id=2 << 48 | 99)
    room.settle()
    assert {command.header.signal_id for command in room.venue.commands if command.header.kind == 0} == {2 << 48 | 99}


def test_both_legs_of_a_close_follow_the_tick_that_wanted_it_and_the_first_carries_its_stamps():
    room = Room(test_parameters())
    room.start_trading()
    room.open(signal_id=2 << 48 | 99)
    room.settle()
    room.venue.commands.clear()
    room.close(signal_id=2 << 48 | 100)
    room.settle()
    closes = [command.header for command in room.venue.commands if command.header.kind == 0]
    assert [header.instrument_index for header in closes] == [SPOT, PERP]
    assert {header.signal_id for header in closes} == {2 << 48 | 100}
    assert closes[0].stage_ns[Stage.RECEIVE] > 0


def test_a_hedge_event_for_a_pair_that_has_nothing_is_refused():
    room = Room(test_parameters())
    room.start_trading()
    room.hedge_event(-5)
    room.settle()
    assert room.venue.places == []


def test_a_close_while_the_open_leg_still_fills_takes_everything_back():
    room = Room(test_parameters())
    room.start_trading()
    room.venue.script = [rests, fills_whole]
    room.open(quantity_lots=400)
    room.turn(3)
    spot = room.venue.places[0]
    room.venue.fill(spot, 200)
    room.turn(4)
    room.close()
    room.venue.fill(spot, 100)  # races the cancel that the close sends
    room.settle()
    assert not spot.is_open
    assert room.desk.pairs[0].state == PairState.IDLE
    assert room.venue.positions[PERP] == 0
    room.check_books()


def test_an_event_about_the_hedge_leg_alone_is_understood():
    room = Room(test_parameters())
    room.start_trading()
    room.collector_hedges = False
    room.open()
    room.turn(3)
    room.event(EventKind.HEDGE, PERP, 0xFFFF, lane=1, side=-1, quantity_lots=2, pair_id=0)
    room.turn(3)
    assert room.venue.positions[PERP] == -2
