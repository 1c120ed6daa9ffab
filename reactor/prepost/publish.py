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

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reactor.domain.messages import (
    NO_INSTRUMENT,
    WAY,
    CommandKind,
    ResponseKind,
    Stage,
    bytes_of,
    new,
)
from reactor.prepost.counters import Counter
from reactor.prepost.desk import Count, Desk
from reactor.prepost.orders import IS_TERMINAL, STRATEGY_LEGS, Order, OrderState
from reactor.prepost.pairs import Pair
from reactor.prepost.pipeline import Decision, Outcome
from reactor.prepost.record import ENTRY_SIZE, Recorder, Ring, blank_header

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
        commands: Ring,
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
        self._commands = commands
        self._responses = responses
        self._strategies = tuple(strategy_responses)
        self._positions = positions
        self._risk = risk
        self._monotonic_ns = monotonic_ns
        self._metrics = metrics
        self._requests = 0
        self.commands_left = 0
        self.commands_sent = 0
        self.hand_over: Callable[[], object] | None = None  # an engine in the same shard: sends before we go on
        self._has_responses = False
        self._response_rings = tuple(ring for ring in (responses, *strategy_responses) if ring is not None)
        self.held: deque[HeldCommand] = deque()
        self._held_responses: deque[tuple[Ring, int, Any]] = deque()
        self._blank_command = new("command")
        self._blank_response = new("response")
        self._scratch = new("response")
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

    @property
    def is_holding(self) -> bool:
        """Something found no room in its ring: `flush` first."""
        return bool(self.held or self.held_entries or self._held_responses)

    def commit(self) -> None:
        """Publishes the journal entries and responses that the last messages caused: one commit per ring."""
        if self._at:
            self.write_entries()
        if self._has_responses:
            self._has_responses = False
            for ring in self._response_rings:
                ring.commit(NORMAL)

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
            self._send(slot, command.lane)
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
        lane = decision.lane
        is_held = bool(self.held)
        slot = None if is_held else self._commands.try_claim(lane)
        command = new("command") if slot is None else slot
        command[0] = self._blank_command[0]
        header = command.header
        if decision.stages is not None:
            header.stage_ns = decision.stages
        elif decision.origin_ns:
            header.stage_ns[STAGE_RECEIVE] = decision.origin_ns
        header.kind = PLACE
        self._describe(header, order)
        command.client_order_id = order.client_order_id
        command.venue = order.venue
        command.side = order.side
        command.order_type = order.order_type
        command.time_in_force = order.time_in_force
        command.price_ticks = order.price_ticks
        command.quantity_lots = order.quantity_lots
        command.request_id = self._request(PLACE)
        if self.desk is not None and self.desk.place_deadline_ns:
            command.deadline_ns = order.created_ns + self.desk.place_deadline_ns
        if slot is None:
            self.held.append(HeldCommand(lane, command, order))
            self.commands_left = 0
        else:
            self._send(slot, lane)
        self.way_out = bytes_of(command, "command")[WAY]
        return slot is not None

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
            self._send(slot, lane)
        return request_id

    def _request(self, kind: int) -> int:
        self._requests += 1
        assert self.desk is not None, "the publisher knows its desk before it is used"
        return self.desk.epoch << 40 | self._requests << REQUEST_KIND_BITS | kind

    def _send(self, slot: Any, lane: int) -> None:
        header = slot.header
        header.sequence = self._commands.sequence(lane)
        header.stage_ns[STAGE_COMMAND] = self._monotonic_ns()
        self._commands.commit(lane)
        self.commands_left -= 1
        self.commands_sent += 1
        self._metrics.count(Counter.COMMANDS)
        if self.hand_over is not None:
            self.hand_over()

    # ---- responses

    def respond(self, kind: int, outcome: Outcome) -> None:
        """See desk.Outbox."""
        order = outcome.order
        is_strategy = order is not None and order.leg in STRATEGY_LEGS and order.strategy_index < len(self._strategies)
        if kind == R_ACKNOWLEDGED and not is_strategy:
            return
        message = self._response(kind, order, outcome.instrument_index)
        header = message.header
        if outcome.stages is not None:
            header.stage_ns = outcome.stages
        header.flags = outcome.flags
        message.price_ticks = outcome.price_ticks
        message.quantity_lots = outcome.fill_lots
        message.trade_id = outcome.trade_id
        message.reason = outcome.reason
        message.side = outcome.side
        if kind != R_ACKNOWLEDGED:
            self._write(self._responses, message, NORMAL)
        if is_strategy and order is not None:
            self._write(self._strategies[order.strategy_index], message, NORMAL)

    def respond_refused(self, decision: Decision, reason: int) -> None:
        """See desk.Outbox."""
        message = self._response(R_REFUSED, None, decision.terms.index)
        header = message.header
        header.signal_id = decision.signal_id
        header.pair_id = decision.pair_id
        header.pair_sequence = decision.pair_sequence
        message.price_ticks = decision.price_ticks
        message.quantity_lots = decision.quantity_lots
        message.reason = reason
        message.side = decision.side
        message.strategy_index = decision.strategy_index
        self._write(self._responses, message, NORMAL)
        if decision.leg in STRATEGY_LEGS and decision.strategy_index < len(self._strategies):
            self._write(self._strategies[decision.strategy_index], message, NORMAL)

    def respond_accepted(self, order: Order) -> None:
        """To strategies only: the collector hears of fills, refusals and ends, not of what goes as it should."""
        if order.leg not in STRATEGY_LEGS or order.strategy_index >= len(self._strategies):
            return
        message = self._response(R_ACCEPTED, order, order.instrument_index)
        message.price_ticks = order.price_ticks
        message.quantity_lots = order.quantity_lots
        self._write(self._strategies[order.strategy_index], message, NORMAL)

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
        message = self._response(kind, None, pair.open.index)
        self._name_pair(message.header, pair)
        message.reason = pair.exit_reason
        self._write(self._responses, message, NORMAL)

    def _response(self, kind: int, order: Order | None, instrument_index: int) -> Any:
        """The one response under construction, filled with what is always the same."""
        message = self._scratch
        message[0] = self._blank_response[0]
        header = message.header
        header.kind = kind
        header.instrument_index = instrument_index
        if order is not None:
            header.signal_id = order.signal_id
            header.order_id = order.order_id
            header.exchange_ns = order.exchange_ns
            header.pair_id = order.pair_id
            header.pair_sequence = order.pair_sequence
            header.flags = order.flags
            message.cumulative_lots = order.filled_lots
            message.target_order_id = order.order_id
            message.side = order.side
            message.strategy_index = order.strategy_index
            message.order_status = order.state
            if self.desk is not None:
                position = self.desk.positions[instrument_index]
                message.position_lots = position.lots
                message.position_fills = position.fills
        return message

    def _write(self, ring: Ring | None, message: Any, lane: int) -> None:
        if ring is None:
            return
        slot = None if self._held_responses else ring.try_claim(lane)
        if slot is None:
            self._hold_response(ring, lane, message)
            return
        slot[0] = message[0]
        slot.header.sequence = ring.sequence(lane)
        self._has_responses = True

    def _hold_response(self, ring: Ring, lane: int, message: Any) -> None:
        if len(self._held_responses) >= RESPONSES_HELD_MAX:
            self._metrics.count(Counter.RESPONSES_DROPPED)
            return
        kept = new("response")
        kept[0] = message[0]
        self._held_responses.append((ring, lane, kept))
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

    def publish_risk(self, desk: Desk, is_confirmed_clean: bool) -> None:
        """The portfolio's row."""
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
