"""Works a pair's legs to their targets: who hedges, when, how hard, and what if it fails.

A fill makes something required. While the collector lives, prepost says so (RESPONSE_HEDGE_REQUIRED) and the collector's
EVENT_HEDGE comes back and is checked against the ledger; if it is not back in time, or the collector is gone, prepost hedges
by itself. Whoever comes second finds nothing required.

    required ─▶ told the collector ─▶ event ─▶ hedge order ─▶ filled: nothing required
                       │ not back in hedge_echo_ms_max: watchdog ─▶ hedge order
    hedge ended unfilled ─▶ again after a pause, further through the book ─▶ … ─▶ unwind the open leg, halt the instrument

`work` is idempotent: called after every change of the pair and whenever a deadline of it has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reactor.domain.messages import (
    FLAG_CLOSE,
    FLAG_HEDGE,
    FLAG_REDUCE_ONLY,
    EventKind,
    OrderType,
    Reason,
    ResponseKind,
    TimeInForce,
)
from reactor.domain.units import E8
from reactor.prepost.counters import Counter
from reactor.prepost.orders import IS_TERMINAL, Leg, Order, OrderState
from reactor.prepost.pairs import Pair, PairEvent, PairState
from reactor.prepost.pipeline import Decision, Outcome
from reactor.prepost.terms import Terms

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk

MS: Final = 1_000_000
NONE: Final = int(Reason.NONE)
ALREADY_HEDGED: Final = int(Reason.ALREADY_HEDGED)
BELOW_MINIMUM: Final = int(Reason.BELOW_MINIMUM)
TIMEOUT: Final = int(Reason.TIMEOUT)
LIMIT: Final = int(OrderType.LIMIT)
IOC: Final = int(TimeInForce.IOC)
POST_ONLY: Final = int(TimeInForce.POST_ONLY)
EVENT_HEDGE: Final = int(EventKind.HEDGE)
EVENT_CLOSE: Final = int(EventKind.CLOSE)
EVENT_OPEN: Final = int(EventKind.OPEN)
PAIR_OPENED: Final = int(ResponseKind.PAIR_OPENED)
PAIR_CLOSED: Final = int(ResponseKind.PAIR_CLOSED)
IDLE, OPENING, OPEN, CLOSING, UNWINDING = (int(state) for state in PairState)
LEG_OPEN, LEG_HEDGE, LEG_UNWIND = int(Leg.OPEN), int(Leg.HEDGE), int(Leg.UNWIND)
NOT_SENT: Final = int(OrderState.NOT_SENT)
RESTING: Final = frozenset({int(OrderState.ACKNOWLEDGED), int(OrderState.PARTIALLY_FILLED)})
NEVER_NS: Final = 2**62
UNKNOWN_PAUSE_NS: Final = 10 * MS  # Until the venues' fills are known after a start, the pair is looked at this often.
DOUBLINGS_MAX: Final = 16  # of a price step or a pause; far beyond the collar and the longest pause


class Hedging:
    """One for all pairs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._decision = Decision()
        for pair in desk.pairs:
            pair.may_reduce = self._may_reduce

    # ---- what happens

    def on_outcome(self, pair: Pair, outcome: Outcome) -> None:
        """A fill of the pair, or an order of it that is over."""
        order = outcome.order
        if order is not None:
            if outcome.fill_lots and order.leg == LEG_OPEN:
                pair.opening_lots_left -= outcome.fill_lots
            if outcome.is_settled:
                self._learn(pair, order)
        if pair.state == IDLE and outcome.fill_lots:
            self._resume(pair)
        self.work(pair, outcome)

    def check(self, pair: Pair) -> None:
        """The pair's legs were found not to match (reconciliation)."""
        if pair.state == IDLE:
            self._resume(pair)
        self.work(pair, None)

    def on_event(self, pair: Pair, decision_source: Outcome | None, signal_id: int, stages: object) -> int:
        """The collector's hedge event. 0: something was sent; otherwise why not."""
        pair.echo_due_ns = 0
        lots = self.hedge_lots(pair) if self._is_known(pair) else 0
        if lots == 0:
            self._desk.metrics.count(Counter.HEDGES_ALREADY_DONE)
            return ALREADY_HEDGED
        self._desk.metrics.count(Counter.HEDGES_BY_EVENT)
        return self._hedge(pair, lots, decision_source, signal_id, stages)

    def close(self, pair: Pair, reason: int, signal_id: int = 0, stages: object = None) -> int:
        """Both legs to zero, at once. 0, or why not. `signal_id`, `stages`: of the tick that wants it, where it was one."""
        if pair.state == IDLE:
            return int(Reason.NO_CHANGE)  # It is flat.
        if pair.is_leaving:
            return int(Reason.PAIR_BUSY)
        pair.exit_reason = reason
        pair.calm()
        self._desk.move_pair(pair, PairEvent.CLOSE, reason)
        self.work(pair, None, signal_id, stages)
        return NONE

    def deadline_ns(self, pair: Pair) -> int:
        """When `work` must be called although nothing happened."""
        if pair.state == IDLE:
            return NEVER_NS
        now_ns = self._desk.now_ns
        due = NEVER_NS
        for at_ns in (pair.echo_due_ns, pair.hedge_retry_ns, pair.unwind_retry_ns, pair.opening_until_ns):
            if now_ns < at_ns < due:
                due = at_ns
        return due

    # ---- the work

    def work(self, pair: Pair, cause: Outcome | None, signal_id: int = 0, stages: object = None) -> None:
        """Everything that the pair needs now. `cause`, or `signal_id` and `stages`: what it comes from, for who follows it."""
        state = pair.state
        if state == IDLE:
            return
        if not self._is_known(pair):
            pair.hedge_retry_ns = self._desk.now_ns + UNKNOWN_PAUSE_NS
            return
        if state == OPENING and pair.parameters.opens_as_maker:
            self._work_maker(pair)
        if pair.is_leaving:
            self._work_open_leg_home(pair, signal_id, stages)
        self._work_hedge_leg(pair, cause, signal_id)
        self._settle_state(pair)

    def _work_hedge_leg(self, pair: Pair, cause: Outcome | None, signal_id: int) -> None:
        desk = self._desk
        lots = self.hedge_lots(pair)
        if lots == 0:
            pair.echo_due_ns = 0
            pair.hedge_retry_ns = 0
            if not pair.has_orders(LEG_HEDGE):
                pair.hedge_attempts = 0
                pair.hedge_refusals = 0
                pair.naked_since_ns = 0
            return
        now_ns = desk.now_ns
        parameters = pair.parameters
        if pair.naked_since_ns == 0:
            pair.naked_since_ns = now_ns
        has_failed = pair.hedge_refusals >= parameters.hedge_attempts_max
        # After an engine's death the first attempt comes back unsent and old: one more is tried before giving up.
        is_late = pair.hedge_attempts > 1 and now_ns - pair.naked_since_ns > parameters.hedge_patience_ms * MS
        if (has_failed or is_late) and pair.state in (OPENING, OPEN) and not pair.has_orders(LEG_HEDGE):
            self._give_up(pair)
            return
        if has_failed and pair.state == CLOSING:
            self._leg_stays(pair)
        if now_ns < pair.hedge_retry_ns:
            return
        if pair.is_leaving or pair.hedge_attempts > 0 or not desk.collector_alive(now_ns):
            desk.metrics.count(Counter.HEDGES_BY_PREPOST)
        elif pair.echo_due_ns == 0:
            desk.metrics.count(Counter.HEDGES_REQUIRED)
            if desk.out.respond_hedge_required(pair, lots, cause):
                pair.echo_due_ns = now_ns + int(parameters.hedge_echo_ms_max * MS)
                return
            desk.metrics.count(Counter.HEDGES_BY_PREPOST)
        elif now_ns < pair.echo_due_ns:
            return
        else:
            desk.metrics.count(Counter.HEDGES_BY_WATCHDOG)
        pair.echo_due_ns = 0
        self._hedge(pair, lots, cause, signal_id, None)

    def hedge_lots(self, pair: Pair) -> int:
        """Required now, tradable now, at most one order's worth. While leaving, only what takes the leg back."""
        terms = pair.hedge
        lots = pair.tradable_hedge_lots(self._ticks(terms, pair))
        if lots and pair.is_leaving:
            done_lots = terms.lots_within(pair.hedge_position.base_e8)
            if done_lots == 0 or (done_lots > 0) == (lots > 0):
                return 0  # An opening hedge is still under way: when it is settled, it will be taken back.
            if abs(lots) > abs(done_lots):
                lots = -done_lots
        return max(-terms.lots_max, min(terms.lots_max, lots))

    def _hedge(self, pair: Pair, lots: int, cause: Outcome | None, signal_id: int, stages: object) -> int:
        is_reducing = pair.is_hedge_reducing(lots)
        decision = self._fill(pair, pair.hedge, LEG_HEDGE, lots, pair.parameters.hedge_through_ticks, pair.hedge_refusals)
        decision.event = EVENT_HEDGE
        decision.flags = FLAG_HEDGE | (FLAG_REDUCE_ONLY if is_reducing and pair.hedge.is_perpetual else 0)
        decision.attempt = pair.hedge_attempts
        self._trace(decision, pair, cause, signal_id, stages)
        reason = self._desk.decide(decision)
        if reason:
            self._hedge_failed(pair, reason, has_reached_venue=False)
        return reason

    def _may_reduce(self, terms: Terms, lots: int) -> bool:
        """True if the venue, too, will see the order as reducing. It nets the pair's leg with what somebody else, or a strategy
        of ours, holds in the same instrument: only we know what reduces the pair's."""
        desk, index = self._desk, terms.index
        held_e8 = desk.positions[index].base_e8 + desk.foreign_base_e8[index]
        return (held_e8 > 0) != (lots > 0) and abs(held_e8) >= abs(lots) * terms.lot_base_e8

    def _work_open_leg_home(self, pair: Pair, signal_id: int, stages: object) -> None:
        """The open leg's way back to zero: opening orders go first, then what is filled is sold (or bought back)."""
        desk = self._desk
        for order in list(pair.orders.values()):
            if order.leg == LEG_OPEN and not IS_TERMINAL[order.state] and not order.wants_cancel:
                desk.cancel(order)
        if pair.has_orders(LEG_UNWIND) or desk.now_ns < pair.unwind_retry_ns:
            return
        terms = pair.open
        lots = pair.tradable_unwind_lots(self._ticks(terms, pair))
        if lots == 0:
            return
        if pair.unwind_attempts >= pair.parameters.unwind_attempts_max:
            self._stuck(pair)
            return
        lots = max(-terms.lots_max, min(terms.lots_max, lots))
        decision = self._fill(pair, terms, LEG_UNWIND, lots, pair.parameters.close_through_ticks, pair.unwind_attempts)
        decision.event = EVENT_CLOSE
        is_reducing = terms.is_perpetual and self._may_reduce(terms, lots)
        decision.flags = FLAG_HEDGE | FLAG_CLOSE | (FLAG_REDUCE_ONLY if is_reducing else 0)
        decision.is_close = True
        self._trace(decision, pair, None, signal_id, stages)
        if pair.state == UNWINDING:
            desk.metrics.count(Counter.UNWINDS)
        if desk.decide(decision):
            pair.unwind_attempts += 1
            pair.unwind_retry_ns = desk.now_ns + self._pause_ns(pair, pair.unwind_attempts)

    def _work_maker(self, pair: Pair) -> None:
        """A resting open leg: its time to live, its re-quotes."""
        desk, parameters, terms = self._desk, pair.parameters, pair.open
        now_ns = desk.now_ns
        is_over = now_ns >= pair.opening_until_ns or desk.kill_switch.state != 0 or desk.kill_switch.is_halted[terms.index]
        live = [order for order in pair.orders.values() if order.leg == LEG_OPEN]
        for order in live:
            if order.wants_cancel or order.state not in RESTING:
                continue
            if is_over:
                desk.cancel(order)
            elif pair.requotes < parameters.requotes_max:
                top = desk.tops(terms.index)
                touch = 0 if top is None else top.bid_ticks if order.side > 0 else top.ask_ticks
                if touch > 0 and (touch - order.price_ticks) * order.side >= parameters.requote_ticks:
                    desk.cancel(order)  # The market has left us; what is unfilled is quoted again at the touch.
        if live or is_over or pair.opening_lots_left <= 0 or now_ns < pair.unwind_retry_ns:
            return
        if pair.requotes >= parameters.requotes_max:
            pair.opening_until_ns = now_ns
            return
        pair.requotes += 1
        side = 1 if pair.direction < 0 else -1
        decision = self._fill(pair, terms, LEG_OPEN, side * pair.opening_lots_left, 0, 0)
        decision.event = EVENT_OPEN
        decision.is_fast = False
        decision.is_opening = True
        decision.skips_cooldown = True
        decision.time_in_force = POST_ONLY
        decision.notional_e8 = terms.quote_e8(desk.money.mark_ticks(terms.index), decision.base_e8)
        if desk.decide(decision):
            pair.opening_until_ns = now_ns  # Risk or the venue's minimum says no: what is filled is all there is.

    def _settle_state(self, pair: Pair) -> None:
        """Moves the pair on when its orders are over."""
        desk = self._desk
        if pair.orders or pair.echo_due_ns:
            return
        state = pair.state
        hedge_lots = self.hedge_lots(pair)
        if state == OPENING:
            if pair.parameters.opens_as_maker and desk.now_ns < pair.opening_until_ns and pair.opening_lots_left > 0:
                return
            if hedge_lots:
                return
            self._opening_over(pair)
        elif pair.is_leaving:
            if hedge_lots == 0 and pair.tradable_unwind_lots(self._ticks(pair.open, pair)) == 0:
                self._flat(pair)
        elif state == OPEN and hedge_lots == 0 and not self._has_legs(pair):
            self._flat(pair)

    def _opening_over(self, pair: Pair) -> None:
        desk = self._desk
        if pair.hedge_position.base_e8 != 0:
            pair.entry_spread_e8 = pair.entry_spread()
            desk.move_pair(pair, PairEvent.LEGS_MATCH)
            if not pair.is_opened_reported:
                pair.is_opened_reported = True
                desk.pairs_opened += 1
                desk.out.respond_pair(PAIR_OPENED, pair)
            return
        if pair.tradable_unwind_lots(self._ticks(pair.open, pair)):
            desk.move_pair(pair, PairEvent.TOO_SMALL, BELOW_MINIMUM)
            self.work(pair, None)
            return
        if desk.move_pair(pair, PairEvent.NOTHING_FILLED):
            pair.end()

    def _flat(self, pair: Pair) -> None:
        desk = self._desk
        reason = pair.exit_reason
        if not desk.move_pair(pair, PairEvent.FLAT, reason):
            return
        if pair.is_opened_reported:
            desk.pairs_closed += 1
            realised_e8, fees_e8, funding_e8 = pair.round_trip()
            desk.log.info(
                "pair closed", pair=pair.pair_id, round_trip=pair.sequence, realised_e8=realised_e8, fees_e8=fees_e8,
                funding_e8=funding_e8, carried_e8=pair.carried_e8(),
            )  # fmt: skip
        desk.out.respond_pair(PAIR_CLOSED, pair)
        pair.end()
        desk.dirty.add(pair.open.index)

    # ---- failure

    def _learn(self, pair: Pair, order: Order) -> None:
        """An order of the pair is over: did it do its work?"""
        if order.leg == LEG_OPEN:
            if order.filled_lots == 0 and pair.parameters.opens_as_maker:
                pair.unwind_retry_ns = self._desk.now_ns + 10 * MS  # A post-only that would take: not at once again.
            return
        if order.filled_lots >= order.quantity_lots:
            return
        if order.leg == LEG_HEDGE:
            if order.filled_lots:
                pair.hedge_attempts = max(1, pair.hedge_attempts)
                pair.naked_since_ns = self._desk.now_ns
            else:
                self._hedge_failed(pair, order.reason, has_reached_venue=order.state != NOT_SENT)
        elif order.leg == LEG_UNWIND:
            if order.filled_lots:
                pair.unwind_attempts = 0
            else:
                pair.unwind_attempts += 1
                pair.unwind_retry_ns = self._desk.now_ns + self._pause_ns(pair, pair.unwind_attempts)

    def _hedge_failed(self, pair: Pair, reason: int, *, has_reached_venue: bool) -> None:
        desk = self._desk
        pair.hedge_attempts += 1
        pair.hedge_refusals += has_reached_venue
        pair.hedge_retry_ns = desk.now_ns + self._pause_ns(pair, pair.hedge_attempts)
        desk.metrics.count(Counter.HEDGES_FAILED)
        desk.log.warning("a hedge failed", pair=pair.pair_id, attempt=pair.hedge_attempts, reason=reason)

    def _give_up(self, pair: Pair) -> None:
        """Hedging does not work: the open leg goes back, the instruments stand still until the operator resumes."""
        desk = self._desk
        sentence = f"hedge of pair {pair.pair_id} failed {pair.hedge_attempts} times: unwinding the open leg"
        desk.halt_instrument(pair.open.index, TIMEOUT, sentence)
        desk.halt_instrument(pair.hedge.index, TIMEOUT, sentence)
        pair.calm()
        pair.exit_reason = TIMEOUT
        desk.move_pair(pair, PairEvent.HEDGE_FAILED, TIMEOUT)
        self.work(pair, None)

    def _leg_stays(self, pair: Pair) -> None:
        """The hedge leg cannot be taken back: it is tried for ever, and the trader must know."""
        desk = self._desk
        sentence = f"hedge leg of pair {pair.pair_id} could not be closed {pair.hedge_attempts} times: trying on"
        desk.halt_instrument(pair.open.index, TIMEOUT, sentence)
        desk.halt_instrument(pair.hedge.index, TIMEOUT, sentence)
        desk.move_pair(pair, PairEvent.HEDGE_FAILED, TIMEOUT)

    def _stuck(self, pair: Pair) -> None:
        """The open leg cannot be taken back either: hedge what is left, halted."""
        desk = self._desk
        sentence = f"open leg of pair {pair.pair_id} could not be closed: it stays hedged, please look"
        desk.halt_instrument(pair.open.index, TIMEOUT, sentence)
        desk.halt_instrument(pair.hedge.index, TIMEOUT, sentence)
        pair.calm()
        pair.hedge_retry_ns = desk.now_ns + pair.parameters.hedge_patience_ms * MS // 5
        desk.move_pair(pair, PairEvent.STUCK, TIMEOUT)

    def _resume(self, pair: Pair) -> None:
        """Fills came while the pair was idle. If they matter, it has legs again."""
        desk = self._desk
        if pair.tradable_hedge_lots(self._ticks(pair.hedge, pair)) == 0:
            return
        long_open = pair.open_position.base_e8 + pair.hedge_position.base_e8 > 0
        pair.begin(-1 if long_open else 1, desk.now_ns, desk.wall_ns)
        desk.move_pair(pair, PairEvent.RESUME)

    # ---- small things

    def _is_known(self, pair: Pair) -> bool:
        """False after a start until the venues' fills are in the books: a ledger with holes would trade twice."""
        is_known = self._desk.is_known
        return is_known[pair.open.venue] and is_known[pair.hedge.venue]

    def _has_legs(self, pair: Pair) -> bool:
        terms = pair.hedge
        return bool(terms.lots_within(pair.hedge_position.base_e8)) or bool(
            pair.tradable_unwind_lots(self._ticks(pair.open, pair))
        )

    def _ticks(self, terms: Terms, pair: Pair) -> int:
        """A price to measure minimums with: the mark, else the average entry, else the other leg's."""
        ticks = self._desk.money.mark_ticks(terms.index)
        if ticks:
            return ticks
        return self._reference(terms, pair)

    def _reference(self, terms: Terms, pair: Pair) -> int:
        """A price without a book: the leg's own entry, else the other leg's price in this leg's ticks."""
        own = pair.hedge_position if terms is pair.hedge else pair.open_position
        if own.base_e8:
            return own.entry_price_ticks_e8 // E8
        other, other_terms = (pair.open_position, pair.open) if terms is pair.hedge else (pair.hedge_position, pair.hedge)
        if other.base_e8:
            return terms.ticks_of_e8(other_terms.price_e8(other.entry_price_ticks_e8 // E8))
        return 0

    def _fill(self, pair: Pair, terms: Terms, leg: int, lots: int, through_ticks: int, attempt: int) -> Decision:
        decision = self._decision
        decision.clear()
        decision.terms = terms
        decision.pair = pair
        decision.pair_id = pair.pair_id
        decision.pair_sequence = pair.sequence
        decision.leg = leg
        decision.side = 1 if lots > 0 else -1
        decision.quantity_lots = lots = abs(lots)
        decision.base_e8 = lots * terms.lot_base_e8
        decision.order_type = LIMIT
        decision.time_in_force = IOC
        decision.through_ticks = through_ticks << min(attempt, DOUBLINGS_MAX)
        decision.reference_ticks = self._reference(terms, pair)
        decision.is_fast = True
        decision.attempt = attempt
        return decision

    def _trace(self, decision: Decision, pair: Pair, cause: Outcome | None, signal_id: int, stages: object) -> None:
        """The decision that led here, so that it can be followed from the tick to the hedge."""
        if cause is not None:
            decision.signal_id = cause.signal_id
            decision.origin_ns = cause.receive_ns
            decision.exchange_ns = cause.exchange_ns
        else:
            decision.signal_id = signal_id
            decision.stages = stages

    def _pause_ns(self, pair: Pair, attempts: int) -> int:
        parameters = pair.parameters
        first_ns = parameters.hedge_backoff_ms_first * MS
        return int(min(first_ns * 2 ** min(attempts - 1, DOUBLINGS_MAX), parameters.hedge_backoff_ms_max * MS))
