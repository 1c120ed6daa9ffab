"""The way out as a table (how it behaves with a venue stands in test_role.py)."""

import pytest
from prepost_room import PERP, Room, fills_whole, rests, takes

from reactor.domain.messages import CommandKind, ControlKind
from reactor.prepost.stop import TRANSITIONS, Phase, Step


@pytest.mark.parametrize("phase", [Phase.NONE, Phase.FLATTENING, Phase.FLAT, Phase.CANCELLING, Phase.CONFIRMING])
def test_from_every_phase_the_way_leads_to_clean(phase: Phase):
    reached, todo = {phase}, [phase]
    while todo:
        here = todo.pop()
        for (before, _), after in TRANSITIONS.items():
            if before == here and after not in reached:
                reached.add(after)
                todo.append(after)
    assert Phase.CLEAN in reached


def test_clean_is_reached_only_by_the_venues_word():
    assert [key for key, after in TRANSITIONS.items() if after == Phase.CLEAN] == [(Phase.CONFIRMING, Step.CONFIRMED)]


def test_an_order_that_the_venue_still_shows_is_cancelled_again(room: Room):
    room.venue.script = [rests]
    stray = room.venue.place_foreign(0, 1, 300, 6_400_000)
    del room.venue.orders[stray.client_order_id]
    stray.order_id = 3 << 40 | 5
    stray.client_order_id = room.venue.ids.client_order_id(stray.order_id)
    room.venue.orders[stray.client_order_id] = stray
    room.venue.ignores_cancel_all = True
    room.stop()
    room.run(4_000)
    assert not stray.is_open
    assert room.role.stop.is_clean


def test_a_stop_during_flattening_is_taken_when_flat(room: Room):
    room.open()
    room.settle()
    room.control(ControlKind.FLATTEN)
    room.turn(1)
    assert room.role.stop.phase == Phase.FLATTENING
    room.control(ControlKind.STOP)
    room.run(3_000)
    assert room.role.stop.is_clean
    assert sum(command.header.kind == CommandKind.CANCEL_ALL_OURS for command in room.venue.commands) == 2


def test_stop_asked_twice_is_one_stop(room: Room):
    room.stop()
    room.stop()
    room.run(2_000)
    assert room.role.stop.is_clean


def test_a_flatten_that_cannot_succeed_ends_after_its_time(room: Room):
    room.open()
    room.settle()
    room.venue.is_deaf = True
    room.stop(flatten=True)
    room.run(16_000, step_ms=20)
    assert room.role.stop.phase == Phase.CANCELLING


def test_nothing_is_closed_once_a_stop_has_begun(room: Room):
    # The world found it: a pair that came of age after the venues' last word sent two more orders.
    room.open()
    room.settle()
    room.control(ControlKind.STOP)
    room.settle()
    before = len(room.venue.places)
    room.close()
    room.settle()
    assert len(room.venue.places) == before
    assert room.role.stop.is_clean


def test_the_way_out_waits_for_a_hedge_that_no_book_prices(room: Room):
    # The world found it: a gap while the feed was down; each hedge expired, and between two tries the stop called it quiet.
    room.venue.script = [fills_whole, *[takes(0)] * 2, fills_whole]
    room.open()
    for _ in range(1_000):
        room.turn()
        if room.desk.pairs[0].hedge_attempts:
            break
    room.tops[PERP].bid_ticks = room.tops[PERP].ask_ticks = 0
    room.desk.money.marks[PERP] = 0
    room.stop()
    for _ in range(4_000):
        room.turn()
        if room.role.stop.is_clean:
            break
    assert room.role.stop.is_clean
    assert room.venue.positions[PERP] == -2, "hedged before it said so"
    room.check_books()
