"""What the room writes down of an order: every number of it, packed in one crossing, and its quota with it."""

from typing import Any

from prepost_room import PERP, SPOT, Room, rests, takes

from reactor.domain.messages import (
    NO_INSTRUMENT,
    NO_PAIR,
    EventKind,
    JournalKind,
    OrderType,
    Stage,
    TimeInForce,
    Venue,
    raw_text,
)
from reactor.prepost.orders import OrderEvent, OrderState


def entries_of(room: Room, kind: int) -> list[Any]:
    return [entry for entry in room.journal if entry.header.kind == kind]


def test_an_order_is_written_with_everything_that_its_next_life_needs(room: Room) -> None:
    room.venue.script = [takes(40)]
    room.order(1, 200, 6_500_001, tif=int(TimeInForce.IOC))
    room.settle()
    made, *_, ended = entries_of(room, JournalKind.ORDER)
    (order,) = room.desk.orders.by_id.values()
    for entry in (made, ended):
        header = entry.header
        assert (header.order_id, header.signal_id) == (order.order_id, order.signal_id)
        assert (header.instrument_index, header.hedge_instrument_index) == (SPOT, NO_INSTRUMENT)
        assert (header.pair_id, header.pair_sequence, header.flags) == (order.pair_id, order.pair_sequence, order.flags)
        assert raw_text(entry.client_order_id) == order.client_order_id
        assert (entry.venue, entry.side, entry.price_ticks, entry.quantity_lots) == (Venue.BINANCE_SPOT, 1, 6_500_001, 200)
        assert (entry.order_type, entry.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
        assert entry.values[4] == order.leg
        assert entry.wall_ns > 0
        assert (entry.trade_id, entry.fee_e8, entry.amount_e8, raw_text(entry.text)) == (0, 0, 0, b"")
    assert (made.state_from, made.state_to, made.event) == (OrderState.CREATED, OrderState.SUBMITTED, OrderEvent.SUBMIT)
    assert (ended.state_to, ended.cumulative_lots, ended.venue_order_id) == (order.state, 40, order.venue_order_id)


def test_quota_is_reserved_and_returned_in_the_orders_own_entries(room: Room) -> None:
    room.venue.script = [takes(40)]
    room.order(1, 200, 6_500_001, tif=int(TimeInForce.IOC))
    room.settle()
    assert [entry.values[0] for entry in entries_of(room, JournalKind.ORDER)] == [200, 200, 160, 0]
    capital = [entry.values[1] for entry in entries_of(room, JournalKind.ORDER)]
    assert capital[0] == capital[1] > capital[2] > capital[3] == 0
    assert entries_of(room, JournalKind.QUOTA) == []


def test_a_fill_is_written_with_its_fee_and_what_it_made_of_the_position(room: Room) -> None:
    room.venue.script = [takes(40)]
    room.order(1, 200, 6_500_001, tif=int(TimeInForce.IOC))
    room.settle()
    (entry,) = entries_of(room, JournalKind.FILL)
    (fill,), (order,) = room.venue.fills, room.desk.orders.by_id.values()
    assert (entry.header.order_id, entry.header.instrument_index) == (order.order_id, SPOT)
    assert (entry.trade_id, entry.price_ticks, entry.quantity_lots, entry.side) == (fill.trade_id, fill.price_ticks, 40, 1)
    assert (entry.fee_e8, raw_text(entry.asset)) == (fill.fee_e8, fill.asset.encode())
    assert raw_text(entry.client_order_id) == order.client_order_id
    position = room.desk.positions[SPOT]
    assert (entry.values[0], entry.values[1]) == (position.lots, position.entry_price_ticks_e8)
    assert entry.values[3] == 40 * 10**3 * fill.price_ticks // 100, "the notional in 1e-8 USDT"


def test_entries_are_numbered_as_the_ring_counts_them(room: Room) -> None:
    room.open()
    room.settle()
    numbers = [entry.header.sequence for entry in room.journal]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {entry.header.instrument_index for entry in entries_of(room, JournalKind.FILL)} == {SPOT, PERP}
    assert all(entry.header.pair_id != NO_PAIR for entry in entries_of(room, JournalKind.FILL))


def test_an_order_is_written_with_the_stamps_of_its_way_out_and_of_each_answer(room: Room) -> None:
    room.venue.script = [takes(40)]
    room.order(1, 200, 6_500_001, tif=int(TimeInForce.IOC))
    room.settle()
    made, *answered = entries_of(room, JournalKind.ORDER)
    received, signal, event, command, *rest = made.header.stage_ns
    assert 0 < received < event <= command
    assert signal == 0, "a test's event has no signal"
    assert rest == [0, 0, 0], "what has not happened yet has no time"
    assert len(answered) == 3
    for entry in answered:
        stages = list(entry.header.stage_ns)
        assert stages[Stage.ACK] >= command, "when the venue's frame came"
        assert stages[Stage.REPORT] >= stages[Stage.ACK], "when it was applied"


def test_what_no_report_has_caused_has_no_stamps(room: Room) -> None:
    room.venue.script = [rests]
    room.order(1, 200, 6_400_000)
    room.settle()
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1)
    room.settle()
    (entry,) = [each for each in entries_of(room, JournalKind.ORDER) if each.event == OrderEvent.CANCEL_REQUEST]
    assert list(entry.header.stage_ns) == [0] * 7


def test_a_place_that_found_no_room_was_not_committed_yet(room: Room) -> None:
    while room.commands_out.try_claim(0) is not None:
        pass
    room.order(1, 200, 6_500_001)
    room.desk.now_ns = room.clock.monotonic_ns()
    room.role.intake.on_event(room.events.try_peek(0))
    room.role.out.commit()
    room._collect()
    (made,) = entries_of(room, JournalKind.ORDER)
    assert made.state_to == OrderState.SUBMITTING
    assert made.header.stage_ns[Stage.RECEIVE] > 0
    assert made.header.stage_ns[Stage.COMMAND] == 0
