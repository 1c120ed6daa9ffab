"""A second life: what the journal remembers and what the venue says become the same books as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prepost_room import (
    ETH_PERP,
    INSTRUMENTS,
    PERP,
    SPOT,
    FakeVenue,
    Room,
    fills_whole,
    rests,
    takes,
    test_parameters,
)

from reactor.domain.messages import FLAG_HEDGE, ControlKind, ReportKind, raw_bytes
from reactor.journal.history import read_history
from reactor.journal.memory import History, RememberedFill
from reactor.journal.schema import Words, names_of
from reactor.journal.store import Store, StoreParameters
from reactor.prepost.kill_switch import HALTED, Pull
from reactor.prepost.orders import IS_TERMINAL, OrderEvent, OrderState
from reactor.prepost.pairs import PairState
from reactor.prepost.restore import _book

WORDS = Words(
    order_states=names_of(OrderState),
    order_events=names_of(OrderEvent),
    pair_states=names_of(PairState),
    actions=names_of(Pull),
    final_order_states=frozenset(int(state) for state in OrderState if IS_TERMINAL[state]),
    final_pair_states=frozenset({int(PairState.IDLE)}),
)


class Journal:
    """The real journal, written synchronously."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = Store(path, StoreParameters(), INSTRUMENTS, WORDS)
        self._written = 0

    def write(self, room: Room, lost: int = 0) -> None:
        """What prepost has put into its ring, except the last `lost` entries."""
        room._collect()
        entries = room.journal[: len(room.journal) - lost]
        self._store.write(b"".join(raw_bytes(entry, "journal") for entry in entries))

    def remember(self, epoch: int, wall_ns: int) -> History:
        history, _ = read_history(self.path, INSTRUMENTS, ((SPOT, PERP),), epoch, wall_ns=lambda: wall_ns)
        return history


def restart(room: Room, journal: Journal, lost: int = 0, down_ms: float = 500.0) -> Room:
    """Prepost dies here and now; its successor reads the journal and asks the venue."""
    journal.write(room, lost)
    room.clock.advance(int(down_ms * 1e6))
    epoch = room.desk.epoch + 1
    room.venue.read()  # the engine lives: what was in its ring is sent
    successor = Room(room.parameters, journal.remember(epoch, room.clock.realtime_ns()), room.venue, room.clock)
    for index, top in enumerate(room.tops):
        successor.top(index, top.bid_ticks, top.ask_ticks)
    return successor  # The engine lives on: nobody tells the successor that its sessions are up.


def lives_check(room: Room) -> None:
    """The books of this life are the venue's."""
    for index, lots in room.venue.positions.items():
        assert room.desk.positions[index].base_e8 == INSTRUMENTS[index].base_e8(lots)
    for (venue, asset), amount in room.venue.wallets.items():
        assert room.desk.balances.expected_e8(venue, asset) == amount, asset


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_an_open_pair_is_found_again_and_closed(room: Room, journal: Journal):
    room.open()
    room.settle()
    before = room.desk.pairs[0]
    after = restart(room, journal)
    after.run(3_000)
    pair = after.desk.pairs[0]
    assert after.desk.is_reconciled
    assert (pair.state, pair.direction, pair.sequence) == (PairState.OPEN, -1, 1)
    assert pair.entry_spread_e8 == before.entry_spread_e8
    assert pair.open_position.base_e8 == before.open_position.base_e8
    assert pair.hedge_position.value == before.hedge_position.value
    assert after.desk.positions[SPOT].realised == room.desk.positions[SPOT].realised
    assert after.desk.money.fees_e8 == room.desk.money.fees_e8
    assert len(after.venue.places) == 2, "a restart trades nothing"
    after.close()
    after.settle()
    assert after.venue.positions[PERP] == 0
    lives_check(after)
    assert abs(pair.open_position.base_e8) < 1000


