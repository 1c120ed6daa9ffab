"""Writes what happened into the journal ring: every transition, fill, pair, quota, funding, balance and operator's act.

The meaning of every field stands at journal_kind_e in messages.h. Entries gather here, one packer call each, and go into the
ring as a batch: after every event, and after the reports of a pass (what they say is asked again if we die before). The role
reads no input while the ring is nearly full (publish.has_room); what one message causes beyond that room stays here and goes
out first on the next pass.

The stamps of the decision's way, CLOCK_MONOTONIC ns, 0 where it has not been or nobody knows:
    SUBMIT               RECEIVE, SIGNAL, EVENT of what caused it, COMMAND when it was committed (0: held, the ring was full)
    caused by a report   RECEIVE … SEND of its place, ACK when this report's frame left the socket, REPORT when it was applied
    anything else        none

A change of quota travels in the order's own entry; it has one of its own only where no transition goes with it.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, SIZE, JournalKind, new, packer, put_text, room_for, view_in
from reactor.prepost.desk import Desk
from reactor.prepost.orders import Leg, Order, OrderEvent
from reactor.prepost.pairs import Pair
from reactor.prepost.pipeline import Outcome
from reactor.prepost.terms import Terms

NORMAL: Final = 0
ENTRY_SIZE: Final = SIZE["journal"]
ENTRIES_MIN: Final = 256  # of the room; only a cancel-all of many orders needs more
J_ORDER: Final = int(JournalKind.ORDER)
J_FILL: Final = int(JournalKind.FILL)
J_PAIR: Final = int(JournalKind.PAIR)
J_FUNDING: Final = int(JournalKind.FUNDING)
J_QUOTA: Final = int(JournalKind.QUOTA)
J_OPERATOR: Final = int(JournalKind.OPERATOR)
J_BALANCE: Final = int(JournalKind.BALANCE)
LEG_OPEN: Final = int(Leg.OPEN)
LEG_HEDGE: Final = int(Leg.HEDGE)
SUBMIT: Final = int(OrderEvent.SUBMIT)
NO_STAGES: Final = b""

_FROM: Final = ("header.sequence", "header.signal_id", "header.order_id", "header.exchange_ns")
_KIND: Final = ("header.kind", "header.source")
_ABOUT: Final = (
    "header.instrument_index", "header.hedge_instrument_index", "header.flags", "header.pair_id", "header.pair_sequence",
)  # fmt: skip
PACK_ORDER: Final = packer(
    "journal",
    (
        *_FROM, "header.stage_ns[0:6]", "header.stage_ns[6]", *_KIND, *_ABOUT, "client_order_id", "wall_ns", "venue_order_id",
        "price_ticks", "quantity_lots", "cumulative_lots", "values[0]", "values[1]", "values[2]", "values[4]", "venue", "side",
        "order_type", "time_in_force", "state_from", "state_to", "event", "reason",
    ),
)  # fmt: skip
PACK_FILL: Final = packer(
    "journal",
    (
        *_FROM, *_KIND, *_ABOUT, "client_order_id", "asset", "wall_ns", "venue_order_id", "trade_id", "price_ticks",
        "quantity_lots", "cumulative_lots", "fee_e8", "amount_e8", "values[0]", "values[1]", "values[2]", "values[3]",
        "values[4]", "values[5]", "venue", "side",
    ),
)  # fmt: skip


class Ring(Protocol):
    """The part of shm/ring.py's Producer that is used here."""

    capacity: int

    def try_claim(self, lane: int = 0) -> Any: ...
    def commit(self, lane: int = 0) -> None: ...
    def sequence(self, lane: int = 0) -> int: ...
    def free(self, lane: int = 0) -> int: ...
    def write_batch(self, messages: Any, count_max: int, lane: int = 0) -> int: ...


