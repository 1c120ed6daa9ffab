"""Questions about orders: how often, and what is done with the answers."""

from typing import Any

from prepost_room import SPOT, Room, rests

from reactor.domain.messages import NO_INSTRUMENT, CommandKind, EventKind, Reason, ReportKind, Venue

# What the world found: see tests/simulation/incidents/test_hummingbot.py.


def test_a_venue_that_refuses_to_cancel_what_it_calls_open_is_not_flooded(room: Room, monkeypatch: Any) -> None:
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000)
    room.settle()
    venue = room.venue

    def refuse(command: Any) -> None:
        venue.say_about(command, ReportKind.CANCEL_REJECT, reason=int(Reason.UNKNOWN_ORDER))

    monkeypatch.setattr(venue, "_cancel", refuse)
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1, target_order_id=venue.places[0].order_id)
    room.run(2_000)
    asked = sum(command.header.kind == CommandKind.CANCEL for command in venue.commands)
    assert 2 <= asked <= 2_000 // room.desk.parameters.inquiry.backoff_ms_first + 1
    monkeypatch.undo()
    room.run(1_000)
    assert not venue.places[0].is_open


def test_a_session_that_is_down_is_no_reason_for_a_pass(room: Room) -> None:
    room.settle()
    room.venue.session(int(Venue.BINANCE_SPOT), is_up=False)
    room.run(60_000, step_ms=500)  # Well beyond the next periodic comparison.
    now_ns = room.desk.now_ns
    assert room.role.settlement.deadline_ns() > now_ns - 1_000_000