def test_a_fill_that_the_dead_one_never_saw_is_booked_and_hedged(room: Room, journal: Journal):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.turn(2)
    room.venue.mute = True
    room.venue.fill(room.venue.places[0], 200)
    room.venue.mute = False
    after = restart(room, journal)
    after.run(5_000)
    assert after.venue.positions[PERP] == -2
    assert after.desk.pairs[0].state == PairState.OPEN
    lives_check(after)


def test_an_order_that_the_journal_never_saw_is_recognised_by_the_venues_word_and_hedged(room: Room, journal: Journal):
    journal.write(room)
    room.journal.clear()
    room.open()
    room.turn(1)  # placed and filled; the journal has heard nothing of it
    room.journal.clear()
    after = restart(room, journal)
    after.run(8_000)
    assert after.desk.is_reconciled
    assert after.venue.positions[PERP] == -2
    lives_check(after)


def test_a_resting_order_is_known_again_and_can_be_cancelled(room: Room, journal: Journal):
    room.venue.script = [rests]
    room.order(1, 200, 6_400_000)
    room.settle()
    after = restart(room, journal)
    after.run(3_000)
    order = next(iter(after.desk.orders.unsettled.values()))
    assert order.state == OrderState.ACKNOWLEDGED
    after.control(ControlKind.CANCEL_ALL)
    after.settle()
    assert not after.desk.orders.unsettled
    lives_check(after)


def test_ids_of_a_second_life_are_new(room: Room, journal: Journal):
    room.open()
    room.settle()
    after = restart(room, journal)
    after.run(3_000)
    after.close()
    after.settle()
    names = [order.client_order_id for order in after.venue.places]
    assert len(names) == len(set(names)) == 4


def test_a_closing_pair_goes_on_closing(room: Room, journal: Journal):
    room.open()
    room.settle()
    room.venue.script = [takes(0), fills_whole]
    room.close()
    room.turn(2)
    after = restart(room, journal)
    after.run(5_000)
    assert after.venue.positions[PERP] == 0
    assert after.desk.pairs[0].state == PairState.IDLE
    lives_check(after)


def test_halted_stays_halted_and_a_stop_does_not_last(room: Room, journal: Journal):
    room.control(ControlKind.HALT)
    room.turn()
    after = restart(room, journal)
    assert after.desk.kill_switch.state == HALTED
    after.control(ControlKind.RESUME)
    after.stop()
    after.run(2_000)
    again = restart(after, journal)
    assert again.desk.kill_switch.state == 0


def test_restoring_twice_from_one_journal_gives_the_same_books(room: Room, journal: Journal):
    for _ in range(3):
        room.open()
        room.settle()
        room.close()
        room.settle()
    first = restart(room, journal)
    first.run(3_000)
    second = restart(first, journal)
    second.run(3_000)
    for one, other in zip(first.desk.positions, second.desk.positions, strict=True):
        assert (one.base_e8, one.value, one.realised, one.fees_e8, one.fills) == (
            other.base_e8,
            other.value,
            other.realised,
            other.fees_e8,
            other.fills,
        )
    lives_check(second)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.integers(0, 12),
    lost=st.integers(0, 6),
    splits=st.lists(st.integers(1, 120), min_size=1, max_size=3),
    is_closing=st.booleans(),
)
def test_dying_at_any_moment_ends_hedged_and_agreed(
    tmp_path_factory, turns: int, lost: int, splits: list[int], is_closing: bool
):
    def piecewise(venue: FakeVenue, order) -> None:
        venue.ack(order)
        for lots in splits:
            if order.instrument_index == SPOT and order.filled_lots + lots <= order.quantity_lots:
                venue.fill(order, lots)
        if order.filled_lots < order.quantity_lots:
            if order.instrument_index == PERP:
                venue.fill(order, order.quantity_lots)
            else:
                venue.expire(order)

    journal = Journal(tmp_path_factory.mktemp("lives") / "journal.sqlite")
    room = Room(test_parameters())
    room.start_trading()
    journal.write(room)
    baseline = len(room.journal)
    room.venue.script = [piecewise]
    if is_closing:
        room.open()
        room.settle()
        room.close()
    else:
        room.open()
    room.turn(turns)
    room._collect()
    after = restart(room, journal, lost=min(lost, len(room.journal) - baseline))
    pair = after.desk.pairs[0]
    for _ in range(150):
        after.run(100, step_ms=20)
        is_calm = pair.state in (PairState.IDLE, PairState.OPEN) and pair.tradable_hedge_lots(650_500) == 0
        if after.desk.is_reconciled and not after.desk.orders.unsettled and is_calm:
            break
    assert after.desk.is_reconciled
    assert not pair.orders
    assert pair.tradable_hedge_lots(650_500) == 0
    assert abs(after.desk.positions[SPOT].base_e8 + after.desk.positions[PERP].base_e8) <= 160_000, "below the hedge minimum"
    assert all(order.flags & FLAG_HEDGE for order in after.venue.places if order.order_id >> 40 == after.desk.epoch)
    lives_check(after)
    assert not after.desk.orders.unsettled


