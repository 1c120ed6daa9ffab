"""Writes what the desk wishes into rings and rows: commands, responses, position and risk rows (the journal: record.py).

Nothing is lost when a ring is full:

    commands   are held here in order and go out first on the next pass; meanwhile the role reads no input. A cancel for a
               held place removes it: it never left the house.
    journal    likewise; and the role stops reading before the ring is full (`has_room`)
    responses  to the collector or a strategy that does not read are kept up to RESPONSES_HELD_MAX, then dropped and counted:
               prepost must never wait for them, because they may be waiting for prepost. Hedges do not depend on them
               (hedging.py's watchdog).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reactor.domain.messages import (
    NO_INSTRUMENT,
    NO_PAIR,
    WAY,
    CommandKind,
    ResponseKind,
    Stage,
    address_of,
    bytes_of,
    form,
    new,
    packer,
)
from reactor.prepost.counters import Counter
from reactor.prepost.desk import Count, Desk
from reactor.prepost.orders import IS_TERMINAL, STRATEGY_LEGS, Order, OrderState
from reactor.prepost.pairs import Pair
from reactor.prepost.pipeline import Decision, Outcome
from reactor.prepost.record import ENTRY_SIZE, Recorder, Ring, blank_header
from shm.layout import Form

NORMAL: Final = 0
URGENT: Final = 1
RESPONSES_HELD_MAX: Final = 4096
JOURNAL_ROOM_MIN: Final = 128  # Entries that one input message causes at most, but for the largest grids and a cancel-all.
COMMAND_ROOM_MIN: Final = 32  # Below it no input is read; what one message causes beyond it is held.
REQUEST_KIND_BITS: Final = 8  # request_id = number << 8 | command_kind_e: an answer says what it answers

PLACE: Final = int(CommandKind.PLACE)
CANCEL: Final = int(CommandKind.CANCEL)
QUERY: Final = int(CommandKind.QUERY)
STAGE_RECEIVE: Final = int(Stage.RECEIVE)
STAGE_SIGNAL: Final = int(Stage.SIGNAL)
STAGE_COMMAND: Final = int(Stage.COMMAND)
R_ACCEPTED: Final = int(ResponseKind.ACCEPTED)
R_REFUSED: Final = int(ResponseKind.REFUSED)
R_HEDGE_REQUIRED: Final = int(ResponseKind.HEDGE_REQUIRED)
R_ACKNOWLEDGED: Final = int(ResponseKind.ACKNOWLEDGED)

_HEADER: Final = (
    "header.kind", "header.source", "header.instrument_index", "header.hedge_instrument_index", "header.flags",
    "header.pair_id", "header.pair_sequence",
)  # fmt: skip
PLACE_FORM: Final = form(
    "command",
    (
        "header.signal_id", "header.order_id", "header.exchange_ns", "header.stage_ns[0]",
        "header.stage_ns[1]", "header.stage_ns[2]", "header.stage_ns[3]", *_HEADER, "client_order_id", "venue", "side",
        "order_type", "time_in_force", "price_ticks", "quantity_lots", "deadline_ns", "request_id",
    ),
)  # fmt: skip
PACK_WAY: Final = struct.Struct("<6Q").pack  # RECEIVE … ACK, as WAY has them
PACK_RESPONSE: Final = packer(
    "response",
    (
        "header.sequence", "header.signal_id", "header.order_id", "header.exchange_ns", *_HEADER, "price_ticks",
        "quantity_lots", "cumulative_lots", "position_lots", "trade_id", "target_order_id", "reason", "side",
        "strategy_index", "order_status", "position_fills",
    ),
)  # fmt: skip


class CommandRing(Ring, Protocol):
    """The part of shm/ring.py's Producer that commands go by."""

    def try_put(self, lane: int, form: Form, /, *values: Any) -> int: ...


class Rows(Protocol):
    """The part of shm/seqlock.py's RowsWriter that is used here."""

    def edit(self, index: int, /) -> Any: ...
    def done(self, index: int, /) -> object: ...


@dataclass
class HeldCommand:
    """A command that found no room."""

    lane: int
    message: Any
    order: Order | None


