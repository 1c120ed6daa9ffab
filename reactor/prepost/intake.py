"""An event becomes decisions. What a trigger has decided is read here, sized, and given to the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from reactor.domain.messages import (
    FLAG_LAST_PART,
    FLAG_QUOTE,
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    EventKind,
    OrderType,
    Reason,
    TimeInForce,
    address_of,
    form,
)
from reactor.prepost.counters import Counter
from reactor.prepost.desk import Desk, is_reducing
from reactor.prepost.kill_switch import HALTED, Pull
from reactor.prepost.orders import Leg
from reactor.prepost.pairs import Pair, PairEvent, PairState
from reactor.prepost.pipeline import Decision
from reactor.prepost.quotes import difference
from reactor.prepost.risk import MS

NONE: Final = int(Reason.NONE)
PAIR_BUSY: Final = int(Reason.PAIR_BUSY)
NO_BOOK: Final = int(Reason.NO_BOOK)
KILL_SWITCH: Final = int(Reason.KILL_SWITCH)
UNKNOWN_ORDER_ID: Final = int(Reason.UNKNOWN_ORDER_ID)
BAD_PARAMETER: Final = int(Reason.BAD_PARAMETER)
BELOW_MINIMUM: Final = int(Reason.BELOW_MINIMUM)
LIMIT: Final = int(OrderType.LIMIT)
MARKET: Final = int(OrderType.MARKET)
IOC: Final = int(TimeInForce.IOC)
POST_ONLY: Final = int(TimeInForce.POST_ONLY)
HEDGE: Final = int(EventKind.HEDGE)
IDLE: Final = int(PairState.IDLE)
PAIR_OPEN: Final = int(PairState.OPEN)
LEG_OPEN: Final = int(Leg.OPEN)
LEG_QUOTE: Final = int(Leg.QUOTE)
RUNGS_MAX: Final = 96  # of one grid: what the collector lets through
EVENT_FORM: Final = form(
    "event",
    (
        "header.signal_id", "header.exchange_ns", "header.stage_ns[0]", "header.stage_ns[1]", "header.stage_ns[2]",
        "header.kind", "header.instrument_index", "header.hedge_instrument_index", "header.flags", "header.pair_id", "side",
        "direction", "order_type", "time_in_force", "strategy_index", "reason", "quantity_lots", "price_ticks",
        "target_order_id", "quote_count",
    ),
)  # fmt: skip
READ_EVENT: Final = EVENT_FORM.read


class Event:
    """What an event_message_t says, read in one crossing. Reused. The rungs of a grid stay in the message."""

    __slots__ = (
        "direction",
        "event_ns",
        "exchange_ns",
        "flags",
        "hedge_instrument_index",
        "instrument_index",
        "kind",
        "order_type",
        "pair_id",
        "price_ticks",
        "quantity_lots",
        "quote_count",
        "reason",
        "receive_ns",
        "side",
        "signal_id",
        "signal_ns",
        "strategy_index",
        "target_order_id",
        "time_in_force",
        "view",
    )

    def read(self, taken: Any) -> None:
        """Takes a message: its view and what EVENT_FORM reads there."""
        (
            self.view, self.signal_id, self.exchange_ns, self.receive_ns, self.signal_ns, self.event_ns,
            self.kind, self.instrument_index, self.hedge_instrument_index, self.flags, self.pair_id, self.side,
            self.direction, self.order_type, self.time_in_force, self.strategy_index, self.reason,
            self.quantity_lots, self.price_ticks, self.target_order_id, self.quote_count,
        ) = taken  # fmt: skip


class Intake:
    """Reads events for one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._decision = Decision()
        self._glance = Decision()  # of nobody
        self._glanced = 0  # pair id
        self._event = Event()
        self._grids: dict[tuple[int, int], list[tuple[int, int]]] = {}
        handlers: dict[int, Callable[[Event], None]] = {
            int(EventKind.OPEN): self._on_open,
            int(EventKind.CLOSE): self._on_close,
            int(EventKind.HEDGE): self._on_hedge,
            int(EventKind.QUOTES): self._on_quotes,
            int(EventKind.ORDER): self._on_order,
            int(EventKind.CANCEL): self._on_cancel,
            int(EventKind.HALT): self._on_halt,
        }
        self._handlers = tuple(handlers.get(kind) for kind in range(max(handlers) + 1))

    def on_event(self, view: Any) -> None:
        """One event, an event_message_t. Malformed ones are counted and dropped."""
        self.on_taken((view, *READ_EVENT(address_of(view))))

    def on_taken(self, taken: Any) -> None:
        """The same: its view and what EVENT_FORM reads there."""
        event = self._event
        event.read(taken)
        kind = event.kind
        handler = self._handlers[kind] if kind < len(self._handlers) else None
        if handler is None:
            self._malformed("an event of unknown kind", kind)
            return
        handler(event)

    # ---- pairs

    def _on_open(self, event: Event) -> None:
        desk = self._desk
        pair = self._pair(event)
        if pair is None:
            self._open_single(event)
            return
        decision = self._begin(event, pair.open.index)
        direction, parameters = event.direction, pair.parameters
        decision.pair = pair
        decision.pair_id = pair.pair_id
        decision.leg = LEG_OPEN
        decision.is_opening = True
        if direction not in (-1, 1):
            desk.refuse(decision, BAD_PARAMETER)
            return
        decision.side = -direction  # −1: short the perpetual, long spot
        state = pair.state
        is_adding = state == PAIR_OPEN
        if not (state == IDLE or (is_adding and direction == pair.direction and pair.clips < parameters.clips_max)):
            desk.refuse(decision, PAIR_BUSY)
            return
        reason = self._price_open(decision, pair, event.quantity_lots)
        if reason:
            desk.refuse(decision, reason)
            return
        decision.price_ticks = event.price_ticks
        decision.pair_sequence = pair.sequence if is_adding else pair.sequence + 1
        if desk.decide(decision):
            return
        if not is_adding:
            pair.begin(direction, desk.now_ns, desk.wall_ns)
        pair.clips += 1
        if parameters.opens_as_maker:
            pair.requotes = 0
            pair.opening_lots_left = decision.quantity_lots
            pair.opening_until_ns = desk.now_ns + parameters.maker_ttl_ms * MS
        desk.move_pair(pair, PairEvent.OPEN_SENT)

    def _price_open(self, decision: Decision, pair: Pair, lots: int) -> int:
        """How much, and how it is to be priced: `lots`, or (0) one clip. NONE, or why it cannot be opened now."""
        desk, parameters, terms, side = self._desk, pair.parameters, pair.open, decision.side
        top = desk.read_top(terms.index)
        hedge_top = desk.read_top(pair.hedge.index)
        if top is None or hedge_top is None:
            return NO_BOOK
        bid_ticks, ask_ticks, _, _ = top
        hedge_bid_ticks, hedge_ask_ticks, hedge_receive_ns, _ = hedge_top
        ticks: int = ask_ticks if side > 0 else bid_ticks
        hedge_ticks: int = hedge_bid_ticks if side > 0 else hedge_ask_ticks
        if lots <= 0:
            lots = pair.clip.base_e8((ticks, hedge_ticks)) // terms.lot_base_e8
        hedge_age_ns: int = desk.now_ns - hedge_receive_ns
        if lots <= 0 or hedge_ticks <= 0 or hedge_age_ns > desk.parameters.construction.book_age_ms_max * MS:
            return NO_BOOK  # What cannot be hedged is not opened.
        self._size(decision, lots, ticks)
        if not pair.hedge.is_tradable(abs(pair.hedge.lots_nearest(decision.base_e8)), hedge_ticks):
            return BELOW_MINIMUM
        decision.order_type = LIMIT
        if parameters.opens_as_maker:
            decision.time_in_force = POST_ONLY
        else:
            decision.time_in_force = IOC
            decision.through_ticks = parameters.open_through_ticks
        return NONE

    def glance(self) -> None:
        """Reads what the next open would read, one pair at a time, and decides nothing: whoever comes next finds it warm."""
        pairs = self._desk.pairs
        if not pairs:
            return
        self._glanced = (self._glanced + 1) % len(pairs)
        pair, decision = pairs[self._glanced], self._glance
        decision.clear()
        decision.terms = pair.open
        decision.pair = pair
        decision.pair_id = pair.pair_id
        decision.leg = LEG_OPEN
        decision.is_opening = True
        decision.side = -1 if pair.direction > 0 else 1
        self._price_open(decision, pair, 0)
        self._desk.glance(decision)

    def _open_single(self, event: Event) -> None:
        """An open without a pair: one clip of one instrument."""
        desk = self._desk
        index = event.instrument_index
        if not self._is_known(index):
            return
        decision = self._begin(event, index)
        decision.is_opening = True
        decision.side = 1 if event.side >= 0 else -1
        terms = decision.terms
        ticks = desk.money.mark_ticks(index)
        lots = event.quantity_lots or desk.clips[index].base_e8((ticks,)) // terms.lot_base_e8
        if lots <= 0:
            desk.refuse(decision, NO_BOOK)
            return
        self._size(decision, lots, ticks)
        decision.price_ticks = event.price_ticks
        decision.order_type = LIMIT
        decision.time_in_force = IOC
        decision.through_ticks = desk.parameters.construction.unpaired_through_ticks
        desk.decide(decision)

    def _on_close(self, event: Event) -> None:
        desk = self._desk
        pair = self._pair(event)
        if pair is None:
            self._malformed("a close without a pair", event.instrument_index)
            return
        if desk.is_stopping:
            reason = KILL_SWITCH  # A hedged pair stays at a stop; who wants it closed says flatten.
        elif desk.kill_switch.state == HALTED:
            reason = KILL_SWITCH  # What is halted stays as it is, hedged, until the operator flattens or resumes.
        else:
            stages = (event.receive_ns, event.signal_ns, event.event_ns)
            reason = desk.hedging.close(pair, event.reason, event.signal_id, stages)
        if reason:
            decision = self._begin(event, pair.open.index)
            decision.pair, decision.pair_id, decision.is_close = pair, pair.pair_id, True
            desk.refuse(decision, reason)

    def _on_hedge(self, event: Event) -> None:
        desk = self._desk
        pair = self._pair(event)
        if pair is None:
            self._malformed("a hedge without a pair", event.instrument_index)
            return
        stages = (event.receive_ns, event.signal_ns, event.event_ns)
        reason = desk.hedging.on_event(pair, None, event.signal_id, stages)
        if reason:
            decision = self._begin(event, pair.hedge.index)
            decision.pair, decision.pair_id = pair, pair.pair_id
            desk.refuse(decision, reason)

    # ---- strategies and user triggers

    def _on_order(self, event: Event) -> None:
        desk, index = self._desk, event.instrument_index
        if not self._is_known(index):
            return
        decision = self._begin(event, index)
        side, lots, ticks = event.side, event.quantity_lots, event.price_ticks
        if (side != 1 and side != -1) or lots <= 0 or ticks < 0:
            desk.refuse(decision, BAD_PARAMETER)
            return
        decision.side = side
        decision.order_type = event.order_type
        decision.time_in_force = event.time_in_force
        decision.price_ticks = ticks
        decision.flags = flags = event.flags & FLAG_REDUCE_ONLY
        decision.is_quote = bool(event.flags & FLAG_QUOTE)
        self._size(decision, lots, ticks or desk.money.mark_ticks(index))
        decision.is_opening = not is_reducing(desk.positions[index].base_e8, side, decision.base_e8, flags)
        desk.decide(decision)

    def _on_quotes(self, event: Event) -> None:
        """Parts of a grid are collected until the last one; then only what must move, moves."""
        desk, index = self._desk, event.instrument_index
        if not self._is_known(index):
            return
        key = (event.strategy_index, index)
        grid = self._grids.setdefault(key, [])
        quotes = event.view.quotes
        for position in range(min(event.quote_count, len(quotes))):
            quote = quotes[position]
            if quote.quantity_lots and quote.price_ticks > 0 and len(grid) < RUNGS_MAX:
                grid.append((quote.price_ticks, quote.quantity_lots))
        if not event.flags & FLAG_LAST_PART:
            return
        live = [
            order
            for order in desk.orders.live_of(index)
            if order.leg == LEG_QUOTE and order.strategy_index == event.strategy_index
        ]
        changes = difference(grid, live)
        grid.clear()
        for order in changes.cancels:
            desk.cancel(order)
        for price_ticks, lots in changes.places:
            decision = self._begin(event, index)
            decision.leg = LEG_QUOTE
            decision.is_quote = True
            decision.side = 1 if lots > 0 else -1
            decision.order_type = LIMIT
            decision.time_in_force = POST_ONLY
            decision.price_ticks = price_ticks
            decision.flags = event.flags & FLAG_REDUCE_ONLY
            self._size(decision, abs(lots), price_ticks)
            decision.is_opening = not is_reducing(
                desk.positions[index].base_e8, decision.side, decision.base_e8, decision.flags
            )
            desk.decide(decision)

    def _on_cancel(self, event: Event) -> None:
        desk = self._desk
        target = event.target_order_id
        if target:
            order = desk.orders.by_id.get(target)
            if order is None:
                self._malformed("a cancel for an order nobody knows", target)
            elif not order.wants_cancel:
                desk.cancel(order)
            return
        index = event.instrument_index
        if self._is_known(index):
            desk.cancel_instrument(index, (Leg.SINGLE, Leg.QUOTE, Leg.OPEN))

    def _on_halt(self, event: Event) -> None:
        desk = self._desk
        index = event.instrument_index
        if index == NO_INSTRUMENT:
            desk.pull(Pull.HALT, event.reason, "halt by a trigger")
            for terms in desk.terms:
                desk.cancel_instrument(terms.index, (Leg.SINGLE, Leg.QUOTE, Leg.OPEN))
        elif self._is_known(index):
            desk.halt_instrument(index, event.reason, "halt by a trigger")

    # ---- small things

    def _begin(self, event: Event, index: int) -> Decision:
        decision = self._decision
        decision.clear()
        decision.terms = self._desk.terms[index]
        decision.event = event.kind
        decision.signal_id = event.signal_id
        decision.exchange_ns = event.exchange_ns
        decision.strategy_index = event.strategy_index
        decision.stages = (event.receive_ns, event.signal_ns, event.event_ns)
        decision.origin_ns = event.receive_ns or event.signal_ns
        return decision

    def _size(self, decision: Decision, lots: int, ticks: int) -> None:
        terms = decision.terms
        decision.quantity_lots = lots
        decision.base_e8 = base_e8 = lots * terms.lot_base_e8
        decision.notional_e8 = terms.quote_e8(ticks, base_e8)

    def _pair(self, event: Event) -> Pair | None:
        desk, index = self._desk, event.instrument_index
        if event.pair_id < len(desk.pairs):
            pair: Pair = desk.pairs[event.pair_id]
            if index == pair.open.index or (event.kind == HEDGE and index == pair.hedge.index):
                return pair
        if index < len(desk.pair_of):
            pair_by_leg: Pair | None = desk.pair_of[index]
            if pair_by_leg is not None and event.hedge_instrument_index != NO_INSTRUMENT:
                return pair_by_leg
        return None

    def _is_known(self, index: int) -> bool:
        if index < len(self._desk.terms):
            return True
        self._malformed("an event about an instrument that does not exist", index)
        return False

    def _malformed(self, sentence: str, number: int) -> None:
        self._desk.metrics.count(Counter.EVENTS_MALFORMED)
        self._desk.log.warning(sentence, number=number)