def test_a_fee_that_was_due_at_the_death_is_still_booked_after_it(room: Room):
    # The world found it: a fill told early is journaled without its fee; the successor took the whole report for a repetition.
    early = RememberedFill(PERP, 77, -1, 650_000, 2, order_id=3 << 40 | 9)
    _book(room.desk, early)
    assert not room.desk.fills.is_booked(PERP, 77, -1), "the whole report is still wanted"
    assert room.desk.fills.take_fee(PERP, 77, -1)
    whole = replace(early, trade_id=78, fee_e8=5, asset="USDT")
    _book(room.desk, whole)
    assert room.desk.fills.is_booked(PERP, 78, -1)


EARLY, WHOLE = int(ReportKind.ACK_LITE), int(ReportKind.FILL)
QUOTED = test_parameters(
    risk={
        "capital_usdt_max": 1e6, "order_notional_usdt_max": 1e6, "exposure_ratio_max": 1e3, "exposure_ratio_warning": 1e3,
        "margin_ratio_min": 0.0, "position_clips_max": 100_000,
    },
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    fills=st.lists(
        st.tuples(
            st.sampled_from((1, -1)),
            st.integers(1, 29),
            st.integers(34_001, 36_007),
            st.booleans(),
            st.sampled_from(((WHOLE,), (EARLY, WHOLE), (EARLY,), (EARLY, WHOLE, WHOLE))),
        ),
        min_size=20,
        max_size=40,
    )
)
def test_many_small_maker_fills_leave_the_wallet_of_the_venue_live_and_remembered(
    tmp_path_factory, fills: list[tuple[int, int, int, bool, tuple[int, ...]]]
):
    # A market maker's session ended some 1e-8 USDT off: a fill that is told early was journaled with the profit that we
    # reckon, and kept it when the venue's own, rounded in its own way, came with the fee.
    room = Room(QUOTED)
    room.start_trading()
    room.venue.script = [rests]
    room.order(1, 5_000, 35_000, index=ETH_PERP)
    room.order(-1, 5_000, 35_020, index=ETH_PERP)
    room.turn(3)
    buy, sell = room.venue.places
    late = []
    for side, lots, ticks, is_free, told in fills:
        fill = room.venue.fill(buy if side > 0 else sell, lots, ticks, is_free, told)
        if told == (EARLY,):
            late.append(fill)
        room.turn()
    for fill in late:
        room.venue.tell_again(fill)
    room.turn()
    room.check_books()
    journal = Journal(tmp_path_factory.mktemp("fills") / "journal.sqlite")
    journal.write(room)
    history = journal.remember(room.desk.epoch + 1, room.clock.realtime_ns())
    lives_check(Room(QUOTED, history, room.venue, room.clock))  # It has not asked the venue anything yet.
    assert sum(fill.realised_e8 or 0 for fill in history.fills) == sum(fill.realised_e8 for fill in room.venue.fills)