class Publisher(Recorder):
    """The desk's outbox (desk.Outbox) over rings."""

    def __init__(
        self,
        commands: CommandRing,
        responses: Ring | None,
        strategy_responses: Sequence[Ring],
        journal: Ring,
        positions: Rows,
        risk: Rows,
        monotonic_ns: Callable[[], int],
        metrics: Count,
        source: int = 0,
    ) -> None:
        super().__init__(journal, source)
        self._journal_half = journal.capacity // 2
        self._commands = commands
        self._try_put = commands.try_put
        self._responses = responses
        self._strategies = tuple(strategy_responses)
        self._positions = positions
        self._risk = risk
        self._monotonic_ns = monotonic_ns
        self._metrics = metrics
        self._requests = 0
        self.commands_left = 0
        self.commands_sent = 0
        self.send_at_once: Callable[[], object] | None = None  # an engine in the same shard: sends before we go on
        self._answered: list[Ring] = []  # response rings with something to publish
        self.collector_hears = True  # what becomes of orders; of hedges and pairs it hears anyway
        self.held: deque[HeldCommand] = deque()
        self._held_responses: deque[tuple[Ring, int, Any]] = deque()
        self._blank_command = new("command")
        self._blank_response = new("response")
        # What is written most is packed here, where the memory is warm, and copied into its slot.
        response = new("response")
        self._response, self._response_bytes = response[0], bytes_of(response, "response")
        self._commands_counted = 0
        for blank in (self._blank_command, self._blank_response):
            blank_header(blank.header, source)

    # ---- backpressure

    def has_room(self) -> bool:
        """True if one more input message may be read: whatever it causes can be written or held.

        The rings are asked only when what they granted last time is nearly used up.
        """
        if self.held:
            self._metrics.count(Counter.STALLED_ON_COMMANDS)
            return False
        if self.commands_left < COMMAND_ROOM_MIN:
            commands = self._commands
            self.commands_left = min(commands.free(NORMAL), commands.free(URGENT))
            if self.commands_left < COMMAND_ROOM_MIN:
                self._metrics.count(Counter.STALLED_ON_COMMANDS)
                return False
        if self.held_entries:
            self._metrics.count(Counter.STALLED_ON_JOURNAL)
            return False
        if self.journal_left < JOURNAL_ROOM_MIN:
            self.journal_left = self._journal.free(NORMAL) - self._at // ENTRY_SIZE
            if self.journal_left < JOURNAL_ROOM_MIN:
                self._metrics.count(Counter.STALLED_ON_JOURNAL)
                return False
        return True

    def has_room_for_more(self) -> bool:
        """False: the journal is behind, and what would begin something new waits in its ring. What is under way goes on: its
        entries have the other half of the journal's ring. An alarm ends the waiting: then openings are refused, and closings
        are not."""
        if self.journal_left >= self._journal_half or (self.desk is not None and self.desk.journal_trouble):
            return True
        self.journal_left = self._journal.free(NORMAL) - self._at // ENTRY_SIZE
        if self.journal_left >= self._journal_half:
            return True
        self._metrics.count(Counter.HELD_FOR_JOURNAL)
        return False

    @property
    def is_holding(self) -> bool:
        """Something found no room in its ring: `flush` first."""
        return bool(self.held or self.held_entries or self._held_responses)

    def commit(self) -> None:
        """Publishes the journal entries and responses that the last messages caused: one commit per ring."""
        if self._at:
            self.write_entries()
        if self._answered:
            for ring in self._answered:
                ring.commit(NORMAL)
            self._answered.clear()

    def flush(self) -> int:
        """Sends what was held, in order. Returns how much went out."""
        sent = self.write_entries() if self.held_entries else 0
        while self.held:
            command = self.held[0]
            slot = self._commands.try_claim(command.lane)
            if slot is None:
                break
            self.held.popleft()
            slot[0] = command.message[0]
            self._stamp(slot, command.lane)
            self._send(command.lane)
            if command.order is not None and self.desk is not None:
                self.desk.on_committed(command.order)
            sent += 1
        while self._held_responses:
            ring, lane, message = self._held_responses[0]
            slot = ring.try_claim(lane)
            if slot is None:
                break
            self._held_responses.popleft()
            slot[0] = message[0]
            slot.header.sequence = ring.sequence(lane)
            ring.commit(lane)
            sent += 1
        return sent

    # ---- commands

    def place(self, order: Order, decision: Decision) -> bool:
        """See desk.Outbox."""
        desk, lane = self.desk, decision.lane
        assert desk is not None, "the publisher knows its desk before it is used"
        put = self._pack_only if self.held else self._try_put
        now_ns: int = 0 if self.held else self._monotonic_ns()
        receive_ns, signal_ns, event_ns = decision.stages or (decision.origin_ns, 0, 0)
        self._requests += 1
        sequence: int = put(
            lane, PLACE_FORM,
            order.signal_id, order.order_id, order.exchange_ns, receive_ns, signal_ns, event_ns,
            now_ns, PLACE, self._source, order.instrument_index, NO_INSTRUMENT, order.flags,
            order.pair_id, order.pair_sequence, order.client_order_id, order.venue, order.side,
            order.order_type, order.time_in_force, order.price_ticks, order.quantity_lots,
            order.created_ns + desk.place_deadline_ns if desk.place_deadline_ns else 0,
            desk.epoch << 40 | self._requests << REQUEST_KIND_BITS | PLACE,
        )  # fmt: skip
        if sequence:
            self._send(lane)
        else:  # Its number and its stamp are given when it goes out.
            now_ns = 0
            message = new("command")
            PLACE_FORM.put(address_of(message))
            message.header.stage_ns[STAGE_COMMAND] = 0
            self.held.append(HeldCommand(lane, message, order))
            self.commands_left = 0
        self.way_out = PACK_WAY(receive_ns, signal_ns, event_ns, now_ns, 0, 0)
        return sequence != 0

    def glance(self) -> None:
        """Warms what `place` writes a command with."""
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        PLACE_FORM.pack(
            0, 0, 0, 0, 0, 0, self._monotonic_ns(), PLACE, self._source, 0, NO_INSTRUMENT, 0,
            0, 0, b"", 0, 1, 0, 0, 0, 0, 0, desk.epoch << 40 | self._requests << REQUEST_KIND_BITS | PLACE,
        )  # fmt: skip

    def _pack_only(self, lane: int, command_form: Form, *values: Any) -> int:
        """As `try_put` of a ring that is full: what was held before goes first."""
        command_form.pack(*values)
        return 0

    def cancel(self, order: Order) -> bool:
        """See desk.Outbox."""
        for held in self.held:
            if held.order is order:
                self.held.remove(held)  # It never left: the desk ends it as NOT_SENT.
                return True
        return self._about(CANCEL, order)

    def query(self, order: Order) -> None:
        """See desk.Outbox."""
        self._about(QUERY, order)

    def query_venue_id(self, instrument_index: int, venue_order_id: int) -> int:
        """See desk.Outbox."""
        command = self._blank(QUERY)
        command.header.instrument_index = instrument_index
        assert self.desk is not None, "the publisher knows its desk before it is used"
        command.venue = self.desk.terms[instrument_index].venue
        command.venue_order_id = venue_order_id
        return self._put(command, NORMAL, QUERY)

    def ask(
        self, kind: int, venue: int, instrument_index: int = NO_INSTRUMENT, trade_id: int = 0, since_ms: int = 0, flags: int = 0
    ) -> int:
        """See desk.Outbox."""
        command = self._blank(kind)
        command.header.flags = flags
        command.header.instrument_index = instrument_index
        command.venue = venue
        command.trade_id = trade_id
        command.since_ms = since_ms
        return self._put(command, URGENT if kind == CommandKind.CANCEL_ALL_OURS else NORMAL, kind)

    def _about(self, kind: int, order: Order) -> bool:
        command = self._blank(kind)
        self._describe(command.header, order)
        command.client_order_id = order.client_order_id
        command.venue = order.venue
        command.side = order.side
        command.venue_order_id = order.venue_order_id
        return bool(self._put(command, URGENT, kind))

    def _blank(self, kind: int) -> Any:
        command = new("command")
        command[0] = self._blank_command[0]
        command.header.kind = kind
        return command

    def _put(self, command: Any, lane: int, kind: int) -> int:
        command.request_id = request_id = self._request(kind)
        slot = None if self.held else self._commands.try_claim(lane)
        if slot is None:
            self.held.append(HeldCommand(lane, command, None))
            self.commands_left = 0
        else:
            slot[0] = command[0]
            self._stamp(slot, lane)
            self._send(lane)
        return request_id

    def _request(self, kind: int) -> int:
        self._requests += 1
        assert self.desk is not None, "the publisher knows its desk before it is used"
        return self.desk.epoch << 40 | self._requests << REQUEST_KIND_BITS | kind

    def _stamp(self, slot: Any, lane: int) -> None:
        header = slot.header
        header.sequence = self._commands.sequence(lane)
        header.stage_ns[STAGE_COMMAND] = self._monotonic_ns()

    def _send(self, lane: int) -> None:
        self._commands.commit(lane)
        self.commands_left -= 1
        self.commands_sent += 1
        if self.send_at_once is not None:
            self.send_at_once()

    # ---- responses

    def respond(self, kind: int, outcome: Outcome) -> None:
        """See desk.Outbox."""
        order = outcome.order
        is_strategy = order is not None and order.leg in STRATEGY_LEGS and order.strategy_index < len(self._strategies)
        is_collector = self.collector_hears and kind != R_ACKNOWLEDGED
        if not (is_collector or is_strategy):
            return
        if order is None:
            PACK_RESPONSE(
                self._response_bytes, 0,
                0, 0, 0, 0, kind, self._source, outcome.instrument_index, NO_INSTRUMENT, outcome.flags, NO_PAIR, 0,
                outcome.price_ticks, outcome.fill_lots, 0, 0, outcome.trade_id, 0, outcome.reason, outcome.side, 0, 0, 0,
            )  # fmt: skip
        else:
            desk = self.desk
            assert desk is not None, "the publisher knows its desk before it is used"
            position = desk.positions[outcome.instrument_index]
            PACK_RESPONSE(
                self._response_bytes, 0,
                0, order.signal_id, order.order_id, order.exchange_ns, kind, self._source,
                outcome.instrument_index, NO_INSTRUMENT, outcome.flags, order.pair_id, order.pair_sequence,
                outcome.price_ticks, outcome.fill_lots, order.filled_lots, position.lots, outcome.trade_id, order.order_id,
                outcome.reason, outcome.side, order.strategy_index, order.state, position.fills,
            )  # fmt: skip
        if outcome.way:
            self._response_bytes[WAY] = outcome.way
        if is_collector:
            self._respond(self._responses)
        if is_strategy and order is not None:
            self._respond(self._strategies[order.strategy_index])

    def respond_refused(self, decision: Decision, reason: int) -> None:
        """See desk.Outbox."""
        PACK_RESPONSE(
            self._response_bytes, 0,
            0, decision.signal_id, 0, 0, R_REFUSED, self._source, decision.terms.index, NO_INSTRUMENT, 0,
            decision.pair_id, decision.pair_sequence, decision.price_ticks, decision.quantity_lots, 0, 0, 0, 0,
            reason, decision.side, decision.strategy_index, 0, 0,
        )  # fmt: skip
        if self.collector_hears:
            self._respond(self._responses)
        if decision.leg in STRATEGY_LEGS and decision.strategy_index < len(self._strategies):
            self._respond(self._strategies[decision.strategy_index])

    def respond_accepted(self, order: Order) -> None:
        """To strategies only: the collector hears of fills, refusals and ends, not of what goes as it should."""
        if order.leg not in STRATEGY_LEGS or order.strategy_index >= len(self._strategies):
            return
        desk = self.desk
        assert desk is not None, "the publisher knows its desk before it is used"
        position = desk.positions[order.instrument_index]
        PACK_RESPONSE(
            self._response_bytes, 0,
            0, order.signal_id, order.order_id, order.exchange_ns, R_ACCEPTED, self._source,
            order.instrument_index, NO_INSTRUMENT, order.flags, order.pair_id, order.pair_sequence,
            order.price_ticks, order.quantity_lots, order.filled_lots, position.lots, 0, order.order_id,
            0, order.side, order.strategy_index, order.state, position.fills,
        )  # fmt: skip
        self._respond(self._strategies[order.strategy_index])

    def respond_hedge_required(self, pair: Pair, lots: int, cause: Outcome | None) -> bool:
        """See desk.Outbox."""
        ring = self._responses
        if ring is None or self._held_responses:
            return False
        slot = ring.try_claim(URGENT)
        if slot is None:
            return False
        slot[0] = self._blank_response[0]
        header = slot.header
        header.kind = R_HEDGE_REQUIRED
        self._name_pair(header, pair)
        if cause is not None:
            header.signal_id = cause.signal_id
            header.exchange_ns = cause.exchange_ns
            # The hedge's own way begins with the fill's arrival, not with the tick that led to the open leg.
            header.stage_ns[STAGE_RECEIVE] = cause.receive_ns
            slot.trade_id = cause.trade_id
        header.stage_ns[STAGE_SIGNAL] = self._monotonic_ns()
        slot.quantity_lots = lots
        slot.side = 1 if lots > 0 else -1
        header.sequence = ring.sequence(URGENT)
        ring.commit(URGENT)
        return True

    def respond_pair(self, kind: int, pair: Pair) -> None:
        """See desk.Outbox."""
        PACK_RESPONSE(
            self._response_bytes, 0,
            0, 0, 0, 0, kind, self._source, pair.open.index, pair.hedge.index, 0, pair.pair_id, pair.sequence,
            0, 0, 0, 0, 0, 0, pair.exit_reason, 0, 0, 0, 0,
        )  # fmt: skip
        self._respond(self._responses)

    def _respond(self, ring: Ring | None) -> None:
        """The response under construction, to one reader; kept for it if it does not read."""
        if ring is None:
            return
        slot = None if self._held_responses else ring.try_claim(NORMAL)
        if slot is None:
            self._hold_response(ring)
            return
        slot[0] = self._response
        slot.header.sequence = ring.sequence(NORMAL)
        if ring not in self._answered:
            self._answered.append(ring)

    def _hold_response(self, ring: Ring) -> None:
        if len(self._held_responses) >= RESPONSES_HELD_MAX:
            self._metrics.count(Counter.RESPONSES_DROPPED)
            return
        kept = new("response")
        kept[0] = self._response
        self._held_responses.append((ring, NORMAL, kept))
        self._metrics.count(Counter.RESPONSES_HELD)

    # ---- rows

    def publish_rows(self, desk: Desk) -> None:
        """Position rows that have changed."""
        for index in desk.dirty:
            row = self._positions.edit(index)
            position, quota = desk.positions[index], desk.quota.of[index]
            row.position_lots = position.lots
            row.entry_price_ticks_e8 = position.entry_price_ticks_e8
            row.realised_pnl_e8 = position.realised_pnl_e8
            row.fees_e8 = position.fees_e8
            row.funding_e8 = position.funding_e8
            row.capital_used_e8 = position.capital_e8 + quota.capital_e8
            row.reserved_lots = quota.buy_lots + quota.sell_lots
            row.pending_orders = quota.pending_orders
            row.is_halted = desk.kill_switch.is_halted[index]
            row.trades_today = position.trades_today
            row.fills = position.fills
            pair = desk.pair_of[index]
            if pair is not None and pair.open.index == index:
                row.pair_opened_ns = pair.opened_ns
                row.pair_entry_spread_e8 = pair.entry_spread_e8
                row.pair_direction = pair.direction
                row.pair_state = pair.state
            self._positions.done(index)
        desk.dirty.clear()
        desk.has_moved = False

    def publish_risk(self, desk: Desk, is_confirmed_clean: bool) -> None:
        """The portfolio's row."""
        self._metrics.count(Counter.COMMANDS, self.commands_sent - self._commands_counted)
        self._commands_counted = self.commands_sent
        unknown = sum(order.state == OrderState.UNKNOWN for order in desk.orders.unsettled.values())
        open_orders = sum(not IS_TERMINAL[order.state] for order in desk.orders.unsettled.values())
        row = self._risk.edit(0)
        row.equity_e8 = desk.money.equity_e8
        row.net_exposure_e8 = desk.money.net_exposure_e8
        row.gross_exposure_e8 = desk.money.gross_exposure_e8
        row.realised_pnl_e8 = desk.money.realised_pnl_e8
        row.fees_e8 = desk.money.fees_e8
        row.funding_e8 = desk.money.funding_e8
        row.unrealised_pnl_e8 = desk.money.unrealised_pnl_e8
        row.orders = desk.orders_sent
        row.fills = desk.fills_booked
        row.rejects = desk.rejects
        row.refusals = desk.refusals
        row.pairs_opened = desk.pairs_opened
        row.pairs_closed = desk.pairs_closed
        row.duplicates_detected = desk.duplicates_detected
        row.open_orders = open_orders
        row.unknown_orders = unknown
        row.kill_switch = desk.kill_switch.state
        row.is_reconciled = desk.is_reconciled
        row.trades_today = desk.trades_today
        row.venue_confirmed_clean = is_confirmed_clean
        self._risk.done(0)
