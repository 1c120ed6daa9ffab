"""Writes what happened into the journal ring: every transition, fill, pair, quota, funding, balance and operator's act.

The meaning of every field stands at journal_kind_e in messages.h. The role reads no input while the ring is nearly full
(publish.has_room); what one message causes beyond that room is held here and goes out first on the next pass. Entries are
claimed one by one and published once per input message.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, JournalKind, new, put_text
from reactor.prepost.desk import Desk
from reactor.prepost.orders import Leg, Order
from reactor.prepost.pairs import Pair
from reactor.prepost.pipeline import Outcome
from reactor.prepost.terms import Terms

NORMAL: Final = 0
J_ORDER: Final = int(JournalKind.ORDER)
J_FILL: Final = int(JournalKind.FILL)
J_PAIR: Final = int(JournalKind.PAIR)
J_FUNDING: Final = int(JournalKind.FUNDING)
J_QUOTA: Final = int(JournalKind.QUOTA)
J_OPERATOR: Final = int(JournalKind.OPERATOR)
J_BALANCE: Final = int(JournalKind.BALANCE)


class Ring(Protocol):
    """The part of shm/ring.py's Producer that is used here."""

    def try_claim(self, lane: int = 0) -> Any: ...
    def commit(self, lane: int = 0) -> None: ...
    def sequence(self, lane: int = 0) -> int: ...
    def free(self, lane: int = 0) -> int: ...


class Recorder:
    """The journal half of the outbox."""

    desk: Desk | None = None

    def __init__(self, journal: Ring, source: int) -> None:
        self._journal = journal
        self._journal_left = 0  # entries that surely fit
        self._has_entries = False
        self.held_entries: deque[Any] = deque()
        self._blank_journal = new("journal")
        blank_header(self._blank_journal.header, source)

    def _entry(self, kind: int) -> Any:
        """The next entry: a slot of the ring, or, if one message has caused more than the ring can take, one that is held."""
        slot = None if self.held_entries else self._journal.try_claim(NORMAL)
        if slot is None:
            entry = new("journal")
            self.held_entries.append(entry)
        else:
            entry = slot
            self._journal_left -= 1
            self._has_entries = True
        entry[0] = self._blank_journal[0]
        header = entry.header
        header.kind = kind
        if slot is not None:
            header.sequence = self._journal.sequence(NORMAL)
        if self.desk is not None:
            entry.wall_ns = self.desk.wall_ns
        return entry

    def flush_entries(self) -> int:
        """Writes what was held, in order. Returns how many went out."""
        count = 0
        while self.held_entries:
            slot = self._journal.try_claim(NORMAL)
            if slot is None:
                break
            slot[0] = self.held_entries.popleft()[0]
            slot.header.sequence = self._journal.sequence(NORMAL)
            self._has_entries = True
            count += 1
        return count

    def journal_order(self, order: Order, state_from: int, event: int, reason: int) -> None:
        """See desk.Outbox."""
        entry = self._entry(J_ORDER)
        self._describe(entry.header, order)
        entry.client_order_id = order.client_order_id
        entry.venue = order.venue
        entry.side = order.side
        entry.order_type = order.order_type
        entry.time_in_force = order.time_in_force
        entry.price_ticks = order.price_ticks
        entry.quantity_lots = order.quantity_lots
        entry.cumulative_lots = order.filled_lots
        entry.venue_order_id = order.venue_order_id
        entry.state_from = state_from
        entry.state_to = order.state
        entry.event = event
        entry.reason = reason
        values = entry.values
        values[0] = order.reserved_lots
        values[1] = order.capital_e8
        values[2] = order.filled_value
        values[4] = order.leg

    def journal_fill(self, outcome: Outcome) -> None:
        """See desk.Outbox."""
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        entry = self._entry(J_FILL)
        header, order, terms = entry.header, outcome.order, outcome.terms
        position = desk.positions[terms.index]
        if order is not None:
            self._describe(header, order)
            entry.client_order_id = order.client_order_id
            entry.venue_order_id = order.venue_order_id
            entry.cumulative_lots = order.filled_lots
            entry.values[4] = order.leg
        else:
            header.instrument_index = terms.index
            entry.venue_order_id = outcome.venue_order_id
            if outcome.pair is not None:
                header.pair_id = outcome.pair.pair_id
                header.pair_sequence = outcome.pair.sequence
                entry.values[4] = int(Leg.HEDGE if outcome.pair.hedge is terms else Leg.OPEN)
        header.flags = outcome.flags
        header.exchange_ns = outcome.exchange_ns
        entry.venue = terms.venue
        entry.side = outcome.side
        entry.trade_id = outcome.trade_id
        entry.price_ticks = outcome.price_ticks
        entry.quantity_lots = outcome.fill_lots or outcome.fee_only_lots
        entry.fee_e8 = outcome.fee_e8
        put_text(entry.asset, outcome.asset)
        entry.amount_e8 = outcome.realised_e8
        values = entry.values
        values[0] = position.lots
        values[1] = position.entry_price_ticks_e8
        values[2] = outcome.fee_quote_e8
        values[3] = terms.quote_e8(outcome.price_ticks, entry.quantity_lots * terms.lot_base_e8)
        values[5] = position.realised_pnl_e8

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
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        entry = self._entry(J_QUOTA)
        self._describe(entry.header, order)
        quota = desk.quota.of[order.instrument_index]
        entry.quantity_lots = lots
        entry.amount_e8 = capital_e8
        values = entry.values
        values[0] = quota.buy_lots + quota.sell_lots
        values[1] = quota.capital_e8
        values[2] = quota.pending_orders
        values[3] = desk.trades_today

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