class Recorder:
    """The journal half of the outbox."""

    desk: Desk | None = None

    def __init__(self, journal: Ring, source: int) -> None:
        self._journal = journal
        self._source = source
        self.way_out = NO_STAGES  # of the place that was committed last
        self._room, self._pointer = room_for(ENTRIES_MIN, "journal")  # entries behind one another
        self._end = ENTRIES_MIN * ENTRY_SIZE
        self._at = 0  # where the next one begins
        self._number = 1  # the sequence that it will carry
        self.held_entries = 0  # of these, those that found no room in the ring
        self.journal_left = 0  # entries that surely fit there
        self._blank_journal = new("journal")
        blank_header(self._blank_journal.header, source)

    def _entry(self, kind: int) -> Any:
        """The next entry, with everything that it says of itself, to be filled field by field."""
        if self._at == self._end:
            self._grow()
        entry = view_in(self._room, self._at // ENTRY_SIZE, "journal")
        entry[0] = self._blank_journal[0]
        header = entry.header
        header.kind = kind
        header.sequence = self._number
        if self.desk is not None:
            entry.wall_ns = self.desk.wall_ns
        self._at += ENTRY_SIZE
        self._number += 1
        self.journal_left -= 1
        return entry

    def _grow(self) -> None:
        """Twice the room: one message has caused more than ever before."""
        before, count = self._room, self._end // ENTRY_SIZE
        self._room, self._pointer = room_for(2 * count, "journal")
        self._room[: self._end] = before
        self._end *= 2

    def write_entries(self) -> int:
        """Publishes the entries that have gathered, as many as the ring takes; the others are held. Returns how many went."""
        journal, count = self._journal, self._at // ENTRY_SIZE
        first = journal.sequence(NORMAL) + 1
        if first != self._number - count:  # The ring counts otherwise: it has only now met its reader.
            for index in range(count):
                view_in(self._room, index, "journal").header.sequence = first + index
            self._number = first + count
        written = journal.write_batch(self._pointer, count, NORMAL)
        left = count - written
        self._at = left * ENTRY_SIZE
        self.held_entries = left
        if left:
            self.journal_left = 0
            self._room[: self._at] = self._room[written * ENTRY_SIZE : count * ENTRY_SIZE]
        return written

    def journal_order(
        self, order: Order, state_from: int, event: int, reason: int, stages: bytes = NO_STAGES, report_ns: int = 0
    ) -> None:
        """See desk.Outbox."""
        if event == SUBMIT:
            stages = self.way_out
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        at = self._at
        if at == self._end:
            self._grow()
        PACK_ORDER(
            self._room, at,
            self._number, order.signal_id, order.order_id, order.exchange_ns, stages, report_ns, J_ORDER, self._source,
            order.instrument_index, NO_INSTRUMENT, order.flags, order.pair_id, order.pair_sequence,
            order.client_order_id, desk.wall_ns, order.venue_order_id, order.price_ticks, order.quantity_lots,
            order.filled_lots,
            order.reserved_lots, order.capital_e8, order.filled_value, order.leg,
            order.venue, order.side, order.order_type, order.time_in_force, state_from,
            order.state, event, reason,
        )  # fmt: skip
        self._at = at + ENTRY_SIZE
        self._number += 1
        self.journal_left -= 1

    def journal_fill(self, outcome: Outcome) -> None:
        """See desk.Outbox."""
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        order, terms, pair = outcome.order, outcome.terms, outcome.pair
        position = desk.positions[terms.index]
        signal_id = order_id = leg = filled_lots = pair_sequence = 0
        pair_id, client_order_id, venue_order_id = NO_PAIR, b"", outcome.venue_order_id
        if order is not None:
            signal_id, order_id, leg, filled_lots = order.signal_id, order.order_id, order.leg, order.filled_lots
            pair_id, pair_sequence = order.pair_id, order.pair_sequence
            client_order_id, venue_order_id = order.client_order_id, order.venue_order_id
        elif pair is not None:
            pair_id, pair_sequence = pair.pair_id, pair.sequence
            leg = LEG_HEDGE if pair.hedge is terms else LEG_OPEN
        lots = outcome.fill_lots or outcome.fee_only_lots
        at = self._at
        if at == self._end:
            self._grow()
        PACK_FILL(
            self._room, at,
            self._number, signal_id, order_id, outcome.exchange_ns, J_FILL, self._source,
            terms.index, NO_INSTRUMENT, outcome.flags, pair_id, pair_sequence,
            client_order_id, outcome.asset.encode("ascii", "replace"), desk.wall_ns, venue_order_id, outcome.trade_id,
            outcome.price_ticks, lots, filled_lots, outcome.fee_e8, outcome.realised_e8,
            position.lots, position.entry_price_ticks_e8, outcome.fee_quote_e8,
            terms.quote_e8(outcome.price_ticks, lots * terms.lot_base_e8), leg, position.realised_pnl_e8,
            terms.venue, outcome.side,
        )  # fmt: skip
        self._at = at + ENTRY_SIZE
        self._number += 1
        self.journal_left -= 1

    def journal_pair(self, pair: Pair, state_from: int, event: int, reason: int) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_PAIR)
        self._name_pair(entry.header, pair)
        entry.side = pair.direction
        entry.state_from = state_from
        entry.state_to = pair.state
        entry.event = event
        entry.reason = reason
        entry.quantity_lots = pair.open_position.lots
        entry.cumulative_lots = pair.hedge_position.lots
        values = entry.values
        values[0], values[1], values[2] = pair.round_trip()
        values[3] = pair.entry_spread_e8
        values[4] = pair.carried_e8()
        values[5] = pair.opened_wall_ns

    def journal_quota(self, order: Order, lots: int, capital_e8: int) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_QUOTA)
        self._describe(entry.header, order)
        entry.quantity_lots = lots
        entry.amount_e8 = capital_e8

    def journal_funding(
        self, terms: Terms, pair_id: int, asset: str, amount_e8: int, trade_id: int, exchange_ns: int, flags: int = 0
    ) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_FUNDING)
        entry.header.flags = flags
        entry.header.instrument_index = terms.index
        entry.header.pair_id = pair_id
        entry.header.exchange_ns = exchange_ns
        entry.venue = terms.venue
        put_text(entry.asset, asset)
        entry.amount_e8 = amount_e8
        entry.trade_id = trade_id
        entry.values[0] = amount_e8

    def journal_balance(self, venue: int, asset: str, amount_e8: int, kind: int) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_BALANCE)
        entry.venue = venue
        put_text(entry.asset, asset)
        entry.amount_e8 = amount_e8
        entry.values[2] = kind

    def journal_operator(
        self, event: int, state_from: int, state_to: int, reason: int, text: str, instrument_index: int = NO_INSTRUMENT
    ) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_OPERATOR)
        entry.header.instrument_index = instrument_index
        entry.event = event
        entry.state_from = state_from
        entry.state_to = state_to
        entry.reason = reason
        put_text(entry.text, text)

    def _describe(self, header: Any, order: Order) -> None:
        header.signal_id = order.signal_id
        header.order_id = order.order_id
        header.exchange_ns = order.exchange_ns
        header.instrument_index = order.instrument_index
        header.flags = order.flags
        header.pair_id = order.pair_id
        header.pair_sequence = order.pair_sequence

    def _name_pair(self, header: Any, pair: Pair) -> None:
        header.instrument_index = pair.open.index
        header.hedge_instrument_index = pair.hedge.index
        header.pair_id = pair.pair_id
        header.pair_sequence = pair.sequence


def blank_header(header: Any, source: int) -> None:
    """A header about nothing."""
    header.source = source
    header.instrument_index = NO_INSTRUMENT
    header.hedge_instrument_index = NO_INSTRUMENT
    header.pair_id = NO_PAIR
